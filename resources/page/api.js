// The one way to the server: requests, and events as they happen.

import { call, openSocket } from "./access.js";

const MOST_REPLAYED = 5000;
const LONGEST_PAUSE_MS = 8000;
const PATIENCE_MS = 4000;
export const RETRY_MS = 2000;

/** An answer that is an error. The message is a sentence for people; problems say what is wrong where. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(sentence(detail?.message ?? `The server answered with status ${status}.`));
    this.status = status;
    this.problems = detail?.details?.problems ?? [];
    if (this.problems.length) this.message = this.problems.map((problem) => sentence(describe(problem))).join(" ");
  }
}

function describe(problem) {
  return problem.field ? `${problem.field}: ${problem.message}` : problem.message;
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

async function send(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await call(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The server cannot be reached. Is the program still running?" });
  }
}

/** The answer's JSON as text, for those who want to know how large it is, and its headers. */
export async function read(method, path, body, signal) {
  const answer = await send(method, path, body, signal);
  const text = await answer.text();
  if (!answer.ok) {
    let detail;
    try {
      detail = JSON.parse(text).detail;
    } catch {
      detail = undefined;
    }
    throw new ApiError(answer.status, detail);
  }
  return { text, headers: answer.headers };
}

/** The answer, as JSON. Raises ApiError. */
export async function ask(method, path, body, signal) {
  return JSON.parse((await read(method, path, body, signal)).text);
}

/** Events of a run, or of all ("*"), from after `since`: without gap or repeat, also over a lost connection. Only of
certain `types`, where they are given. `onDeleted(runIds)`: runs of which there were events are gone.

`onEvents(events)` is called at most once a frame. `onReset()`: too much was missed, or the server has another journal
now; begin again from a fresh reading. `onConnection({connected, retryInMs, retry})` says how it stands. */
export class Live {
  constructor(runId, since, { types, onEvents, onDeleted, onReset, onConnection }) {
    Object.assign(this, { runId, seq: since, types, onEvents, onDeleted, onReset, onConnection });
    this.queue = [];
    this.failures = 0;
    this.flush = this.flush.bind(this);
    this.connect = this.connect.bind(this);
    this.seen = () => (document.hidden ? this.flush() : this.probe());
    document.addEventListener("visibilitychange", this.seen);
    window.addEventListener("online", this.seen);
    this.connect();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    document.removeEventListener("visibilitychange", this.seen);
    window.removeEventListener("online", this.seen);
    if (this.socket?.readyState !== WebSocket.CONNECTING) this.socket?.close();
    else this.socket.onopen = () => this.socket.close(); // cut off before it is open, the browser complains
  }

  async connect() {
    clearTimeout(this.timer);
    if (this.closed || this.isTrying || this.socket?.readyState <= WebSocket.OPEN) return;
    if (this.wasRefused && !(await this.isWelcome())) return this.lose();
    if (this.closed) return;
    this.socket = openSocket("ws");
    this.wasRefused = true;
    this.socket.onopen = () => {
      this.wasRefused = false;
      this.socket.send(JSON.stringify({ action: "subscribe", run_id: this.runId, since: this.seq, types: this.types, batch_ms: 50 }));
    };
    this.socket.onmessage = (message) => this.take(JSON.parse(message.data));
    this.socket.onclose = () => this.lose();
  }

  /** Whether a request gets through; a WebSocket cannot tell why it does not. Asks for a token where one is needed. */
  async isWelcome() {
    this.isTrying = true;
    try {
      await ask("GET", "health");
      return true;
    } catch {
      return false;
    } finally {
      this.isTrying = false;
    }
  }

  /** A phone that was asleep does not know that its connection is gone: nobody answers there. */
  probe() {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return this.connect();
    socket.send(JSON.stringify({ action: "ping" }));
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.socket = null;
      this.lose();
    }, PATIENCE_MS);
  }

  take(message) {
    clearTimeout(this.silence);
    if (Array.isArray(message)) {
      this.enqueue(message);
    } else if (message.seq !== null) {
      this.enqueue([message]);
    } else if (message.event_type === "subscription_confirmed") {
      this.failures = 0;
      this.onConnection({ connected: true });
      const missed = message.data.last_seq - this.seq;
      if (missed < 0 || (this.wasConnected && missed > MOST_REPLAYED)) this.onReset();
      this.wasConnected = true;
    } else if (message.event_type === "runs_deleted") {
      this.flush(); // what they did comes first
      if (!this.closed) this.onDeleted(message.data.run_ids);
    } else if (message.event_type === "error") {
      this.onReset();
    }
  }

  enqueue(events) {
    this.seq = events.at(-1).seq;
    this.queue.push(...events);
    if (this.queue.length > events.length) return; // a flush is on its way
    if (document.hidden) setTimeout(this.flush, 500); // frames are not drawn in the background
    else requestAnimationFrame(this.flush);
  }

  flush() {
    const events = this.queue;
    this.queue = [];
    if (events.length && !this.closed) this.onEvents(events);
  }

  lose() {
    if (this.closed) return;
    const pause = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.failures++);
    this.onConnection({ connected: false, retryInMs: pause, retry: this.connect });
    this.timer = setTimeout(this.connect, pause);
  }
}
