// @ts-check
// The exported Request, and the fetch of `ferrows/register`: the platform's own, except that they also take the requests
// that handlers get. The platform's refuse those where it keeps its state in private fields (Node 24 and later).
import { platform } from "./platform.js";
import { platformRequest } from "./request.js";

export const Request = new Proxy(
  // Only so that it can be called; everything is answered by the platform's class.
  /** @type {typeof globalThis.Request} */ (/** @type {unknown} */ (function Request() {})),
  {
    construct(_stub, [input, ...rest], newTarget) {
      return Reflect.construct(platform().Request, [platformRequest(input), ...rest], newTarget);
    },
    apply(_stub, self, args) {
      return Reflect.apply(/** @type {any} */ (platform().Request), self, args);
    },
    get(_stub, key) {
      return Reflect.get(platform().Request, key);
    },
    has(_stub, key) {
      return Reflect.has(platform().Request, key);
    },
  },
);

/** @param {any} input @param {any} [init] */
export function fetch(input, init = undefined) {
  // A plain call: the platform's has no `this` for a program that has wrapped it.
  const { fetch: platformFetch } = platform();
  return platformFetch(/** @type {any} */ (platformRequest(input)), init);
}
