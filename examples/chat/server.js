// @ts-check
// A chat with rooms, for browsers.
//
//   node examples/chat/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/chat/server.js
//
// PORT is the port (default 3000, 0 for a free one). Then open the printed address in two windows.

import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { serve } from "../../index.js";
import { Chat } from "./chat.js";

const files = loadPage(new URL("./public/", import.meta.url));
const chat = new Chat((topic, text) => server.publish(topic, text, false));

const server = serve({
  port: Number(process.env.PORT || 3000),

  fetch(request, server) {
    const { pathname } = new URL(request.url);
    if (pathname === "/socket") {
      if (!sameOrigin(request)) return new Response("Forbidden", { status: 403 });
      if (server.upgrade(request, { data: chat.newSocketData() })) return;
      return new Response("This address is for WebSockets.", {
        status: 426,
        headers: { upgrade: "websocket" },
      });
    }
    const file = files.get(pathname);
    if (file === undefined) return new Response("Not found", { status: 404 });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Method not allowed", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    return new Response(file.body, { headers: file.headers });
  },

  websocket: {
    // A page that sends nothing for a minute is pinged, and closed if nothing comes back.
    idleTimeout: 60,
    maxPayloadLength: 16 * 1024,
    // Who reads too slowly is cut off instead of filling our memory; the page reconnects and catches up.
    backpressureLimit: 2 * 1024 * 1024,
    closeOnBackpressureLimit: true,

    data: /** @type {import("./chat.js").SocketData} */ ({}), // only tells the type of ws.data
    open: (ws) => chat.open(ws),
    message: (ws, data) => chat.message(ws, data),
    close: (ws) => chat.close(ws),
  },
});

console.log(`listening on http://localhost:${server.port}`);

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.once(signal, async () => {
    chat.stop();
    // Every page gets a close frame with 1001 and starts to reconnect.
    await server.stop(true);
    process.exit(0);
  });
}

/**
 * The page is a handful of small files: read once, served from memory, nothing else is reachable.
 * @param {URL} folder
 */
function loadPage(folder) {
  /** @type {Record<string, string>} */
  const types = {
    css: "text/css; charset=utf-8",
    html: "text/html; charset=utf-8",
    js: "text/javascript; charset=utf-8",
    svg: "image/svg+xml",
  };
  /** @type {Map<string, { body: string, headers: Record<string, string> }>} */
  const files = new Map();
  for (const name of readdirSync(folder)) {
    const type = types[name.slice(name.lastIndexOf(".") + 1)];
    if (type === undefined) continue;
    const headers = {
      "content-type": type,
      "cache-control": "no-cache",
      "content-security-policy":
        "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    };
    const file = { body: readFileSync(new URL(name, folder), "utf8"), headers };
    files.set(`/${name}`, file);
    if (name === "index.html") files.set("/", file);
  }
  return files;
}

/**
 * Browsers let any page open a socket to any server and say in Origin which page it was. Only ours may.
 * @param {Request} request
 */
function sameOrigin(request) {
  const origin = request.headers.get("origin");
  if (origin === null) return true; // not a browser
  return URL.canParse(origin) && new URL(origin).host === request.headers.get("host");
}
