// A JSON value as a tree that is built as far as it is opened.

import { button, formatSize, h } from "./elements.js";

const CHUNK = 100;
const LONG_TEXT = 300;
const LONGEST_TEXT = 50_000;

/** A value under a path; `open` is the set of paths that stay open when the tree is made again. */
export function jsonTree(value, open, path = "") {
  if (value === null || typeof value !== "object") return scalar(value, open, path);
  const list = h("ul", { class: "tree" });
  const entries = Object.entries(value);
  const isList = Array.isArray(value);
  if (!entries.length) return h("span", { class: "second" }, isList ? "[ ]" : "{ }");
  const grow = (from) => {
    for (const [key, inner] of entries.slice(from, from + CHUNK)) list.append(item(key, inner, isList, open, `${path}/${key}`));
    const left = entries.length - from - CHUNK;
    if (left <= 0) return;
    const more = h("li", {}, button(`Show ${Math.min(CHUNK, left)} of ${left.toLocaleString("en")} more`, () => (more.remove(), grow(from + CHUNK))));
    list.append(more);
  };
  grow(0);
  return list;
}

function item(key, value, inList, open, path) {
  const name = h("span", { class: inList ? "key second" : "key" }, key);
  if (value === null || typeof value !== "object" || !Object.keys(value).length) return h("li", {}, name, ": ", jsonTree(value, open, path));
  const size = Object.keys(value).length;
  const about = Array.isArray(value) ? `${size.toLocaleString("en")} ${size === 1 ? "item" : "items"}` : `${size.toLocaleString("en")} ${size === 1 ? "key" : "keys"}`;
  return h("li", {}, fold([name, ": ", h("span", { class: "second" }, about)], open, path, () => jsonTree(value, open, path)));
}

function fold(summary, open, path, make) {
  const details = h("details", {}, h("summary", {}, ...summary));
  const build = () => {
    if (details.children.length === 1) details.append(make());
  };
  if (open.has(path)) {
    details.open = true;
    build();
  }
  details.addEventListener("toggle", () => {
    if (details.open) {
      open.add(path);
      build();
    } else {
      open.delete(path);
    }
  });
  return details;
}

function scalar(value, open, path) {
  if (typeof value !== "string") return h("span", { class: "scalar" }, String(value));
  if (value.length <= LONG_TEXT) return h("span", { class: "text" }, JSON.stringify(value));
  const start = value.slice(0, 60).replace(/\s+/g, " ");
  return fold([h("span", { class: "text" }, `"${start}…`), " ", h("span", { class: "second" }, formatSize(value.length))], open, path, () => {
    const shown = h("pre", {}, value.slice(0, LONGEST_TEXT));
    if (value.length <= LONGEST_TEXT) return shown;
    return h("div", {}, shown, button(`Show all ${formatSize(value.length)}`, (event) => (event.target.remove(), (shown.textContent = value))));
  });
}
