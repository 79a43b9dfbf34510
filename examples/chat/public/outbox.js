// @ts-check
// Messages on their way to the server, oldest first. A message leaves the outbox only when the server has
// confirmed it; until then it is sent again after each reconnect, under the same nonce. One is under way at a
// time, which keeps the order also when the server asks to slow down.

/** @typedef {{ nonce: string, room: string, text: string }} Draft */

const storageKey = "chat.outbox";

export class Outbox {
  #send;
  /** @type {Draft[]} */
  #waiting;
  /** @type {string | null} */
  #underWay = null;
  #ready = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pauseTimer;

  /** @param {(draft: Draft) => boolean} send answers false if there is no connection */
  constructor(send) {
    this.#send = send;
    this.#waiting = load();
  }

  /**
   * The messages not confirmed yet.
   * @returns {readonly Draft[]}
   */
  get waiting() {
    return this.#waiting;
  }

  /**
   * @param {string} room
   * @param {string} text
   */
  add(room, text) {
    const draft = { nonce: newId(), room, text };
    this.#waiting.push(draft);
    this.#save();
    this.#next();
    return draft;
  }

  /** The connection is up and history has been compared: what is still here has to be sent. */
  start() {
    this.#ready = true;
    this.#underWay = null;
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = undefined;
    this.#next();
  }

  /** The connection is gone. */
  stop() {
    this.#ready = false;
  }

  /**
   * The server has this message, or will never take it.
   * @param {string} nonce
   * @returns {Draft | undefined}
   */
  remove(nonce) {
    const index = this.#waiting.findIndex((draft) => draft.nonce === nonce);
    if (index === -1) return undefined;
    const [draft] = this.#waiting.splice(index, 1);
    this.#save();
    if (this.#underWay === nonce) this.#underWay = null;
    this.#next();
    return draft;
  }

  /** @param {number} ms the server's wish */
  pause(ms) {
    this.#underWay = null;
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined;
      this.#next();
    }, ms);
  }

  #next() {
    const draft = this.#waiting[0];
    if (!this.#ready || this.#underWay !== null || this.#pauseTimer !== undefined || !draft) return;
    if (this.#send(draft)) this.#underWay = draft.nonce;
  }

  #save() {
    // Per tab: survives a reload, and another tab does not send it too.
    sessionStorage.setItem(storageKey, JSON.stringify(this.#waiting));
  }
}

/** A random id; `crypto.randomUUID` is missing on pages served over plain HTTP from another machine. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @returns {Draft[]} */
function load() {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey) ?? "[]");
  } catch {
    return [];
  }
}
