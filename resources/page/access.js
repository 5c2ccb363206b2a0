// How every page of this server gets in. Its script uses `call` for requests and `openSocket` for the WebSocket.
//
// Where the server knows the browser for the user's own, no token is needed and none is asked for. Else the first
// request is answered with 401, and a dialog asks. The token stays in this tab (sessionStorage) and goes out as a header:
// never in an address, where history and logs would keep it, nor in a cookie, which other pages could make use of.

const KEY = "wfe-token";
let asking = null;

// fetch, with the token where there is one. When the server wants another, the user is asked and it is tried again.
export async function call(path, options = {}) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const answer = await fetch(path, { ...options, headers: withToken(options.headers, used) });
    if (answer.status !== 401) return answer;
    if (sessionStorage.getItem(KEY) === used) {
      asking ??= ask(used === null ? "" : "This is not the token.").finally(() => { asking = null; });
      await asking;
    }
  }
}

// A WebSocket at the path, with the token where there is one. It cannot tell why it was refused: where it closes
// without having opened, `call` something, and try again when that was answered.
export function openSocket(path) {
  const address = new URL(path, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  const token = sessionStorage.getItem(KEY);
  if (token === null) return new WebSocket(address, ["wfe"]);
  const encoded = btoa(bytesOf(token)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return new WebSocket(address, ["wfe", `bearer.${encoded}`]);
}

// The headers with the token among them, unless there is none or they have one already.
export function withToken(headers, token = sessionStorage.getItem(KEY)) {
  const all = new Headers(headers);
  if (token !== null && !all.has("Authorization")) all.set("Authorization", `Bearer ${bytesOf(token)}`);
  return all;
}

// Headers and btoa take characters up to 255: one for each byte.
function bytesOf(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function ask(complaint) {
  return new Promise((resolve) => {
    const dialog = make("dialog", "access", document.body);
    const form = make("form", "", dialog);
    make("h2", "", form).textContent = "This server asks for its token";
    make("p", "", form).textContent =
      "It is the one the server was started with (WFE_API_TOKEN), or that in the file “api-token” in the data folder " +
      "of the user who started it. It is kept in this tab until you close it.";
    const field = make("input", "", form);
    Object.assign(field, { type: "password", autocomplete: "off", spellcheck: false, required: true });
    field.setAttribute("aria-label", "Token");
    const said = make("p", "access-complaint", form);
    said.setAttribute("role", "alert");
    said.textContent = complaint;
    make("button", "", form).textContent = "Continue";
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // without a token there is nothing to see
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, field.value.trim());
      dialog.remove();
      resolve();
    });
    dialog.showModal();
    field.focus();
  });
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return parent.appendChild(element);
}
