// @ts-check
// Peers that mean no good: the server stays correct, bounded and available to others.

import assert from "node:assert/strict";
import { encodeFrame, handshake, pingFrame, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { turn } from "../support/wait.js";

/** Reproducible bytes. @param {number} seed */
function randomBytes(seed) {
  let state = seed;
  return (/** @type {number} */ count) =>
    Buffer.from(
      Uint8Array.from({ length: count }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 24;
      }),
    );
}

/** A server still does its work. @param {any} t @param {any} server */
async function assertAlive(t, server) {
  const client = await t.connect(server);
  client.sendText("still there?");
  assert.deepEqual(await client.received(1), ["text:still there?"]);
}

const echo = { message: (/** @type {any} */ ws, /** @type {any} */ data) => void ws.send(data) };

test("reads frames that come one byte at a time", async (t) => {
  const { client } = await t.pair(echo);
  const wire = Buffer.concat([
    textFrame("slow \u{1f600}"),
    pingFrame("p"),
    encodeFrame(2, Buffer.alloc(130, 1)),
    encodeFrame(1, "a", { fin: false }),
    encodeFrame(0, "b"),
  ]);
  for (const byte of wire) {
    client.write(Buffer.from([byte]));
    await turn();
  }
  const seen = await client.received(4);
  // The pong may overtake replies: it needs no handler.
  const messages = seen.filter((frame) => frame !== "pong:70");
  assert.deepEqual(messages, ["text:slow \u{1f600}", `binary:${"01".repeat(130)}`, "text:ab"]);
  assert.equal(seen.length, 4);
});

test("joins a message of a thousand tiny fragments, with pings in between", async (t) => {
  const { client } = await t.pair(echo);
  const parts = [encodeFrame(1, "", { fin: false })];
  for (let i = 0; i < 1000; i++) {
    parts.push(encodeFrame(0, String(i % 10), { fin: false }));
    if (i % 100 === 0) parts.push(pingFrame(""));
  }
  parts.push(encodeFrame(0, ""));
  client.write(Buffer.concat(parts));
  const seen = await client.received(11);
  assert.equal(seen.at(-1), "text:1000 bytes");
  assert.equal(client.frames.at(-1)?.payload.toString(), "0123456789".repeat(100));
});

test("refuses fragments that exceed maxPayloadLength one byte at a time", async (t) => {
  const { client } = await t.pair({ maxPayloadLength: 500, ...echo });
  const parts = [encodeFrame(2, "", { fin: false })];
  for (let i = 0; i < 2000; i++) parts.push(encodeFrame(0, "x", { fin: false }));
  client.write(Buffer.concat(parts));
  assert.deepEqual(await client.finished(), ["close:1009:Received too big message"]);
});

test("stays bounded when a peer pings ten thousand times and reads nothing", async (t) => {
  const pings = t.recorder();
  const { client, ws, server } = await t.pair({
    ...echo,
    backpressureLimit: 65_536,
    ping: () => pings.add("ping"),
  });
  client.pause();
  // Kernel buffers are full first, so that every pong has to be queued or dropped.
  while (ws.send(Buffer.alloc(65_536)) !== -1);
  const flood = Buffer.concat(Array.from({ length: 1000 }, () => pingFrame("p".repeat(125))));
  for (let i = 0; i < 10; i++) client.write(flood);
  await pings.atLeast(10_000, 9000);
  assert.ok(ws.getBufferedAmount() < 300_000, `${ws.getBufferedAmount()} bytes are held`);
  assert.equal(ws.readyState, 1);
  await assertAlive(t, server);
});

test("answers ten thousand pings of a peer that reads", async (t) => {
  const { client } = await t.pair();
  const flood = Buffer.concat(Array.from({ length: 1000 }, (_, index) => pingFrame(String(index))));
  for (let i = 0; i < 10; i++) client.write(flood);
  await client.received(10_000, 9000);
  assert.ok(client.frames.every((frame, index) => frame.payload.toString() === String(index % 1000)));
});

test("is not held up by a hundred half handshakes", async (t) => {
  const server = t.sockets(echo);
  const head = handshake();
  for (let i = 0; i < 100; i++) {
    const client = await t.tcp(server);
    client.write(head.subarray(0, 1 + ((i * 7) % (head.length - 2))));
  }
  await assertAlive(t, server);
  assert.equal(server.pendingWebSockets, 1);
});

test("ends connections that send random bytes instead of a request", async (t) => {
  const server = t.sockets(echo);
  for (let seed = 1; seed <= 20; seed++) {
    const client = await t.tcp(server);
    client.write(Buffer.concat([randomBytes(seed)(200), Buffer.from("\r\n\r\n")]));
    await client.finished();
    assert.notEqual(client.state, "open");
  }
  await assertAlive(t, server);
});

test("fails connections that send random bytes instead of frames, and no others", async (t) => {
  const closed = t.recorder();
  const server = t.sockets({ ...echo, close: (_, code) => closed.add(code) });
  const bystander = await t.connect(server);
  for (let seed = 1; seed <= 40; seed++) {
    const client = await t.connect(server);
    client.write(randomBytes(seed)(300)).end();
    await client.finished();
  }
  await closed.atLeast(40);
  bystander.sendText("unharmed");
  assert.deepEqual(await bystander.received(1), ["text:unharmed"]);
});

test("reserves nothing for a length that is only announced", async (t) => {
  const { server } = await t.pair();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 50; i++) {
    const client = await t.connect(server);
    client.write(encodeFrame(2, Buffer.alloc(10), { length: 16 * 1024 * 1024 }));
  }
  await assertAliveByPing(t, server);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 200 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB more`);
});

/** @param {any} t @param {any} server */
async function assertAliveByPing(t, server) {
  assert.deepEqual(await (await t.connect(server)).settled(), []);
}

test("survives a peer that writes without end into a closed socket", async (t) => {
  const { client, ws, server } = await t.pair(echo);
  ws.close(4000);
  for (let i = 0; i < 100 && client.state !== "error" && client.state !== "closed"; i++) {
    client.write(textFrame("x".repeat(10_000)));
    await turn();
  }
  assert.deepEqual(client.seen(), ["close:4000:"]);
  assert.equal(server.pendingWebSockets, 0);
  await assertAlive(t, server);
});

test("serves others while one peer floods with messages", async (t) => {
  let received = 0;
  const server = t.sockets({
    message(ws, data) {
      received++;
      if (data.length < 50) ws.send(data);
    },
  });
  const flooder = await t.connect(server);
  const flood = Buffer.concat(Array.from({ length: 5000 }, () => textFrame("f".repeat(60))));
  for (let i = 0; i < 4; i++) flooder.write(flood);
  await assertAlive(t, server);
  flooder.sendText("last");
  assert.deepEqual(await flooder.received(1, 9000), ["text:last"]);
  assert.equal(received, 20_002);
});

test("opens, uses and closes two hundred connections one after another", async (t) => {
  const closed = t.recorder();
  const server = t.sockets({ ...echo, close: (_, code) => closed.add(code) });
  for (let i = 0; i < 200; i++) {
    const client = await t.connect(server);
    client.sendText(`${i}`).sendClose(1000);
    assert.deepEqual(await client.finished(), [`text:${i}`, "close:1000:"]);
  }
  assert.equal(closed.entries.length, 200);
});
