// @ts-check
// Puts ferrows' Response, Request and fetch in the place of the platform's, for programs and frameworks that use the
// globals.
import { fetch, platform, Request, Response } from "./dist/ferrows.js";

// Ours go on from the platform's, which has to be taken while it is there.
platform();

for (const [name, value] of Object.entries({ Response, Request, fetch })) {
  Object.defineProperty(globalThis, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: name === "fetch",
  });
}
