// @ts-check
import { Cookie, CookieMap } from "./js/cookies.js";
import { serveModule } from "./js/handlers.js";
import { Request } from "./js/request-class.js";
import { Response } from "./js/response-class.js";
import { serve } from "./js/serve.js";

export { Cookie, CookieMap, Request, Response, serve, serveModule };

export default { Cookie, CookieMap, serve, serveModule };
