// @ts-check
// The server of the leak tests, alone in its process: it answers the parent's orders and says how much memory it has.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { serve } from "../../index.js";
import { identity } from "../support/certificates.js";

/**
 * @typedef {object} Memory
 * @property {number} rss   bytes, as all that follow
 * @property {number} anonymous   the part of `rss` that is no file's
 * @property {number} heap   JavaScript objects
 * @property {number} heapTotal   what V8 holds for them
 * @property {number} external
 * @property {number} files   open ones
 * @property {number} open   sockets and requests
 * @property {typeof counts} counts   since the start
 */

/** A client that asks for no context takeover has the shared ones. */
const DEDICATED = { compress: "dedicated", decompress: "dedicated" };

/** What the n-th `deflate` order sets. */
const SETTINGS = [
  DEDICATED,
  true,
  ...["256KB", "16KB", "3KB"].map((size) => ({ compress: size, decompress: size })),
];

const counts = { messages: 0, closes: 0, requests: 0, reloads: 0 };

const LARGE = "x".repeat(1 << 20);

/** Goes on until the client has had enough. */
function endless() {
  const chunk = new Uint8Array(64 << 10);
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(chunk);
    },
  });
}

/** Clients that offer nothing go without. @type {any} */
let deflate = DEDICATED;

const handlers = () => ({
  routes: { "/static": new Response(LARGE) },
  fetch(/** @type {Request} */ request, /** @type {any} */ self) {
    const compress = request.headers.has("sec-websocket-extensions");
    if (self.upgrade(request, { data: { since: performance.now(), compress } })) return undefined;
    counts.requests++;
    if (request.url.endsWith("/endless")) return new Response(endless());
    if (request.url.endsWith("/large")) return new Response(LARGE.slice(0, 100_000));
    if (request.url.endsWith("/unread")) return new Response("unread");
    if (request.method === "POST") {
      return request.text().then(
        (text) => new Response(text),
        () => new Response("the body was cut off", { status: 400 }),
      );
    }
    return new Response("hello", { headers: { "x-server": "ferrows" } });
  },
  websocket: {
    open(/** @type {any} */ ws) {
      ws.subscribe("everybody");
    },
    perMessageDeflate: deflate,
    message(/** @type {any} */ ws, /** @type {string | Uint8Array} */ data) {
      counts.messages++;
      ws.send(data, ws.data.compress);
    },
    close() {
      counts.closes++;
    },
  },
});

const server = serve({ port: 0, hostname: "0.0.0.0", development: false, ...handlers() });

/** The same behind TLS. */
const secure = serve({
  port: 0,
  hostname: "0.0.0.0",
  development: false,
  tls: identity("a.test"),
  ...handlers(),
});

/** @type {Record<string, (count: number) => unknown>} */
const orders = {
  reload(count) {
    for (let i = 0; i < count; i++) server.reload(handlers());
    counts.reloads += count;
  },
  deflate(index) {
    deflate = SETTINGS[index];
    server.reload(handlers());
  },
  memory: () => memory(0),
  /** With so many sockets open. */
  memoryOf: memory,
};

process.on("message", async (/** @type {{ order: string, count: number }} */ { order, count }) => {
  process.send?.({ answer: await orders[order](count) });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port: server.port, securePort: secure.port });

/**
 * What is in use when nothing is going on any more but that many sockets.
 *
 * @param {number} sockets
 * @returns {Promise<Memory>}
 */
async function memory(sockets) {
  const { gc } = /** @type {any} */ (globalThis);
  // Until the others are gone on this side too, and the collector has nothing left to find.
  for (let i = 0; i < 500 && pending() > sockets; i++) await sleep(10);
  for (let i = 0; i < 5; i++) {
    gc();
    await sleep(50);
  }
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  const rollup = "/proc/self/smaps_rollup";
  const anonymous = existsSync(rollup)
    ? 1024 * Number(/^Anonymous:\s+(\d+)/m.exec(readFileSync(rollup, "latin1"))?.[1])
    : 0;
  const files = existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
  return { rss, anonymous, heap: heapUsed, heapTotal, external, files, open: pending(), counts };
}

function pending() {
  const each = [server, secure].map((one) => one.pendingWebSockets + one.pendingRequests);
  return each[0] + each[1];
}
