// The list of runs, live, and the list of graphs.

import { ask, Live, read, RETRY_MS } from "./api.js";
import { ACTIVE, announce, button, count, h, howLong, STATUSES, statusChip, when } from "./elements.js";
import { readJson } from "./forms.js";

const PAGE = 50;
const MOST_ACTIVE = 200;
const MOST_ENDED = 1000;
const OF_RUNS = ["execution_status_update", "workflow_started", "workflow_completed", "execution_error", "workflow_cancelled", "workflow_paused", "workflow_resumed", "runs_deleted"];

/** Runs: those under way first, then the latest. */
export class RunsView {
  constructor(onConnection) {
    this.onConnection = onConnection;
    this.runs = new Map();
    this.foreign = new Set();
    this.rows = new Map();
    this.limit = PAGE;
    this.status = h("select", { "aria-label": "Status", onchange: () => this.load() }, h("option", { value: "" }, "Any status"), STATUSES.map((status) => h("option", { value: status }, status)));
    this.text = h("input", { type: "search", placeholder: "Name, id or error", "aria-label": "Find by name, id or error", oninput: () => this.render() });
    this.active = h("ul", { class: "rows" });
    this.ended = h("ul", { class: "rows" });
    this.activeTitle = h("h2", { hidden: true }, "Under way");
    this.endedTitle = h("h2", { hidden: true }, "Recent");
    this.empty = h("p", { class: "empty", hidden: true });
    this.fault = h("p", { class: "fault", role: "alert", hidden: true });
    this.more = button("Load more", () => this.loadMore(), { hidden: true });
    this.element = h("div", { class: "page" }, h("h1", { tabindex: "-1" }, "Runs"), h("div", { class: "tools" }, this.text, this.status),
      this.fault, this.activeTitle, this.active, this.endedTitle, this.ended, this.empty, h("div", { class: "buttons" }, this.more));
    this.title = "Runs";
    this.load();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.live?.close();
  }

  /** From a fresh reading. Events after the number that was read first are taken from the live ones. */
  async load() {
    const mine = (this.loading = {});
    this.live?.close();
    try {
      const { last_seq: seq } = await ask("GET", "health");
      const wanted = this.status.value;
      const statuses = wanted ? [wanted] : [...ACTIVE];
      const pages = await Promise.all([
        ...statuses.map((status) => this.search({ status, limit: ACTIVE.has(status) ? MOST_ACTIVE : PAGE })),
        ...(wanted ? [] : [this.search({ limit: PAGE })]),
      ]);
      if (this.closed || this.loading !== mine) return;
      this.runs = new Map(pages.flatMap((page) => page.executions).map((run) => [run.run_id, run]));
      this.read = pages.at(-1).executions.length;
      this.more.hidden = !pages.at(-1).has_more;
      this.limit = PAGE;
      this.fault.hidden = true;
      this.isLoaded = true;
      this.live = new Live("*", seq, { types: OF_RUNS, onEvents: (events) => this.take(events), onDeleted: (runIds) => this.forget(runIds), onReset: () => this.load(), onConnection: this.onConnection });
    } catch (error) {
      if (this.closed || this.loading !== mine) return;
      this.fail(error);
      if (error.status === 0) {
        this.onConnection({ connected: false, retryInMs: RETRY_MS, retry: () => this.load() });
        this.reloadSoon();
      }
    }
    this.render();
  }

  search(filter) {
    return ask("POST", "history/executions", { ...filter, top_level: true });
  }

  async loadMore() {
    try {
      const status = this.status.value;
      const page = await this.search({ ...(status ? { status } : {}), limit: PAGE, offset: this.read });
      for (const run of page.executions) if (!this.runs.has(run.run_id)) this.runs.set(run.run_id, run);
      this.read += page.executions.length;
      this.limit += PAGE;
      this.more.hidden = !page.has_more;
      this.fault.hidden = true;
    } catch (error) {
      this.fail(error);
    }
    this.render();
  }

  fail(error) {
    this.fault.textContent = error.message;
    this.fault.hidden = false;
  }

  take(events) {
    const changed = new Set();
    for (const event of events) {
      const status = event.data.status;
      if (!status) continue;
      const run = { ...(this.runs.get(event.run_id) ?? begin(event)) };
      if (!run.graph_name || event.data.parent_run_id) {
        this.miss(event, status);
        continue;
      }
      follow(run, event, status);
      this.runs.set(run.run_id, run);
      changed.add(run.run_id);
    }
    if (!changed.size) return;
    const focused = document.activeElement?.closest("[data-run]")?.getAttribute("data-run");
    for (const runId of changed) this.rows.get(runId)?.remove(), this.rows.delete(runId);
    this.render();
    if (changed.has(focused)) this.rows.get(focused)?.querySelector("a").focus();
  }

  /** Somebody deleted these. What was read so far is counted by their number, which `loadMore` goes by. */
  forget(runIds) {
    for (const runId of runIds) if (this.runs.delete(runId)) this.read = Math.max(0, this.read - 1);
    this.render();
  }

  /** A run that is not on the list. One from long ago may go on; a part of another run is not shown. */
  miss({ run_id: runId, data }, status) {
    if (data.parent_run_id) this.foreign.add(runId);
    else if (ACTIVE.has(status) && !this.foreign.has(runId)) {
      this.foreign.add(runId); // if it is still not there after the reading, it never will be
      this.reloadSoon();
    }
    if (!ACTIVE.has(status)) this.foreign.delete(runId);
  }

  reloadSoon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (!this.closed) this.load();
    }, RETRY_MS);
  }

  render() {
    if (!this.isLoaded) return;
    const wanted = this.status.value;
    const text = this.text.value.trim().toLowerCase();
    const newest = [...this.runs.values()].sort((a, b) => (a.accepted_at < b.accepted_at ? 1 : -1));
    const fitting = newest.filter((run) => (!wanted || run.status === wanted) && (!text || wordsOf(run).includes(text)));
    const active = fitting.filter((run) => ACTIVE.has(run.status)).slice(0, MOST_ACTIVE);
    const ended = fitting.filter((run) => !ACTIVE.has(run.status)).slice(0, this.limit);
    const most = Math.max(MOST_ENDED, this.limit);
    for (const run of newest.filter((each) => !ACTIVE.has(each.status)).slice(most)) this.runs.delete(run.run_id);
    this.fill(this.active, active);
    this.fill(this.ended, ended);
    this.activeTitle.textContent = `Under way (${active.length}${active.length === MOST_ACTIVE ? " or more" : ""})`;
    this.activeTitle.hidden = !active.length;
    this.endedTitle.hidden = !ended.length;
    this.empty.hidden = active.length + ended.length > 0;
    this.empty.textContent = wanted || text
      ? `No run is like that${this.more.hidden ? "" : " among those that are loaded"}. Change what you look for${this.more.hidden ? "" : ", or load more"}.`
      : "No runs yet. Press F5 in the window, choose Run under Graphs, or send POST /graph/run.";
  }

  /** Puts rows in order, touching only those that are new or have moved. */
  fill(list, runs) {
    const wanted = new Set(runs.map((run) => run.run_id));
    for (const row of [...list.children]) if (!wanted.has(row.getAttribute("data-run"))) row.remove();
    let at = list.firstElementChild;
    for (const run of runs) {
      let row = this.rows.get(run.run_id);
      if (!row) this.rows.set(run.run_id, (row = makeRow(run)));
      if (row === at) at = at.nextElementSibling;
      else list.insertBefore(row, at);
    }
    for (const runId of this.rows.keys()) if (!this.runs.has(runId)) this.rows.delete(runId);
  }
}

/** A run that was just accepted, as a line of the list. */
function begin(event) {
  const { graph_id, graph_name } = event.data;
  return { run_id: event.run_id, graph_id, graph_name, accepted_at: event.timestamp, started_at: null, completed_at: null, duration_s: null, error_message: null };
}

/** What an event says about where a run stands. Also for the page of a run. */
export function follow(run, event, status) {
  run.status = status;
  if (event.event_type === "workflow_started") run.started_at = event.timestamp;
  run.completed_at = ACTIVE.has(status) ? null : event.timestamp;
  run.duration_s = run.completed_at && run.started_at ? (new Date(run.completed_at) - new Date(run.started_at)) / 1000 : null;
  run.error_message = event.data.error_message ?? event.data.reason ?? null;
}

function wordsOf(run) {
  return `${run.graph_name} ${run.run_id} ${run.error_message ?? ""}`.toLowerCase();
}

function makeRow(run) {
  return h("li", { "data-run": run.run_id, class: `row ${run.status}` },
    statusChip(run.status), h("a", { class: "name", href: `#run/${encodeURIComponent(run.run_id)}`, "aria-label": `${run.graph_name}, ${run.status}` }, run.graph_name),
    h("span", { class: "times second" }, when(run.accepted_at), howLong(run)),
    run.error_message ? h("p", { class: "message" }, run.error_message) : null);
}

// ------------------------------------------------------------------------------------------------------- graphs

/** Graphs, the latest changed first, each with a button that runs it. */
export class GraphsView {
  constructor() {
    this.graphs = [];
    this.text = h("input", { type: "search", placeholder: "Name", "aria-label": "Find by name", oninput: () => this.render() });
    this.list = h("ul", { class: "rows" });
    this.empty = h("p", { class: "empty", hidden: true });
    this.fault = h("p", { class: "fault", role: "alert", hidden: true });
    this.more = button("Load more", () => this.loadMore(), { hidden: true });
    this.element = h("div", { class: "page" }, h("h1", { tabindex: "-1" }, "Graphs"), h("div", { class: "tools" }, this.text), this.fault, this.list, this.empty, h("div", { class: "buttons" }, this.more));
    this.title = "Graphs";
    this.loadMore();
  }

  close() {}

  async loadMore() {
    try {
      const { text, headers } = await read("GET", `graphs?limit=${PAGE}&offset=${this.graphs.length}`);
      this.graphs.push(...JSON.parse(text).map((graph) => ({ ...graph, row: this.makeRow(graph) })));
      this.more.hidden = this.graphs.length >= Number(headers.get("X-Total-Count"));
      this.fault.hidden = true;
      this.render();
    } catch (error) {
      this.fault.textContent = error.message;
      this.fault.hidden = false;
    }
  }

  render() {
    const text = this.text.value.trim().toLowerCase();
    const shown = this.graphs.filter((graph) => `${graph.name} ${graph.description}`.toLowerCase().includes(text));
    this.list.replaceChildren(...shown.map((graph) => graph.row));
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = this.graphs.length ? "No graph is like that." : "No graphs stored yet. Draw one in the window and press F5, or send it to POST /graph/create.";
  }

  makeRow(graph) {
    const place = h("div");
    const run = button("Run…", () => {
      if (place.firstChild) place.replaceChildren();
      else place.append(runForm(graph));
      run.setAttribute("aria-expanded", String(Boolean(place.firstChild)));
      place.querySelector("textarea")?.focus();
    }, { "aria-expanded": "false", "aria-label": `Run ${graph.name}…` });
    return h("li", { class: "row" }, h("div", { class: "line" }, h("span", { class: "name" }, graph.name), run),
      h("span", { class: "times second" }, h("span", {}, count(graph.node_count, "node")), h("span", {}, "changed ", when(graph.updated_at)), h("span", {}, `version ${graph.version}`)),
      graph.description ? h("p", { class: "second about" }, graph.description) : null, place);
  }
}

function runForm(graph) {
  const id = `state-${graph.id}`;
  const state = h("textarea", { id, rows: "4", class: "code", spellcheck: "false", value: "{}" });
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const form = h("form", { class: "form" }, h("label", { for: id }, "Initial state, a JSON object"), state, fault, h("div", { class: "buttons" }, h("button", { class: "accent" }, "Start the run")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const start = form.querySelector("button");
    start.disabled = true;
    try {
      const initial = readJson(state.value.trim() || "{}");
      const { run_id } = await ask("POST", "graph/run", { graph_id: graph.id, initial_state: initial });
      announce(`A run of ${graph.name} was started.`);
      location.hash = `#run/${run_id}`;
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    } finally {
      start.disabled = false;
    }
  });
  return form;
}
