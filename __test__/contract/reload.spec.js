// @ts-check
// reload() (semantics 14).

import assert from "node:assert/strict";
import { test } from "../support/test.js";

const upgrade = (/** @type {Request} */ request, /** @type {any} */ server) =>
  server.upgrade(request) ? undefined : new Response("old fetch");

/** Handlers that mark what they send and record. @param {string} mark @param {any} [events] */
function marked(mark, events) {
  return {
    open: (/** @type {any} */ ws) => ws.send(`${mark} open`),
    message: (/** @type {any} */ ws, /** @type {any} */ data) => ws.send(`${mark} ${data}`),
    close: (/** @type {any} */ _ws, /** @type {number} */ code) => events?.add(`${mark} close ${code}`),
  };
}

test("returns the server and replaces fetch", async (t) => {
  const server = t.serve({ fetch: () => new Response("old") });
  const { port } = server;
  assert.equal(server.reload({ fetch: () => new Response("new") }), server);
  assert.equal(server.port, port);
  assert.equal((await t.request(server, "GET / HTTP/1.1")).text(), "new");
});

test("gives existing sockets the new handlers, close included", async (t) => {
  const events = t.recorder();
  const server = t.serve({ fetch: upgrade, websocket: marked("old", events) });
  const client = await t.connect(server);
  client.sendText("1");
  await client.received(2);
  server.reload({ fetch: upgrade, websocket: marked("new", events) });
  client.sendText("2");
  assert.deepEqual(await client.received(3), ["text:old open", "text:old 1", "text:new 2"]);
  client.sendClose(4000);
  assert.deepEqual(await events.atLeast(1), ["new close 4000"]);
  const fresh = await t.connect(server);
  assert.deepEqual(await fresh.received(1), ["text:new open"]);
});

test("applies new limits to existing sockets", async (t) => {
  const server = t.serve({ fetch: upgrade, websocket: { maxPayloadLength: 1000, message() {} } });
  const client = await t.connect(server);
  client.sendText("x".repeat(100));
  await client.settled();
  server.reload({ fetch: upgrade, websocket: { maxPayloadLength: 10, message() {} } });
  client.sendText("x".repeat(100));
  assert.deepEqual(await client.finished(), ["close:1009:Received too big message"]);
});

test("keeps the websocket handlers when reload has none", async (t) => {
  const server = t.serve({ fetch: upgrade, websocket: marked("old") });
  const client = await t.connect(server);
  server.reload({ fetch: upgrade });
  client.sendText("1");
  assert.deepEqual(await client.received(2), ["text:old open", "text:old 1"]);
  const fresh = await t.connect(server);
  assert.deepEqual(await fresh.received(1), ["text:old open"]);
});

test("keeps fetch when reload has none", async (t) => {
  const server = t.serve({ fetch: () => new Response("kept") });
  server.reload({});
  assert.equal((await t.request(server, "GET / HTTP/1.1")).text(), "kept");
});

test("keeps the old state when reload throws", async (t) => {
  const server = t.serve({ fetch: upgrade, websocket: marked("old") });
  assert.throws(() => server.reload({ fetch: 5 }), { message: "Expected fetch() to be a function" });
  assert.throws(() => server.reload({ fetch: upgrade, websocket: { message: 5 } }), {
    message: "websocket expects a function for the 'message' option",
  });
  const client = await t.connect(server);
  client.sendText("1");
  assert.deepEqual(await client.received(2), ["text:old open", "text:old 1"]);
});

test("keeps subscriptions across a reload", async (t) => {
  const { server, sockets, clients } = await t.room(2, { open: (ws) => ws.subscribe("room") });
  server.reload({ fetch: upgrade, websocket: { message() {}, publishToSelf: true } });
  assert.equal(server.subscriberCount("room"), 2);
  assert.equal(server.publish("room", "hello"), 5);
  assert.deepEqual(await clients[1].received(1), ["text:hello"]);
  assert.deepEqual(sockets[0].subscriptions, ["room"]);
});

test("may run inside a handler of the server it reloads", async (t) => {
  const { server, client } = await t.pair({
    message(ws) {
      server.reload({ fetch: upgrade, websocket: marked("new") });
      ws.send("reloaded");
    },
  });
  client.sendText("go");
  await client.received(1);
  client.sendText("2");
  assert.deepEqual(await client.received(2), ["text:reloaded", "text:new 2"]);
});
