// @ts-check
import { Cookie, CookieMap } from "./js/cookies.js";
import { serveModule } from "./js/handlers.js";
import { serve } from "./js/serve.js";

export { Cookie, CookieMap, serve, serveModule };

export default { Cookie, CookieMap, serve, serveModule };
