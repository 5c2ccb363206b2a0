// One run: its graph, and below it what it waits for, its state, log and steps; the buttons that steer it.

import { ask, Live, read, RETRY_MS } from "./api.js";
import { ACTIVE, announce, button, count, formatClock, formatDuration, formatSize, h, howLong, statusChip, when } from "./elements.js";
import { schemaForm } from "./forms.js";
import { GraphView } from "./graph.js";
import { jsonTree } from "./json.js";
import { follow } from "./lists.js";
import { LogView } from "./log.js";

const NARROW = 900;
const REFRESH_MS = 500;
const SHOWN_STEPS = 200;

const COMMANDS = [
  { name: "pause", label: "Pause", when: ["running", "waiting", "pending"] },
  { name: "resume", label: "Resume", when: ["paused"] },
  { name: "step", label: "Step", when: ["paused"] },
  { name: "retry", label: "Retry", when: ["failed"] },
  { name: "cancel", label: "Cancel", when: [...ACTIVE] },
];

let lastTab = "State"; // who compares the logs of several runs sees the log of the next one, too

export class RunView {
  constructor(runId, onConnection, onTitle) {
    Object.assign(this, { runId, onConnection, onTitle });
    this.path = encodeURIComponent(runId);
    this.open = new Set();
    this.title = "Run";
    this.name = h("h1", { tabindex: "-1" }, "Run");
    this.head = h("div", { class: "head second" });
    this.message = h("p", { class: "message", hidden: true });
    this.commands = h("div", { class: "buttons" });
    this.fault = h("p", { class: "fault", role: "alert", hidden: true });
    this.questions = h("section", { class: "questions", "aria-label": "Questions", hidden: true });
    this.canvas = h("div", { class: "canvas" });
    this.node = h("section", { class: "panel node-panel", hidden: true });
    this.state = h("div", { class: "state" });
    this.steps = h("div", { class: "steps" });
    this.log = new LogView(runId, (error) => this.fail(error));
    this.tabs = makeTabs([["State", this.state], ["Log", this.log.element], ["Steps", this.steps]], lastTab, (name) => this.showTab(name));
    this.element = h("div", { class: "page run" },
      h("div", { class: "title" }, h("p", {}, h("a", { href: "#runs" }, "‹ Runs")), this.name, this.head, this.message, this.commands, this.fault),
      this.questions, h("div", { class: "drawing" }, this.canvas, this.node), h("section", { class: "panel below", "aria-label": "State, log and steps" }, this.tabs));
    this.abort = new AbortController();
    this.narrow = matchMedia(`(max-width: ${NARROW}px)`);
    this.narrow.addEventListener("change", () => this.redraw().catch((error) => this.fail(error)), { signal: this.abort.signal });
    this.load();
  }

  close() {
    this.closed = true;
    this.abort.abort();
    clearTimeout(this.timer);
    clearTimeout(this.again);
    this.live?.close();
    this.graph?.close();
  }

  ask(method, path, body) {
    return ask(method, path, body, this.abort.signal);
  }

  fail(error) {
    if (this.closed) return;
    this.fault.textContent = error.message;
    this.fault.hidden = false;
  }

  // ---------------------------------------------------------------------------------------------------- reading

  /** From a fresh reading: where the run stands, then what happens from there on. */
  async load() {
    this.live?.close();
    try {
      await this.readState();
      await this.redraw();
      if (this.closed) return;
      this.live = new Live(this.runId, this.run.seq, { onEvents: (events) => this.take(events), onDeleted: () => this.end(), onReset: () => this.reload(), onConnection: (how) => this.connected(how) });
      await this.log.start(this.run.seq);
      if (this.tab === "Steps") await this.readSteps();
    } catch (error) {
      this.fail(error.status === 404 ? new Error("There is no run of this id. It may have been in another database.") : error);
      if (error.status === 0 && !this.closed) this.tryAgain();
    }
  }

  /** The run was deleted. What is shown stays to be read; nothing can be read again, nor done. */
  end() {
    this.live.close();
    clearTimeout(this.timer);
    this.timer = "never";
    this.commands.replaceChildren();
    this.fail(new Error("This run was deleted."));
  }

  connected(how) {
    this.onConnection(how);
    if (how.connected && this.again) this.reload();
  }

  /** The server could not be reached before everything was read. */
  tryAgain() {
    this.again = setTimeout(() => this.reload(), RETRY_MS);
    this.onConnection({ connected: false, retryInMs: RETRY_MS, retry: () => this.reload() });
  }

  reload() {
    clearTimeout(this.again);
    this.again = null;
    if (this.closed) return;
    this.log.clear();
    this.fault.hidden = true;
    this.load();
  }

  /** Steps are taken as they were folded from events, if those went on meanwhile. */
  async readState() {
    const begun = performance.now();
    const { text } = await read("GET", `graph/state/${this.path}`, undefined, this.abort.signal);
    const run = JSON.parse(text);
    run.steps = new Map(Object.entries(run.steps)); // a node may be called "constructor"
    run.results = new Map(Object.entries(run.results));
    const known = this.run;
    this.cost = performance.now() - begun;
    this.run = known && known.seq > run.seq ? { ...known, current_state: run.current_state, results: run.results } : run;
    if (text !== this.stateText) this.stateText = text, (this.stateIsNew = true);
    this.mark();
    this.show();
  }

  mark() {
    for (const [nodeId, step] of this.run.steps) this.graph?.mark(nodeId, step);
    for (const index of this.run.edges_taken) this.graph?.markEdge(index, "taken");
    for (const index of this.run.edges_skipped) this.graph?.markEdge(index, "skipped");
  }

  /** Draws the graph, the way that suits the screen. */
  async redraw() {
    if (!this.run) return;
    const { graph_id: graphId, graph_version: version } = this.run;
    const direction = this.narrow.matches ? "down" : "right";
    const path = `graph/${encodeURIComponent(graphId)}`;
    const [graph, places] = await Promise.all([
      this.definition ?? this.ask("GET", `${path}?version=${version}`),
      this.ask("GET", `${path}/layout?version=${version}&direction=${direction}`),
    ]);
    if (this.closed) return;
    this.definition = graph;
    this.graph?.close();
    this.graph = new GraphView(graph, places, (nodeId) => this.showNode(nodeId));
    this.mark();
    const zoom = h("div", { class: "zoom" }, button("Fit", () => this.graph.fit()), button("−", () => this.graph.zoom(0.8), { "aria-label": "Smaller" }), button("+", () => this.graph.zoom(1.25), { "aria-label": "Larger" }));
    this.canvas.replaceChildren(this.graph.element, zoom, ...(graph.nodes.length ? [] : [h("p", { class: "empty" }, "This graph has no nodes.")]));
    this.show();
    this.graph.begin([...this.run.steps.keys()].find((nodeId) => ACTIVE.has(this.run.steps.get(nodeId).status)));
  }

  // ---------------------------------------------------------------------------------------------------- events

  take(events) {
    const nodes = new Set();
    const before = this.run.status;
    for (const event of events) {
      this.run.seq = event.seq;
      if (event.event_type === "node_execution") this.fold(event, nodes);
      else if (event.event_type !== "log" && event.data.status) follow(this.run, event, event.data.status);
    }
    for (const nodeId of nodes) this.graph?.mark(nodeId, this.run.steps.get(nodeId));
    const running = [...nodes].find((nodeId) => this.run.steps.get(nodeId).status === "running");
    if (running) this.graph?.follow(running);
    this.log.add(events);
    this.show();
    if (this.run.status !== before) announce(`The run is ${this.run.status}. ${this.run.error_message ?? ""}`);
    this.refreshSoon();
  }

  /** What happened to a step, into the run: as the state of the run tells it. */
  fold({ data, timestamp }, nodes) {
    const { node_id: nodeId, execution_event: kind, visit, attempt } = data;
    const step = { status: "pending", items_done: null, items_total: null, ...this.run.steps.get(nodeId) };
    if (data.item !== undefined) {
      if (kind === "completed" && step.items_total) step.items_done += 1;
    } else if (kind === "started") {
      Object.assign(step, { status: "running", visit, attempt, started_at: timestamp, duration_s: null, error: null, waits_for: null });
    } else if (kind === "waiting" || kind === "retrying") {
      const waits = waitsFor(data, kind);
      if (waits) Object.assign(step, { status: "waiting", waits_for: waits });
    } else {
      const duration = data.duration_ms === undefined ? null : data.duration_ms / 1000;
      Object.assign(step, { status: kind, duration_s: duration, error: data.error ?? null, waits_for: null, ...(visit ? { visit, attempt } : {}) });
      for (const index of data.edges_skipped ?? []) this.graph?.markEdge(index, "skipped");
      for (const index of data.edges_taken ?? []) this.graph?.markEdge(index, "taken");
    }
    this.run.steps.set(nodeId, step);
    nodes.add(nodeId);
  }

  /** The data are not in the events: they are read again, the less often the longer that takes. */
  refreshSoon() {
    this.timer ??= setTimeout(async () => {
      try {
        await this.readState();
        if (this.tab === "Steps") await this.readSteps();
      } catch (error) {
        if (error.status) this.fail(error); // else the connection is lost, and is said to be
      }
      this.timer = null;
    }, Math.max(REFRESH_MS, 10 * (this.cost ?? 0)));
  }

  // ---------------------------------------------------------------------------------------------------- showing

  show() {
    const run = this.run;
    if (this.closed) return;
    this.name.textContent = run.graph_name;
    if (this.title !== `${run.graph_name}: ${run.status}`) this.onTitle((this.title = `${run.graph_name}: ${run.status}`));
    const steps = run.current_state.execution_path.length;
    const head = h("div", {}, statusChip(run.status), when(run.accepted_at), howLong(run), h("span", {}, count(steps, "step")), h("span", { class: "id" }, run.run_id),
      run.parent_run_id ? h("span", {}, "a step of ", runLink(run.parent_run_id)) : null, run.forked_from ? h("span", {}, "forked from ", runLink(run.forked_from)) : null);
    this.head.replaceChildren(...head.childNodes);
    this.message.textContent = run.error_message ?? "";
    this.message.className = `message ${run.status}`;
    this.showCommands();
    if (this.definition) this.showQuestions();
    this.message.hidden = !run.error_message || !this.questions.hidden; // then it is the question
    if (this.tab === "State") this.showState();
    if (this.graph?.selected) this.showNode(this.graph.selected);
  }

  showCommands() {
    const wanted = COMMANDS.filter((command) => command.when.includes(this.run.status));
    const key = wanted.map((command) => command.name).join();
    if (key === this.shownCommands) return;
    this.shownCommands = key;
    if (wanted.length) this.commands.classList.add("kept"); // what is below does not move up under the pointer as the run ends
    const hadFocus = this.commands.contains(document.activeElement);
    this.commands.replaceChildren(...wanted.map(({ name, label }) => button(label, (event) => this.command(name, event.target))));
    if (hadFocus) (this.commands.firstElementChild ?? this.name).focus();
  }

  async command(name, pressed) {
    pressed.disabled = true;
    this.fault.hidden = true;
    try {
      const { message } = await this.ask("POST", `graph/${name}/${this.path}`);
      announce(message);
    } catch (error) {
      this.fail(error);
    }
    pressed.disabled = false;
    this.refreshSoon();
  }

  /** What somebody could answer. A form stays as it is while its question stands. */
  showQuestions() {
    const waiting = [...this.run.steps].filter(([, step]) => step.status === "waiting" && ["signal", "decision"].includes(step.waits_for?.kind));
    const asked = ACTIVE.has(this.run.status) ? waiting.map(([nodeId, { visit, waits_for: waits }]) => ({ nodeId, key: JSON.stringify([nodeId, visit, waits.kind, waits.signal]), waits })) : [];
    const kept = new Map([...this.questions.children].map((element) => [element.getAttribute("data-key"), element]));
    const key = asked.map((question) => question.key).join();
    if (key === this.shownQuestions) return;
    this.shownQuestions = key;
    this.questions.replaceChildren(...asked.map((question) => kept.get(question.key) ?? this.makeQuestion(question)));
    this.questions.hidden = !asked.length;
    if (asked.length) announce(`${this.titleOf(asked[0].nodeId)} waits for an answer.`);
  }

  makeQuestion({ nodeId, key, waits }) {
    const title = this.titleOf(nodeId);
    if (waits.kind === "decision") return this.makeDecision(nodeId, key, title);
    const form = schemaForm(waits.schema, "Answer", (value) => this.answer("signal", { name: waits.signal, value }, "delivered"));
    return h("div", { class: "panel question", "data-key": key }, h("h2", {}, waits.message || `${title}: the signal “${waits.signal}”`), h("p", { class: "second" }, `“${title}” goes on with the answer.`), form);
  }

  makeDecision(nodeId, key, title) {
    const decide = (choice, more) => this.answer("decide", { node_id: nodeId, choice, ...more }, "decided");
    const place = h("div");
    const choose = (choice) => decide(choice).catch((error) => this.fail(error));
    const give = () => place.replaceChildren(schemaForm(null, "Take this result", (result) => decide("result", { result })));
    return h("div", { class: "panel question", "data-key": key }, h("h2", {}, `What becomes of “${title}”?`),
      h("p", { class: "second" }, "The program ended while it was running, and it must not simply run a second time. Look whether it did its work."),
      h("div", { class: "buttons" }, button("Run it again", () => choose("rerun")), button("Give its result…", give), button("Let it fail", () => choose("fail"))), place);
  }

  async answer(route, body, done) {
    const answer = await this.ask("POST", `graph/${route}/${this.path}`, body);
    if (!answer[done]) this.fail(new Error("The step does not wait for an answer any more."));
    announce(answer.message);
    this.refreshSoon();
  }

  titleOf(nodeId) {
    const node = this.definition?.nodes.find((each) => each.id === nodeId);
    return node?.label || nodeId;
  }

  showNode(nodeId) {
    const node = this.definition.nodes.find((each) => each.id === nodeId);
    const step = this.run.steps.get(nodeId);
    if (this.result?.of !== this.run.results || this.result.nodeId !== nodeId) {
      this.result = { of: this.run.results, nodeId, text: JSON.stringify(this.run.results.get(nodeId)) }; // once a reading
    }
    const shown = JSON.stringify(step) + this.result.text + nodeId;
    if (shown === this.shownNode) return;
    this.shownNode = shown;
    const hadFocus = this.node.contains(document.activeElement);
    const facts = [["Tool", node.function_name], ["Visit", step?.visit > 1 ? String(step.visit) : null], ["Attempt", step?.attempt > 1 ? String(step.attempt) : null], ["Took", formatDuration(step?.duration_s)], ["Items", step?.items_total ? `${step.items_done} of ${step.items_total}` : null],
      ["Waits for", step?.status === "waiting" && step.waits_for ? describeWait(step.waits_for) : null], ["Taken over from", step?.taken_from ? runLink(step.taken_from) : null],
      ["Runs", step?.child_run_ids?.length ? h("span", {}, step.child_run_ids.slice(-20).flatMap((runId) => [runLink(runId), " "])) : null]];
    const close = button("Close", () => this.hideNode(nodeId), { class: "plain" });
    this.node.hidden = false;
    this.node.replaceChildren(h("div", { class: "line" }, h("h2", {}, this.titleOf(nodeId)), close), statusChip(step?.status ?? "pending"),
      h("dl", {}, facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      step?.error ? h("p", { class: "message failed" }, step.error) : "", this.run.results.has(nodeId) ? h("div", {}, h("h3", {}, "Result"), jsonTree(this.run.results.get(nodeId), this.open, `result/${nodeId}`)) : "");
    if (hadFocus) close.focus();
  }

  hideNode(nodeId) {
    this.graph.select(null);
    this.shownNode = null;
    this.node.hidden = true;
    this.graph.focusNode(nodeId);
  }

  // ------------------------------------------------------------------------------------------------------- tabs

  showTab(name) {
    this.tab = lastTab = name;
    this.log.show(name === "Log");
    if (!this.run) return;
    if (name === "State") this.showState();
    else if (name === "Steps") this.readSteps().catch((error) => this.fail(error));
  }

  showState() {
    if (!this.stateIsNew) return;
    this.stateIsNew = false;
    const { data } = this.run.current_state;
    const size = JSON.stringify(data).length;
    const keys = Object.keys(data).length;
    const scroll = this.state.scrollTop;
    if (keys) this.state.replaceChildren(h("p", { class: "second" }, `${count(keys, "key")}, ${formatSize(size)}`), jsonTree(data, this.open, "state"));
    else this.state.replaceChildren(h("p", { class: "empty" }, "The state is empty. What steps save goes here."));
    this.state.scrollTop = scroll;
  }

  async readSteps() {
    const path = `graph/steps/${this.path}?limit=${SHOWN_STEPS}`;
    let page = await this.ask("GET", path);
    if (page.has_more) page = await this.ask("GET", `${path}&offset=${page.total_count - SHOWN_STEPS}`);
    if (!page.steps.length) return this.steps.replaceChildren(h("p", { class: "empty" }, "No step has begun yet."));
    const rows = page.steps.map((step) => h("tr", {}, h("td", {}, this.titleOf(step.node_id), step.item === null ? "" : ` [${step.item}]`, step.error ? h("p", { class: "message failed" }, step.error) : ""),
      h("td", {}, statusChip(step.status), step.taken_from ? h("span", { class: "second", title: `It ran in run ${step.taken_from} and was not run again` }, " taken over") : ""), h("td", { class: "number" }, [step.visit > 1 ? `visit ${step.visit}` : "", step.attempt > 1 ? `try ${step.attempt}` : ""].filter(Boolean).join(", ")), h("td", { class: "number" }, step.started_at ? formatClock(step.started_at) : ""), h("td", { class: "number" }, formatDuration(step.duration_s))));
    const head = h("tr", {}, ["Node", "Status", "Visit", "Started", "Took"].map((name) => h("th", { scope: "col" }, name)));
    this.steps.replaceChildren(page.total_count > SHOWN_STEPS ? h("p", { class: "second" }, `The last ${SHOWN_STEPS} of ${count(page.total_count, "step")}`) : "", h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
  }
}

/** What a step waits for, from an event; null where it does not wait any more. */
function waitsFor(data, kind) {
  if (kind === "retrying") return { kind: "retry", due_at: data.due_at };
  if (data.needs_decision) return { kind: "decision" };
  if (data.signal) return { kind: "signal", signal: data.signal, message: data.question, schema: data.schema };
  if (data.resources) return { kind: "resources", resources: data.resources };
  if (data.child_run_id) return data.child_status ? null : { kind: "run", child_run_id: data.child_run_id, due_at: data.due_at };
  return data.due_at ? { kind: "time", due_at: data.due_at } : null;
}

function runLink(runId) {
  return h("a", { class: "id", href: `#run/${encodeURIComponent(runId)}` }, runId);
}

/** In words, or as a link to the run that is waited for. */
function describeWait(waits) {
  if (waits.kind === "resources") return Object.entries(waits.resources).map(([name, number]) => `${name} × ${number}`).join(", ");
  if (waits.kind === "run") return runLink(waits.child_run_id);
  if (waits.kind === "time" || waits.kind === "retry") return `${waits.kind === "retry" ? "its next try, at " : ""}${formatClock(waits.due_at)}`;
  return waits.kind === "decision" ? "a decision" : `the signal “${waits.signal}”`;
}

/** Tabs as screen readers know them: one tab stop, arrow keys go from one to the next. */
function makeTabs(parts, first, onShow) {
  const list = h("div", { role: "tablist", class: "tabs", "aria-label": "State, log and steps" });
  const panels = parts.map(([name, content]) => h("div", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}` }, content));
  const show = (at) => {
    tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === at));
      tab.setAttribute("tabindex", index === at ? "0" : "-1");
      panels[index].hidden = index !== at;
    });
    onShow(parts[at][0]);
  };
  const move = (event, at) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (at + step + parts.length) % parts.length;
    show(next);
    tabs[next].focus();
  };
  const tabs = parts.map(([name], at) => button(name, () => show(at), { role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onkeydown: (event) => move(event, at) }));
  list.append(...tabs);
  show(parts.findIndex(([name]) => name === first));
  return h("div", {}, list, ...panels);
}
