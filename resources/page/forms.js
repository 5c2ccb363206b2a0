// A form from a JSON Schema: for the answer to a step that waits.

import { ApiError } from "./api.js";
import { button, h } from "./elements.js";

let fields = 0;

/** The schema behind `$ref`, and whether null is allowed beside it. */
function resolve(schema, root) {
  let plain = schema ?? {};
  for (let hops = 0; plain.$ref && hops < 20; hops++) {
    plain = plain.$ref.replace("#/", "").split("/").reduce((part, name) => part?.[name], root) ?? {};
  }
  const choices = plain.anyOf ?? plain.oneOf ?? (Array.isArray(plain.type) ? plain.type.map((type) => ({ ...plain, type })) : null);
  if (!choices) return { ...plain, nullable: false };
  const others = choices.filter((choice) => choice.type !== "null");
  if (others.length !== 1) return { title: plain.title, description: plain.description, nullable: others.length < choices.length };
  const { type, anyOf, oneOf, ...about } = plain;
  return { ...about, ...resolve(others[0], root), nullable: others.length < choices.length };
}

/** Yes and no, for a question that has no other answer. */
function isYesOrNo(schema) {
  return schema.type === "boolean" && !schema.nullable;
}

/** The control for a value, and `read()`: its value, undefined where it is empty; throws what is wrong with it. */
function control(schema) {
  const options = schema.enum ?? ("const" in schema ? [schema.const] : null) ?? (schema.type === "boolean" ? [true, false] : null);
  if (options) {
    const words = (option) => (option === true ? "Yes" : option === false ? "No" : typeof option === "string" ? option : JSON.stringify(option));
    const chosen = options.findIndex((option) => option === schema.default);
    const select = h("select", {}, h("option", { value: "" }, "choose…"), options.map((option, at) => h("option", { value: String(at) }, words(option))));
    select.value = chosen < 0 ? "" : String(chosen);
    return { field: select, read: () => (select.value === "" ? undefined : options[Number(select.value)]) };
  }
  const first = schema.default === undefined || schema.default === null ? "" : schema.default;
  if (schema.type === "integer" || schema.type === "number") {
    const input = h("input", { type: "text", inputmode: schema.type === "integer" ? "numeric" : "decimal", autocomplete: "off", value: String(first) });
    return { field: input, read: () => (input.value.trim() === "" ? undefined : readNumber(input.value.trim(), schema)) };
  }
  if (schema.type === "string") {
    const text = h((schema.maxLength ?? 1000) <= 200 ? "input" : "textarea", { rows: "2", value: String(first) });
    return { field: text, read: () => (text.value === "" ? undefined : text.value) };
  }
  const json = h("textarea", { rows: "3", class: "code", spellcheck: "false", value: first === "" ? "" : JSON.stringify(first, null, 2) });
  return { field: json, read: () => (json.value.trim() === "" ? undefined : readJson(json.value, schema)) };
}

function readNumber(text, schema) {
  const number = Number(text.replace(",", "."));
  if (!Number.isFinite(number)) throw new Error("This is not a number.");
  if (schema.type === "integer" && !Number.isInteger(number)) throw new Error("This must be a whole number.");
  if (number < schema.minimum) throw new Error(`At least ${schema.minimum}.`);
  if (number > schema.maximum) throw new Error(`At most ${schema.maximum}.`);
  return number;
}

/** JSON; where any value will do, what is no JSON is a text. */
export function readJson(text, schema = { type: "object" }) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (schema.type === undefined) return text;
    throw new Error(`This is not JSON: ${error.message}.`);
  }
}

class Field {
  constructor(name, schema, required) {
    Object.assign(this, { name, schema, required });
    const id = `field-${++fields}`;
    this.control = control(schema);
    this.fault = h("p", { class: "fault", id: `${id}-fault`, hidden: true });
    this.control.field.setAttribute("id", id);
    this.control.field.setAttribute("aria-describedby", `${id}-fault`);
    const hint = required ? "" : " (may be left out)";
    this.element = h("div", { class: "field" }, h("label", { for: id }, `${schema.title ?? name}${hint}`),
      schema.description ? h("p", { class: "second" }, schema.description) : null, this.control.field, this.fault);
  }

  /** Its value; undefined where it is empty. Says what is wrong with it, and throws. */
  read() {
    this.say("");
    try {
      const value = this.control.read();
      if (value !== undefined || !this.required) return value;
      if (this.schema.nullable || this.schema.type === "null") return null;
      throw new Error("A value is needed here.");
    } catch (error) {
      this.say(error.message);
      this.control.field.focus();
      throw error;
    }
  }

  say(fault) {
    this.fault.textContent = fault;
    this.fault.hidden = !fault;
    this.control.field.setAttribute("aria-invalid", String(Boolean(fault)));
  }
}

/** A form for a value that meets the schema. `submit(value)` sends it; what it throws is shown. */
export function schemaForm(schema, label, submit) {
  const root = schema ?? {};
  const plain = resolve(root, root);
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const form = h("form", { class: "form", novalidate: true });
  const whole = plain.type !== "object" || !Object.keys(plain.properties ?? {}).length;
  const send = async (read) => {
    fault.hidden = true;
    let value;
    try {
      value = read();
    } catch {
      return; // the field says what is wrong
    }
    for (const each of form.querySelectorAll("button")) each.disabled = true;
    try {
      await submit(value);
    } catch (error) {
      if (!(error instanceof ApiError)) return; // the page was left meanwhile
      fault.textContent = error.message;
      fault.hidden = false;
    } finally {
      for (const each of form.querySelectorAll("button")) each.disabled = false;
    }
  };
  if (whole && isYesOrNo(plain)) {
    form.append(h("div", { class: "buttons" }, button("Yes", () => send(() => true), { class: "accent" }), button("No", () => send(() => false))), fault);
    return form;
  }
  const made = whole
    ? [new Field("Answer", plain, schema !== null && schema !== undefined && Object.keys(schema).length > 0)]
    : Object.entries(plain.properties).map(([name, inner]) => new Field(name, resolve(inner, root), (plain.required ?? []).includes(name)));
  const readAll = () => {
    if (whole) return made[0].read() ?? null;
    const values = made.map((field) => [field.name, field.read()]);
    return Object.fromEntries(values.filter(([, value]) => value !== undefined));
  };
  form.append(...made.map((field) => field.element), fault, h("div", { class: "buttons" }, h("button", { class: "accent" }, label)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(readAll);
  });
  return form;
}
