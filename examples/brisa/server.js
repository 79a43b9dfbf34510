// @ts-check
// Serves the module in websocket.js, API routes and a page to try it.
//
//   node examples/brisa/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/brisa/server.js
//
// PORT is the port (default 3000, 0 for a free one). Then open the printed address in two windows.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { serveModule } from "../../index.js";
import * as announce from "./api/announce.js";
import * as helloWorld from "./api/hello-world.js";
import { parseCookies } from "./cookies.js";
import { sockets } from "./sessions.js";
import * as websocket from "./websocket.js";

/** @typedef {import("./api/hello-world.js").RequestContext} RequestContext */

/** @type {Record<string, (context: RequestContext) => Response | Promise<Response>>} by method and path */
const routes = {
  "GET /api/hello-world": helloWorld.GET,
  "POST /api/announce": announce.POST,
};

const languages = /** @type {const} */ ({
  en: { "hello-world": "Hello world" },
  de: { "hello-world": "Hallo Welt" },
});

const page = readFileSync(new URL("page.html", import.meta.url), "utf8");
const script = readFileSync(new URL("client.js", import.meta.url), "utf8");

const server = serveModule(websocket, {
  port: Number(process.env.PORT || 3000),
  // Everything that is not a WebSocket handshake.
  fetch(request) {
    const { pathname } = new URL(request.url);
    const route = routes[`${request.method} ${pathname}`];
    if (route !== undefined) return route(contextOf(request));
    if (pathname === "/") return visit(request);
    if (pathname === "/client.js") {
      return new Response(script, { headers: { "content-type": "text/javascript; charset=utf-8" } });
    }
    return new Response("Not found", { status: 404 });
  },
});

console.log(`listening on http://localhost:${server.port}`);

/**
 * The page; a new visitor gets a token, by which API routes find the visitor's socket.
 * @param {Request} request
 */
function visit(request) {
  const headers = new Headers({ "content-type": "text/html; charset=utf-8" });
  if (parseCookies(request.headers.get("cookie"))["X-Token"] === undefined) {
    headers.set("set-cookie", `X-Token=${randomUUID()}; Path=/; HttpOnly; SameSite=Strict`);
  }
  return new Response(page, { headers });
}

/**
 * @param {Request} request
 * @returns {RequestContext}
 */
function contextOf(request) {
  const token = parseCookies(request.headers.get("cookie"))["X-Token"] ?? "";
  const german = request.headers.get("accept-language")?.startsWith("de") ?? false;
  /** @type {Record<string, string>} */
  const texts = languages[german ? "de" : "en"];
  return { request, ws: sockets.get(token), i18n: { t: (key) => texts[key] ?? key } };
}
