// @ts-check
import { Cookie, CookieMap, Request, Response, serve, serveModule } from "./dist/ferrows.js";

export { Cookie, CookieMap, Request, Response, serve, serveModule };

export default { Cookie, CookieMap, serve, serveModule };
