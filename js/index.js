// @ts-check
// All that leaves `js/`: what programs import, and what `ferrows/register` puts in the place of the globals.
// scripts/bundle.mjs makes one file of it and of all that it imports.
export { Cookie, CookieMap } from "./cookies.js";
export { serveModule } from "./handlers.js";
export { platform } from "./platform.js";
export { fetch, Request } from "./request-class.js";
export { Response } from "./response-class.js";
export { serve } from "./serve.js";
