// @ts-check
// One WebSocket that comes back: exponential back-off with jitter, and a heartbeat, because a browser does not
// notice by itself that the other side went silent.

const firstDelayMs = 500;
const longestDelayMs = 15_000;
const heartbeatMs = 25_000;
const answerMs = 10_000;

/**
 * @typedef {{ state: "connecting" } | { state: "open" } | { state: "waiting", until: number }} ConnectionState
 * @typedef {{ type: string, [key: string]: any }} Frame
 */

export class Connection {
  #url;
  #onState;
  #onFrame;
  /** @type {WebSocket | null} */
  #socket = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #heartbeatTimer;

  /**
   * @param {string} url
   * @param {object} handlers
   * @param {(state: ConnectionState) => void} handlers.onState
   * @param {(frame: Frame) => void} handlers.onFrame
   */
  constructor(url, { onState, onFrame }) {
    this.#url = url;
    this.#onState = onState;
    this.#onFrame = onFrame;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
  }

  connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#onState({ state: "connecting" });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    // A socket that was given up must not report anything any more.
    const current = () => socket === this.#socket;
    socket.addEventListener("open", () => {
      if (!current()) return;
      this.#failures = 0;
      this.#listen();
      this.#onState({ state: "open" });
    });
    socket.addEventListener("message", ({ data }) => {
      if (!current()) return;
      this.#listen();
      const frame = JSON.parse(data);
      if (frame.type !== "pong") this.#onFrame(frame);
    });
    socket.addEventListener("close", () => {
      if (current()) this.#lost();
    });
  }

  /** Does not wait for the rest of the delay. */
  retryNow() {
    if (this.#retryTimer !== undefined) this.connect();
  }

  /**
   * @param {Frame} frame
   * @returns {boolean} false if there is no connection to send it over
   */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Something arrived: start to wait for the next sign of life. */
  #listen() {
    clearTimeout(this.#heartbeatTimer);
    this.#heartbeatTimer = setTimeout(() => {
      this.send({ type: "ping" });
      this.#heartbeatTimer = setTimeout(() => {
        this.#socket?.close();
        this.#lost();
      }, answerMs);
    }, heartbeatMs);
  }

  #lost() {
    clearTimeout(this.#heartbeatTimer);
    this.#socket = null;
    const ceiling = Math.min(longestDelayMs, firstDelayMs * 2 ** this.#failures);
    this.#failures += 1;
    // Half fixed, half random: pages that lost the same server do not come back in the same instant.
    const delay = ceiling / 2 + (Math.random() * ceiling) / 2;
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    this.#onState({ state: "waiting", until: Date.now() + delay });
  }
}
