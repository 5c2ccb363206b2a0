// Which page is shown: #runs, #run/ID or #graphs; and how the connection stands.

import { announce, button, tick } from "./elements.js";
import { GraphsView, RunsView } from "./lists.js";
import { RunView } from "./run.js";

const main = document.getElementById("view");
const connection = document.getElementById("connection");
let view = null;
let wasLost = false;

function showConnection({ connected, retryInMs, retry }) {
  connection.className = `connection ${connected ? "live" : "lost"}`;
  if (connected) connection.replaceChildren("Live");
  else connection.replaceChildren(`Connection lost. Trying again ${retryInMs < 1000 ? "now" : `in ${Math.round(retryInMs / 1000)} s`}. `, button("Try now", retry, { class: "plain" }));
  if (connected && wasLost) announce("Connected again.");
  wasLost = !connected;
}

function showTitle(title) {
  document.title = `${title} · Agent Workflow Engine`;
}

function makeView(hash) {
  const [kind, id] = hash.replace(/^#/, "").split("/");
  if (kind === "run" && id) return new RunView(decoded(id), showConnection, showTitle);
  if (kind === "graphs") return new GraphsView();
  return new RunsView(showConnection);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not written by this page
  }
}

function route() {
  const isFirst = view === null;
  view?.close();
  connection.replaceChildren();
  connection.className = "connection";
  view = makeView(location.hash);
  main.replaceChildren(view.element);
  showTitle(view.title);
  const current = view instanceof GraphsView ? "#graphs" : "#runs";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (isFirst) return;
  window.scrollTo(0, 0);
  view.element.querySelector("h1").focus({ preventScroll: true });
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which page is shown
  main.focus();
});
window.addEventListener("hashchange", route);
setInterval(tick, 1000);
route();
