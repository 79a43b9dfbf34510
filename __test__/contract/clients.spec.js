// @ts-check
// Real clients: the platform's own WebSocket and the ws package.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { DEDICATED, noise } from "../support/deflate.js";
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

// Compression -----------------------------------------------------------------------------------------------------

/** Text and bytes, from nothing to 1 MiB, some compressible and some not. @param {number} count */
function mixture(count) {
  const all = [];
  for (let i = 0; i < count; i++) {
    const size = i % 250 === 249 ? 1 << 20 : i % 50 === 49 ? 100_000 : (i * i) % 3000;
    if (i % 3 === 0) all.push(`{"number":${i},"text":"${"h\u00e9llo ".repeat(size / 7)}"}`);
    else if (i % 3 === 1) all.push(noise(size, i));
    else all.push(Buffer.alloc(size, `message ${i} `));
  }
  return all;
}

/** @type {[string, any, any][]} */
const AGREEMENTS = [
  ["shared contexts", true, {}],
  ["contexts of their own", DEDICATED, {}],
  ["small contexts", { compress: "8KB", decompress: "8KB" }, { clientMaxWindowBits: 12 }],
  ["windows the client bounds", DEDICATED, { serverMaxWindowBits: 10, clientMaxWindowBits: 9 }],
  [
    "a client that asks for no context takeover",
    DEDICATED,
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
  ],
];
for (const [what, perMessageDeflate, wanted] of AGREEMENTS) {
  const options = { skip: CLIENTS[1][2], limit: 30_000 };
  test(`the ws package exchanges a thousand compressed messages with ${what}`, options, async (t) => {
    const sent = mixture(1000);
    /** @type {any[]} */
    const received = [];
    const all = t.recorder();
    const server = t.sockets({
      perMessageDeflate,
      message(ws, data) {
        received.push(data);
        if (received.length === sent.length) all.add("received");
        ws.send(data, received.length % 4 !== 0);
      },
    });
    const client = new CLIENTS[1][1](`ws://127.0.0.1:${server.port}/`, {
      perMessageDeflate: { threshold: 0, ...wanted },
    });
    t.after(() => client.close());
    /** @type {any[]} */
    const echoed = [];
    client.on("message", (/** @type {Buffer} */ data, /** @type {boolean} */ isBinary) => {
      echoed.push(isBinary ? data : data.toString());
      if (echoed.length === sent.length) all.add("echoed");
    });
    client.on("error", (/** @type {Error} */ error) => all.add(error));
    const opened = gate();
    client.on("open", () => opened.open());
    await within(opened.passed, "the client's open event");
    assert.match(client.extensions, /^permessage-deflate/);
    for (const message of sent) client.send(message);
    assert.deepEqual(await all.atLeast(2, 20_000), ["received", "echoed"]);
    for (const list of [received, echoed]) {
      for (const [index, message] of sent.entries()) {
        assert.equal(typeof list[index], typeof message);
        assert.ok(Buffer.from(list[index]).equals(Buffer.from(message)), `message ${index}`);
      }
    }
  });
}

test("the platform's WebSocket takes part in a topic with compression", {
  skip: CLIENTS[0][2],
}, async (t) => {
  const text = "a message for everybody ".repeat(100);
  const server = t.sockets({
    perMessageDeflate: true,
    open: (ws) => ws.subscribe("room"),
    message: (ws, data) => ws.send(data, true),
  });
  const { client, events } = await open(t, PlatformWebSocket, server);
  server.publish("room", text);
  client.send(text);
  assert.deepEqual(await events.atLeast(2), [text, text]);
});

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
