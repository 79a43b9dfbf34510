// @ts-check
// Puts ferrows' Response and Request in the place of the platform's, for programs and frameworks that use the globals.
import { platform } from "./js/platform.js";
import { platformRequest } from "./js/request.js";
import { Request } from "./js/request-class.js";
import { Response } from "./js/response-class.js";

const { fetch: platformFetch } = platform();

/** The platform's, which may refuse the requests that handlers get. @param {any} input @param {any} [init] */
function fetch(input, init = undefined) {
  return platformFetch(/** @type {any} */ (platformRequest(input)), init);
}

for (const [name, value] of Object.entries({ Response, Request, fetch })) {
  Object.defineProperty(globalThis, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: name === "fetch",
  });
}
