// Elements, and how values are written. Data becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element of HTML. `on...` attributes are listeners; children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

/** Says something to those who do not see the page. */
export function announce(text) {
  document.getElementById("news").textContent = text;
}

// ------------------------------------------------------------------------------------------------------- status

// The signs of the window (resources/icons), on 16 x 16.
const SIGNS = {
  completed: "M3.25 8.5l3.25 3.25l6.25-7",
  failed: "M4 4l8 8M12 4l-8 8",
  running: "M8 2.75a5.25 5.25 0 1 1 0 10.5a5.25 5.25 0 1 1 0-10.5zM8 4.75A3.25 3.25 0 0 1 11.25 8H8z",
  waiting: "M8 2.5a2.6 2.6 0 1 1 0 5.2a2.6 2.6 0 1 1 0-5.2zM3 13.5c0-2.6 2.2-4 5-4s5 1.4 5 4",
  paused: "M5.6 3.5v9M10.4 3.5v9",
  skipped: "M4 8h8",
  pending: "M8 3.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z",
  cancelled: "M8 2.75a5.25 5.25 0 1 1 0 10.5a5.25 5.25 0 1 1 0-10.5zM4.4 4.4l7.2 7.2",
};

export const STATUSES = ["running", "waiting", "paused", "pending", "completed", "failed", "cancelled"];
export const ACTIVE = new Set(["running", "waiting", "paused", "pending"]);

export function signPath(status) {
  return SIGNS[status] ?? SIGNS.pending;
}

/** A status as colour, sign and word. */
export function statusChip(status) {
  const sign = s("svg", { class: "sign", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: signPath(status) }));
  return h("span", { class: `status ${status}` }, sign, status);
}

// -------------------------------------------------------------------------------------------------------- values

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function formatClock(iso) {
  return clock.format(new Date(iso));
}

function formatAgo(iso) {
  const at = new Date(iso);
  const seconds = (Date.now() - at) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : day.format(at);
}

export function formatDuration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.0001) return "< 0.1 ms";
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function formatSize(characters) {
  if (characters < 1000) return `${characters} characters`;
  return characters < 1e6 ? `${(characters / 1000).toFixed(1)} kB` : `${(characters / 1e6).toFixed(1)} MB`;
}

/** When something was: "2 min ago", kept up to date by tick(). */
export function when(iso) {
  return h("time", { class: "ticking", datetime: iso, title: full.format(new Date(iso)) }, formatAgo(iso));
}

/** How long something took, or how long it has been going on. */
export function howLong(run) {
  if (run.duration_s !== null && run.duration_s !== undefined) return h("span", {}, formatDuration(run.duration_s));
  if (!run.started_at || !ACTIVE.has(run.status)) return h("span");
  return h("span", { class: "ticking", "data-since": run.started_at }, formatSince(run.started_at));
}

function formatSince(iso) {
  const seconds = Math.max(0, Math.floor((Date.now() - new Date(iso)) / 1000));
  return seconds < 60 ? `${seconds} s` : formatDuration(seconds);
}

/** Brings every time that is counted from now up to date. */
export function tick() {
  for (const element of document.querySelectorAll(".ticking")) {
    const since = element.getAttribute("data-since");
    const text = since ? formatSince(since) : formatAgo(element.getAttribute("datetime"));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function count(number, noun) {
  return number === 1 ? `1 ${noun}` : `${number.toLocaleString("en")} ${noun}s`;
}
