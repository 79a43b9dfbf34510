// @ts-check
// Real clients: the platform's own WebSocket and the ws package.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "../support/test.js";
import { gate, within } from "../support/wait.js";

/** The platform's WebSocket, where there is one. @type {any} */
const PlatformWebSocket = /** @type {any} */ (globalThis).WebSocket;

/** The ws package, out of the runtimes folder or the root's own development packages. @returns {any} */
function load() {
  for (const base of ["../runtimes/package.json", "../../package.json"]) {
    try {
      return createRequire(new URL(base, import.meta.url))("ws");
    } catch {}
  }
  return undefined;
}

const ws = load();

/** @type {[string, any, string | false][]} */
const CLIENTS = [
  ["the platform's WebSocket", PlatformWebSocket, !PlatformWebSocket && "this runtime has no WebSocket"],
  ["the ws package", ws?.WebSocket ?? ws, !ws && "ws is not installed: run scripts/contract.mjs"],
];

/** A client with its events recorded. @param {any} t @param {any} Client @param {any} server @param {any[]} rest */
async function open(t, Client, server, ...rest) {
  const events = t.recorder();
  const client = new Client(`ws://127.0.0.1:${server.port}/room`, ...rest);
  client.binaryType = "arraybuffer";
  t.after(() => client.close());
  const opened = gate();
  client.addEventListener("open", () => opened.open());
  client.addEventListener("error", () => events.add("error"));
  client.addEventListener("message", (/** @type {any} */ event) => events.add(event.data));
  client.addEventListener("close", (/** @type {any} */ event) =>
    events.add(["close", event.code, event.reason]),
  );
  await within(opened.passed, "the client's open event");
  return { client, events };
}

for (const [name, Client, skip] of CLIENTS) {
  test(`${name} exchanges text and bytes`, { skip }, async (t) => {
    const server = t.sockets({
      open: (ws) => ws.send("welcome"),
      message: (ws, data) => ws.send(data),
    });
    const { client, events } = await open(t, Client, server);
    client.send("h\u00e9llo \u{1f600}");
    client.send(Uint8Array.from([1, 2, 3]));
    client.send("x".repeat(100_000));
    const [welcome, text, bytes, long] = await events.atLeast(4);
    assert.equal(welcome, "welcome");
    assert.equal(text, "h\u00e9llo \u{1f600}");
    assert.deepEqual([...new Uint8Array(bytes)], [1, 2, 3]);
    assert.equal(long, "x".repeat(100_000));
  });

  test(`${name} sees the server's close code and reason`, { skip }, async (t) => {
    const server = t.sockets({ message: (ws) => ws.close(4321, "r\u00e9ason") });
    const { client, events } = await open(t, Client, server);
    client.send("close me");
    assert.deepEqual(await events.atLeast(1), [["close", 4321, "r\u00e9ason"]]);
  });

  test(`${name} closes with its own code and reason`, { skip }, async (t) => {
    const closed = t.recorder();
    const server = t.sockets({ close: (_, code, reason) => closed.add([code, reason]) });
    const { client, events } = await open(t, Client, server);
    client.close(4000, "done");
    assert.deepEqual(await closed.atLeast(1), [[4000, "done"]]);
    assert.deepEqual(await events.atLeast(1), [["close", 4000, "done"]]);
  });

  test(`${name} negotiates a subprotocol`, { skip }, async (t) => {
    const server = t.sockets({}, { upgrade: { headers: { "Sec-WebSocket-Protocol": "b" } } });
    const { client } = await open(t, Client, server, ["a", "b"]);
    assert.equal(client.protocol, "b");
    assert.equal(client.extensions, "");
  });

  test(`${name} takes part in a topic`, { skip }, async (t) => {
    const server = t.sockets({
      open: (ws) => ws.subscribe("room"),
      message: (ws, data) => ws.publish("room", data),
    });
    const one = await open(t, Client, server);
    const two = await open(t, Client, server);
    one.client.send("from one");
    assert.deepEqual(await two.events.atLeast(1), ["from one"]);
    two.client.send("from two");
    assert.deepEqual(await one.events.atLeast(1), ["from two"]);
    server.publish("room", "to all");
    assert.deepEqual(await one.events.atLeast(2), ["from two", "to all"]);
    assert.deepEqual(await two.events.atLeast(2), ["from one", "to all"]);
  });

  test(`${name} exchanges a thousand messages in order`, { skip }, async (t) => {
    const server = t.sockets({ message: (ws, data) => ws.send(data) });
    const { client, events } = await open(t, Client, server);
    for (let i = 0; i < 1000; i++) client.send(`message ${i}`);
    const expected = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
    assert.deepEqual(await events.atLeast(1000), expected);
  });
}

test("fetch of the platform talks to the server", async (t) => {
  const server = t.serve({
    fetch: async (/** @type {Request} */ request) =>
      new Response(`${request.method} ${await request.text()}`, { headers: { "x-a": "b" } }),
  });
  const response = await fetch(server.url, { method: "POST", body: "body" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-a"), "b");
  assert.equal(await response.text(), "POST body");
});

test("the ws package answers the server's pings", { skip: CLIENTS[1][2] }, async (t) => {
  const pongs = t.recorder();
  const server = t.sockets({
    open: (ws) => ws.ping("are you there"),
    pong: (_, data) => pongs.add(String(data)),
  });
  await open(t, CLIENTS[1][1], server);
  assert.deepEqual(await pongs.atLeast(1), ["are you there"]);
});
