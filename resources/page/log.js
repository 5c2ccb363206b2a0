// The log of a run: its events, oldest first, live.

import { ask } from "./api.js";
import { button, formatClock, h } from "./elements.js";

const MOST = 1000;
const DRAW_MS = 100;
const MOST_KEPT = 20_000;
const PAGE = 10_000;
const PAGES = 5;

const KINDS = {
  all: () => true,
  lines: (line) => line.type === "log",
  problems: (line) => line.level === "error" || line.level === "warning",
};

function levelOf(type, data) {
  if (type === "execution_error" || data.execution_event === "failed") return "error";
  if (data.execution_event === "retrying") return "warning";
  const level = String(data.level ?? "info").toLowerCase();
  return level === "critical" ? "error" : level;
}

/** An event of the logs or of the WebSocket as a line. Its element is made when it is shown. */
class Line {
  constructor({ event_type: type, timestamp, data, message = data.message ?? "", node_id: node = data.node_id ?? "" }) {
    Object.assign(this, { type, timestamp, message, node: node ?? "", level: levelOf(type, data) });
    this.words = `${this.node} ${message}`.toLowerCase();
  }

  get element() {
    const isLoud = this.level === "error" || this.level === "warning";
    this.made ??= h("li", { class: this.level }, h("time", { datetime: this.timestamp }, formatClock(this.timestamp)), isLoud ? h("b", {}, this.level) : null,
      this.type === "log" && this.node ? h("span", { class: "who" }, this.node) : null, h("span", { class: "said" }, this.message));
    return this.made;
  }
}

export class LogView {
  constructor(runId, onFault) {
    this.runId = runId;
    this.lines = [];
    this.fresh = 0; // how many of them have not been drawn
    this.text = h("input", { type: "search", placeholder: "Filter", "aria-label": "Only lines with this text", oninput: () => this.filter() });
    this.kind = h("select", { "aria-label": "Which lines", onchange: () => this.filter() },
      h("option", { value: "all" }, "All events"), h("option", { value: "lines" }, "Log lines"), h("option", { value: "problems" }, "Problems"));
    this.following = h("input", { type: "checkbox", checked: true, onchange: () => this.toEnd() });
    this.list = h("ol", { class: "lines", tabindex: "0", "aria-label": "Log", onscroll: () => this.scrolled() });
    this.earlier = button("Earlier lines", () => this.loadEarlier().catch(onFault), { hidden: true, class: "plain" });
    this.empty = h("p", { class: "empty", hidden: true });
    this.element = h("div", { class: "log" },
      h("div", { class: "tools" }, this.text, this.kind, h("label", { class: "check" }, this.following, "Follow")), this.earlier, this.empty, this.list);
  }

  clear() {
    this.lines = [];
    this.list.replaceChildren();
  }

  /** Reads what was logged up to an event of the journal. */
  async start(seq) {
    this.first = seq + 1;
    await this.loadEarlier();
    if (this.isVisible) this.toEnd();
  }

  /** Events are numbered over all runs, so one page may hold few lines of this run: some more are looked through. */
  async loadEarlier() {
    const found = [];
    for (let pages = 0; pages < PAGES && this.first > 1 && found.length < 200; pages++) {
      const since = Math.max(0, this.first - 1 - PAGE);
      const path = `graph/logs/${encodeURIComponent(this.runId)}?since=${since}&limit=${PAGE}`;
      const events = (await ask("GET", path)).filter((event) => event.seq < this.first);
      this.first = since + 1;
      found.unshift(...events);
      if (events[0]?.data.status === "pending") this.first = 1; // the run was accepted: nothing came before
    }
    const lines = found.map((event) => new Line(event));
    this.lines.unshift(...lines);
    this.earlier.hidden = this.first <= 1;
    const { scrollHeight } = this.list;
    if (this.isVisible) this.list.prepend(...this.shown(lines).slice(-MOST).map((line) => line.element));
    this.list.scrollTop += this.list.scrollHeight - scrollHeight;
    this.say();
  }

  /** While it cannot be seen, nothing is drawn. */
  show(isVisible) {
    this.isVisible = isVisible;
    if (isVisible) this.filter();
  }

  shown(lines) {
    const wanted = this.text.value.trim().toLowerCase();
    const fits = KINDS[this.kind.value];
    return lines.filter((line) => fits(line) && (!wanted || line.words.includes(wanted)));
  }

  /** New events. They are drawn a few times a second, and of very many only the last. */
  add(events) {
    for (const event of events) this.lines.push(new Line(event));
    this.fresh += events.length;
    if (this.lines.length > MOST_KEPT) this.lines.splice(0, this.lines.length - MOST_KEPT);
    if (this.isVisible) this.timer ??= setTimeout(() => this.draw(), DRAW_MS);
  }

  draw() {
    this.timer = null;
    const lines = this.shown(this.lines.slice(-this.fresh)).slice(-MOST);
    this.fresh = 0;
    if (!this.isVisible || !lines.length) return;
    const old = this.list.childElementCount + lines.length - MOST;
    for (let at = 0; at < old; at++) this.list.firstElementChild?.remove();
    this.list.append(...lines.map((line) => line.element));
    this.say();
    this.toEnd();
  }

  filter() {
    this.fresh = 0;
    this.list.replaceChildren(...this.shown(this.lines).slice(-MOST).map((line) => line.element));
    this.say();
    this.toEnd();
  }

  say() {
    if (!this.isVisible) return;
    this.empty.hidden = this.list.childElementCount > 0;
    this.empty.textContent = this.lines.length ? "No line is like that. Change the filter to see others." : "Nothing has happened yet.";
  }

  toEnd() {
    if (!this.following.checked) return;
    this.list.scrollTop = this.list.scrollHeight;
    this.end = this.list.scrollTop;
  }

  /** Scrolling up ends the following, scrolling to the end takes it up again. */
  scrolled() {
    if (this.list.scrollTop === this.end) return; // that was toEnd
    this.following.checked = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 12;
  }
}
