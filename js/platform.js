// @ts-check
// The host's own fetch classes. Node loads its whole fetch implementation for them, which takes longer than the rest of
// a server's start: a program that only upgrades goes without.

/** @typedef {{ Response: typeof Response, Request: typeof Request, fetch: typeof fetch }} Platform */

/** @type {Platform | undefined} */
let taken;

/** Taken when they are first needed, and once: later the globals may be ours (`ferrows/register`). @returns {Platform} */
export function platform() {
  if (taken === undefined) {
    const { Response, Request, fetch } = globalThis;
    taken = { Response, Request, fetch };
  }
  return taken;
}

/**
 * Puts a prototype of ours under the platform's as soon as it makes a difference: when somebody asks for something that
 * ours has not, or for what is above it, as `instanceof` does.
 * @param {object} own
 * @param {() => void} link gives `own` its prototype; called once
 */
export function inheritLater(own, link) {
  let isLinked = false;
  const linked = () => {
    if (!isLinked) link();
    isLinked = true;
    return own;
  };
  const above = new Proxy(
    {},
    {
      get: (_, key, receiver) => Reflect.get(linked(), key, receiver),
      set: (_, key, value, receiver) => Reflect.set(linked(), key, value, receiver),
      has: (_, key) => Reflect.has(linked(), key),
      getPrototypeOf: () => Object.getPrototypeOf(linked()),
      ownKeys: () => Reflect.ownKeys(linked()),
      getOwnPropertyDescriptor: (_, key) => Reflect.getOwnPropertyDescriptor(linked(), key),
    },
  );
  Object.setPrototypeOf(own, above);
}

/**
 * Puts a prototype of ours under the platform's. What the platform's has and ours has not is answered by an instance
 * made on demand, and so is what instances keep under symbols: code of Node up to 22, and of Deno, looks there.
 * @param {object} own
 * @param {object} platform
 * @param {object} example an instance of the platform's
 * @param {(self: any) => any} instance
 */
export function inherit(own, platform, example, instance) {
  Object.setPrototypeOf(own, platform);
  for (const [name, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(platform))) {
    if (Object.hasOwn(own, name) || name === "constructor") continue;
    if (get !== undefined) forward(own, name, instance);
    else if (typeof value === "function") forwardMethod(own, name, value.length, instance);
  }
  for (const symbol of Object.getOwnPropertySymbols(example)) forward(own, symbol, instance);
}

/** @param {object} own @param {PropertyKey} key @param {(self: any) => any} instance */
export function forward(own, key, instance) {
  Object.defineProperty(own, key, {
    configurable: true,
    enumerable: typeof key === "string",
    get() {
      return Reflect.get(instance(this), key);
    },
    /** @param {unknown} value platform code keeps caches under its symbols */
    set(value) {
      Object.defineProperty(this, key, { value, writable: true, configurable: true });
    },
  });
}

/** @param {object} own @param {string} name @param {number} length @param {(self: any) => any} instance */
function forwardMethod(own, name, length, instance) {
  /** @this {unknown} @param {...unknown} args */
  function method(...args) {
    return instance(this)[name](...args);
  }
  Object.defineProperty(method, "name", { value: name });
  Object.defineProperty(method, "length", { value: length });
  Object.defineProperty(own, name, { value: method, writable: true, configurable: true, enumerable: true });
}
