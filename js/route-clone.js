// @ts-check
// What `clone()` of a route's request gives: the platform's Request, and beside it the route's parameters and cookies,
// in copies of its own.
import { CookieMap, copyOf } from "./cookies.js";
import { platform } from "./platform.js";

/** `cookies` once they were read or changed. @typedef {{ params: Record<string, string>, cookies: CookieMap | undefined }} Route */

/** @type {WeakMap<object, Route>} */
const routes = new WeakMap();

/** @param {object} clone @returns {Route} */
function routeOf(clone) {
  const route = routes.get(clone);
  if (route === undefined) throw new TypeError("Expected this to be a Request of a route");
  return route;
}

/** Between the clones and the platform's prototype, which is not known at import. */
const prototype = {
  get params() {
    return routeOf(this).params;
  },

  /** Changes are nobody's but the clone's. */
  get cookies() {
    const route = routeOf(this);
    const { headers } = /** @type {Request} */ (/** @type {unknown} */ (this));
    route.cookies ??= new CookieMap(headers.get("cookie") ?? "");
    return route.cookies;
  },

  /** @returns {Request} */
  clone() {
    return withRoute(super.clone(), routeOf(this));
  },
};

/**
 * @param {Request} request of the platform, which becomes the clone
 * @param {Route} route
 */
export function withRoute(request, { params, cookies }) {
  const { Request } = platform();
  if (Object.getPrototypeOf(prototype) !== Request.prototype) {
    Object.setPrototypeOf(prototype, Request.prototype);
  }
  routes.set(request, { params: { ...params }, cookies: cookies && copyOf(cookies) });
  return Object.setPrototypeOf(request, prototype);
}
