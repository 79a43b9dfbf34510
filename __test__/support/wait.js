// @ts-check
// Waiting without sleeping: every wait ends with the thing waited for or, at its deadline, with an error.

/** Milliseconds a wait may take before it fails its test. Met only by failing tests. */
export const WAIT_LIMIT = 5000;

/**
 * The promise, or a rejection naming `what` when it takes longer than `ms`.
 *
 * @template T
 * @param {Promise<T> | T} promise
 * @param {string | (() => string)} what
 * @param {number} [ms]
 * @returns {Promise<T>}
 */
export function within(promise, what, ms = WAIT_LIMIT) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`waited ${ms} ms for ${typeof what === "function" ? what() : what}`));
    }, ms);
    Promise.resolve(promise).then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** Conditions re-checked whenever `changed()` says that something happened. */
export class Watch {
  /** @type {Set<() => void>} */
  #waiters = new Set();

  changed() {
    for (const check of [...this.#waiters]) check();
  }

  /**
   * Resolves once `condition` holds.
   *
   * @param {() => boolean} condition
   * @param {string | (() => string)} what
   * @param {number} [ms]
   * @returns {Promise<void>}
   */
  until(condition, what, ms) {
    if (condition()) return Promise.resolve();
    /** @type {() => void} */
    let check = () => {};
    const met = new Promise((resolve) => {
      check = () => {
        if (condition()) resolve(undefined);
      };
      this.#waiters.add(check);
    });
    return within(met, what, ms).finally(() => this.#waiters.delete(check));
  }
}

/**
 * A promise with its resolver: `gate.open(value)` lets everybody pass who awaits `gate.passed`.
 *
 * @template [T=any]
 * @returns {{ passed: Promise<T>, open: (value?: T) => void }}
 */
export function gate() {
  /** @type {(value: any) => void} */
  let open = () => {};
  const passed = new Promise((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** The next turn of the event loop, after I/O that is ready now. */
export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * For state that announces no event (a counter, a getter): looks again each turn until the condition holds.
 *
 * @param {() => boolean} condition
 * @param {string} what
 * @param {number} [ms]
 */
export async function eventually(condition, what, ms = WAIT_LIMIT) {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A list of events that can be waited for. */
export class Recorder {
  /** @type {any[]} */
  entries = [];
  #watch = new Watch();

  /** Records one event: a single value as it is, several as an array. @param {...any} values */
  add(...values) {
    this.entries.push(values.length === 1 ? values[0] : values);
    this.#watch.changed();
  }

  /** The entries, once there are at least `count`. @param {number} count @param {number} [ms] */
  async atLeast(count, ms) {
    await this.#watch.until(
      () => this.entries.length >= count,
      () => this.#missing(`${count} events`),
      ms,
    );
    return this.entries;
  }

  /**
   * The entries, once one is `name` or an array starting with it.
   *
   * @param {any} name
   * @param {number} [ms]
   */
  async has(name, ms) {
    const found = () => this.entries.some((entry) => (Array.isArray(entry) ? entry[0] : entry) === name);
    await this.#watch.until(found, () => this.#missing(`event ${String(name)}`), ms);
    return this.entries;
  }

  /** @param {string} what */
  #missing(what) {
    return `${what}; seen: ${this.entries.map((entry) => String(entry)).join(" | ") || "nothing"}`;
  }
}
