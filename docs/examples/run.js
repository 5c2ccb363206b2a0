// Creates a graph, runs it, watches it to its end and prints the result, in Node.js (18 or newer) and in a browser.
//
//   node run.js                              a program at http://127.0.0.1:8000
//   node run.js http://127.0.0.1:8123        one elsewhere
//   WFE_API_TOKEN=... node run.js            one that wants a token
//
// In a browser: open the program's address, open the developer tools and paste this file into the console.
// It is for pages of the program itself: it refuses those of other origins.

const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);
const address = inNode ? (process.argv[2] ?? "http://127.0.0.1:8000") : location.origin;
const token = inNode ? process.env.WFE_API_TOKEN : sessionStorage.getItem("wfe-token");
const graph = {
  name: "Sum",
  nodes: [
    { id: "add", function_name: "math_operation", parameters: { operation: "add", value: 5 } },
    { id: "rest", function_name: "delay", parameters: { seconds: 0.5 } },
    { id: "triple", function_name: "math_operation", parameters: { operation: "multiply", value: 3 } },
  ],
  edges: [{ from_node: "add", to_node: "rest" }, { from_node: "rest", to_node: "triple" }],
};

async function ask(path, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(address + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${told.detail.error}: ${told.detail.message}`);
  return told;
}

const isLast = (event) => ["workflow_completed", "execution_error", "workflow_cancelled"].includes(event.event_type);

// Events as they happen. A socket that breaks is opened again, and goes on after the last event that came.
async function watchOnSocket(runId, show) {
  let seen = 0;
  for (let over = false; !over; ) {
    over = await new Promise((resolve) => {
      // A browser's socket can send no header: the token goes as base64url in the name of a subprotocol.
      const encoded = token && btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
      const socket = new WebSocket(`${address.replace("http", "ws")}/ws`, token ? ["wfe", `bearer.${encoded}`] : ["wfe"]);
      socket.onopen = () => socket.send(JSON.stringify({ action: "subscribe", run_id: runId, since: seen }));
      socket.onclose = () => setTimeout(resolve, 200, false);
      socket.onmessage = (message) => {
        const event = JSON.parse(message.data);
        if (event.seq === null) return; // an answer, not an event
        seen = event.seq;
        show(event.seq, event.event_type, event.data.message);
        if (isLast(event)) {
          socket.onclose = null;
          socket.close();
          resolve(true);
        }
      };
    });
  }
}

// The same without a WebSocket, which Node.js has from version 22 on: waits for the end a second at a time.
async function watchByAsking(runId, show) {
  let seen = 0;
  for (let over = false; !over; ) {
    await ask(`/graph/state/${runId}?wait_s=1`);
    for (const event of await ask(`/graph/logs/${runId}?since=${seen}`)) {
      seen = event.seq;
      show(event.seq, event.event_type, event.message);
      over = isLast(event);
    }
  }
}

async function main() {
  const { graph_id } = await ask("/graph/create", graph);
  const { run_id } = await ask("/graph/run", { graph_id, initial_state: { value: 9 } });
  console.log("run", run_id);
  const watch = typeof WebSocket === "undefined" ? watchByAsking : watchOnSocket;
  await watch(run_id, console.log);
  const { status, current_state } = await ask(`/graph/state/${run_id}`);
  console.log(status, JSON.stringify(current_state.data));
  if (inNode && status !== "completed") process.exitCode = 1;
  return { status, data: current_state.data };
}

main();
