// @ts-check
// The host's own fetch classes. Taken when they are first needed, since Node loads its whole fetch implementation for
// them, and once: later the globals may be ours (`ferrows/register`).

/** @type {typeof globalThis.Response} */
export let PlatformResponse;
/** @type {typeof globalThis.Request} */
export let PlatformRequest;
/** @type {typeof globalThis.fetch} */
export let platformFetch;

/** Before any use of the above. */
export function loadPlatform() {
  if (PlatformResponse !== undefined) return;
  PlatformResponse = globalThis.Response;
  PlatformRequest = globalThis.Request;
  platformFetch = globalThis.fetch;
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
