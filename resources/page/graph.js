// The graph of a run, drawn: nodes in the colour of their status, edges taken and skipped. Pan, pinch, zoom, arrow keys.

import { formatDuration, s, signPath } from "./elements.js";
import { Ways } from "./ways.js";

const MOST = 2.5;
const LARGEST = 1.1;
const READABLE = 0.75;
const FAR = 0.4;
const CLICK = 5;
const FRAME_MS = 6;
const LABEL = 30;
const LABEL_DOWN = 22;
const LOWEST = 240;
const HIGHEST = 0.6;
const ROOM = { side: 20, top: 24, bottom: 56 }; // around the drawing; below it are the buttons
const CHARACTER = 6.5;

const pen = document.createElement("canvas").getContext("2d");

/** The text, shortened in its middle to fit. */
function elide(text, width, font) {
  pen.font = font;
  if (pen.measureText(text).width <= width) return text;
  let keep = Math.min(text.length, 80);
  const shortened = () => `${text.slice(0, Math.ceil(keep / 2))}…${text.slice(text.length - Math.floor(keep / 2))}`;
  while (keep > 2 && pen.measureText(shortened()).width > width) keep--;
  return shortened();
}

function elideCode(text, most) {
  return text.length <= most ? text : `${text.slice(0, most / 2)}…${text.slice(-most / 2 + 1)}`;
}

/** Texts of SVG are laid out again even if nothing has changed. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class GraphView {
  /** `places` is the server's layout of `graph`; `onSelect(nodeId)` is called for a node that is chosen. */
  constructor(graph, places, onSelect) {
    Object.assign(this, { graph, places, onSelect });
    this.width = places.node_width;
    this.height = places.node_height;
    this.down = places.direction === "down";
    this.nodes = new Map();
    this.edgeOf = [];
    this.pointers = new Map();
    this.marks = new Map();
    this.world = s("g");
    this.element = s("svg", { class: "graph", role: "application", "aria-label": `Graph of ${graph.name}: arrow keys go from node to node, Enter shows one, plus, minus and 0 zoom` }, this.world);
    this.draw();
    this.listen();
    this.size = { width: 0, height: 0 };
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.element);
  }

  close() {
    this.watcher.disconnect();
  }

  // ---------------------------------------------------------------------------------------------------- drawing

  draw() {
    const font = `600 12.5px ${getComputedStyle(document.body).fontFamily}`;
    const ways = new Ways(this.places.nodes, this.width, this.height, this.down);
    const groups = new Map();
    this.graph.edges.forEach((edge, index) => {
      if (!ways.boxes.has(edge.from_node) || !ways.boxes.has(edge.to_node)) return;
      const key = JSON.stringify([edge.from_node, edge.to_node, edge.kind]);
      if (!groups.has(key)) groups.set(key, { edge, indexes: [], conditions: new Set() });
      const group = groups.get(key);
      group.indexes.push(index);
      if (edge.condition) group.conditions.add(edge.condition);
    });
    const lines = s("g");
    const labels = s("g");
    for (const group of groups.values()) this.drawEdge(group, ways, lines, labels);
    const nodes = s("g");
    for (const node of this.graph.nodes) nodes.append(this.drawNode(node, font));
    this.world.append(lines, nodes, labels);
    this.bounds = this.graph.nodes.length ? ways.bounds : { x: 0, y: 0, width: 1, height: 1 };
    this.nodes.values().next().value?.element.setAttribute("tabindex", "0");
  }

  drawEdge({ edge, indexes, conditions }, ways, lines, labels) {
    const isError = edge.kind === "error";
    const { d, middle } = ways.find(edge.from_node, edge.to_node, isError ? 12 : 0);
    const line = s("path", { class: `edge${isError ? " error" : ""}`, d });
    lines.append(line);
    const text = [...conditions].join(" or ") || (isError ? "error" : "");
    const drawn = { line, marks: new Map() };
    if (text) {
      const shown = elideCode(text, this.down ? LABEL_DOWN : LABEL);
      const width = shown.length * CHARACTER + 16;
      drawn.label = s("g", { class: "label", transform: `translate(${middle[0].toFixed(1)},${middle[1].toFixed(1)})` },
        s("rect", { x: -width / 2, y: -10, width, height: 20, rx: 10 }), s("text", { y: 3.5 }, shown), s("title", {}, text));
      labels.append(drawn.label);
    }
    for (const index of indexes) this.edgeOf[index] = drawn;
  }

  drawNode(node, font) {
    const { x, y } = this.places.nodes[node.id];
    const title = node.label || node.id;
    const body = s("rect", { class: "body", width: this.width, height: this.height, rx: 9 });
    const sign = s("path", { class: "sign", d: signPath("pending"), transform: `translate(${this.width - 26},9)` });
    const name = s("text", { class: "name", x: 14, y: 23 }, elide(title, this.width - 44, font));
    const tool = s("text", { class: "tool", x: 14, y: 42 }, elide(node.function_name, this.width - 84, font.replace("600 12.5", "400 11")));
    const took = s("text", { class: "took", x: this.width - 12, y: 42 });
    const progress = s("path", { class: "progress", d: `M10,${this.height - 2}H${this.width - 10}` });
    const visit = s("g", { class: "visit", transform: `translate(${this.width - 58},0)` }, s("rect", { x: -20, y: -10, width: 40, height: 19, rx: 9.5 }), s("text", { y: 3.5 }));
    const tooltip = s("title", {}, title === node.id ? `${title}\n${node.function_name}` : `${title} (${node.id})\n${node.function_name}`);
    const element = s("g", { class: "node pending", role: "button", tabindex: "-1", transform: `translate(${x},${y})`, "data-node": node.id },
      tooltip, s("rect", { class: "ring", x: -4, y: -4, width: this.width + 8, height: this.height + 8, rx: 12 }), body, sign, name, tool, took, progress, visit);
    if (node.id === this.graph.entry_point) element.append(s("path", { class: "entry", d: this.down ? `M${this.width / 2 - 6},-12h12l-6,8z` : `M-12,${this.height / 2 - 6}v12l8,-6z` }));
    this.nodes.set(node.id, { element, sign, tool, took, visit, title, toolText: tool.textContent, x, y });
    this.markNode(node.id, undefined);
    return element;
  }

  /** Shows where nodes stand, soon: a few each frame, so that a burst of events does not hold the page up. */
  mark(nodeId, step) {
    if (!this.element.isConnected) return this.markNode(nodeId, step);
    if (!this.marks.size) requestAnimationFrame(() => this.markSome());
    this.marks.set(nodeId, step);
  }

  markSome() {
    const begun = performance.now();
    for (const [nodeId, step] of this.marks) {
      this.marks.delete(nodeId);
      this.markNode(nodeId, step);
      if (performance.now() - begun > FRAME_MS) break;
    }
    if (this.marks.size) requestAnimationFrame(() => this.markSome());
  }

  /** `step` as in the state of a run; undefined: it has not begun. */
  markNode(nodeId, step) {
    const node = this.nodes.get(nodeId);
    if (!node) return;
    const status = step?.status ?? "pending";
    const looks = JSON.stringify([status, step?.visit, step?.duration_s, step?.items_done, step?.error]);
    if (looks === node.looks) return;
    node.looks = looks;
    const visits = step?.visit > 1 ? `↻ ${step.visit}` : "";
    const took = status === "running" || status === "skipped" ? "" : formatDuration(step?.duration_s);
    const items = step?.items_total ? `${step.items_done} of ${step.items_total}` : null;
    node.element.setAttribute("class", `node ${status}${nodeId === this.selected ? " selected" : ""}${visits ? " visited" : ""}`);
    node.sign.setAttribute("d", signPath(status));
    write(node.took, took);
    write(node.visit.lastChild, visits);
    write(node.tool, items ?? node.toolText);
    const words = [node.title, status, items, visits && `visit ${step.visit}`, took, step?.error];
    node.element.setAttribute("aria-label", words.filter(Boolean).join(", "));
  }

  /** Shows an edge, by its number in the graph, as "taken" or "skipped". */
  markEdge(index, mark) {
    const drawn = this.edgeOf[index];
    if (!drawn || drawn.marks.get(index) === mark) return;
    drawn.marks.set(index, mark);
    const isTaken = [...drawn.marks.values()].includes("taken");
    for (const part of [drawn.line, drawn.label]) {
      part?.classList.toggle("taken", isTaken);
      part?.classList.toggle("skipped", !isTaken);
    }
  }

  select(nodeId) {
    const before = this.selected;
    this.selected = nodeId;
    this.nodes.get(before)?.element.classList.remove("selected");
    const node = this.nodes.get(nodeId);
    if (!node) return;
    node.element.classList.add("selected");
    this.onSelect(nodeId);
  }

  // --------------------------------------------------------------------------------------------------- the view

  /** What is left for the drawing. */
  get room() {
    return { width: this.size.width - 2 * ROOM.side, height: this.size.height - ROOM.top - ROOM.bottom };
  }

  /** Everything in sight. */
  fit() {
    this.moved = false;
    const { width, height } = this.room;
    this.place(Math.min(LARGEST, width / this.bounds.width, height / this.bounds.height));
  }

  /** Everything in sight if it can be read like that; else the node at work, or the first one. */
  begin(nodeId) {
    this.lastBegun = nodeId;
    const wide = this.element.clientWidth - 2 * ROOM.side;
    const wanted = this.bounds.height * Math.min(LARGEST, Math.max(READABLE, wide / this.bounds.width)) + ROOM.top + ROOM.bottom;
    this.element.parentElement.style.height = `${Math.round(Math.min(innerHeight * HIGHEST, Math.max(LOWEST, wanted)))}px`;
    this.measure();
    this.fit();
    if (this.scale >= READABLE) return;
    const { width, height } = this.room;
    const whole = this.down ? width / this.bounds.width : height / this.bounds.height;
    this.place(Math.min(1, Math.max(READABLE, whole)), this.nodes.get(nodeId) ?? this.nodes.get(this.graph.entry_point) ?? this.nodes.values().next().value);
  }

  /** At this scale, with a node in the middle; without an empty half where the drawing is larger than the view. */
  place(scale, node = this.nodes.values().next().value) {
    const { width, height } = this.room;
    const within = (from, size, room, start, middle) => (size * scale <= room + 1 ? start + (room - size * scale) / 2 - from * scale
      : Math.min(start - from * scale, Math.max(start + room - (from + size) * scale, start + room / 2 - middle * scale)));
    const { bounds } = this;
    this.show(scale, within(bounds.x, bounds.width, width, ROOM.side, (node?.x ?? 0) + this.width / 2), within(bounds.y, bounds.height, height, ROOM.top, (node?.y ?? 0) + this.height / 2));
  }

  /** Moves so that a node is in sight, unless the user looks at something else. */
  follow(nodeId) {
    const node = this.nodes.get(nodeId);
    if (!node || this.moved) return;
    this.reveal(node);
  }

  reveal(node) {
    const { width, height } = this.size;
    const left = node.x * this.scale + this.x;
    const top = node.y * this.scale + this.y;
    const right = left + this.width * this.scale;
    const bottom = top + this.height * this.scale;
    if (left >= 0 && top >= 0 && right <= width && bottom <= height) return;
    this.show(this.scale, this.x + width / 2 - (left + right) / 2, this.y + height / 2 - (top + bottom) / 2);
  }

  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const scale = Math.min(MOST, Math.max(Math.min(0.05, this.scale), this.scale * factor));
    const ratio = scale / this.scale;
    this.moved = true;
    this.show(scale, x - (x - this.x) * ratio, y - (y - this.y) * ratio);
  }

  show(scale, x, y) {
    Object.assign(this, { scale, x, y });
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.world.setAttribute("transform", `translate(${this.x.toFixed(2)},${this.y.toFixed(2)}) scale(${this.scale.toFixed(4)})`);
      this.element.classList.toggle("far", this.scale < FAR);
    });
  }

  /** Kept, because to ask while events come in would have the page laid out each time. */
  measure() {
    this.size = { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  resize() {
    this.measure();
    if (this.size.width && !this.moved) this.begin(this.lastBegun);
  }

  // ---------------------------------------------------------------------------------------------- hand and keys

  listen() {
    const svg = this.element;
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.drag(event));
    svg.addEventListener("pointerup", (event) => this.release(event));
    svg.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("focusin", (event) => {
      const node = this.nodes.get(event.target.getAttribute("data-node"));
      if (node && !this.pointers.size) this.reveal(node);
    });
  }

  press(event) {
    if (event.button !== 0) return;
    this.pressed = this.pointers.size ? null : { x: event.clientX, y: event.clientY, node: event.target.closest(".node")?.getAttribute("data-node") };
    this.pointers.set(event.pointerId, event);
    this.element.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.pressed && Math.hypot(event.clientX - this.pressed.x, event.clientY - this.pressed.y) > CLICK) this.pressed = null;
    const others = [...this.pointers.values()].filter((other) => other.pointerId !== event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (this.pressed) return;
    if (!others.length) {
      this.moved = true;
      this.show(this.scale, this.x + event.clientX - before.clientX, this.y + event.clientY - before.clientY);
      return;
    }
    const [other] = others;
    const box = this.element.getBoundingClientRect();
    const apart = (point) => Math.hypot(point.clientX - other.clientX, point.clientY - other.clientY) || 1;
    this.zoom(apart(event) / apart(before), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
    this.show(this.scale, this.x + (event.clientX - before.clientX) / 2, this.y + (event.clientY - before.clientY) / 2);
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.pressed?.node) {
      this.focusNode(this.pressed.node);
      this.select(this.pressed.node);
    }
    this.pressed = null;
  }

  /** Zooms at the pointer; a plain wheel scrolls the page, unless the graph has the focus. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !this.element.contains(document.activeElement)) return;
    event.preventDefault();
    const box = this.element.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }

  key(event) {
    const current = document.activeElement.getAttribute("data-node");
    const moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (moves[event.key]) this.focusNode(this.nearest(current, ...moves[event.key]));
    else if ((event.key === "Enter" || event.key === " ") && current) this.select(current);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** The next node that way: the nearest, and what stands aside counts as farther. */
  nearest(nodeId, dx, dy) {
    const from = this.nodes.get(nodeId);
    let [best, least] = [nodeId, Infinity];
    for (const [id, node] of from ? this.nodes : []) {
      const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
      const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
      if (along > 4 && along + 2 * aside < least) [best, least] = [id, along + 2 * aside];
    }
    return best;
  }

  focusNode(nodeId) {
    const node = this.nodes.get(nodeId);
    if (!node) return;
    this.element.querySelector('.node[tabindex="0"]')?.setAttribute("tabindex", "-1");
    node.element.setAttribute("tabindex", "0");
    node.element.focus({ preventScroll: true });
  }
}
