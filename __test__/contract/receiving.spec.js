// @ts-check
// Messages, binaryType, ping and pong, pause and resume (semantics 8).

import assert from "node:assert/strict";
import { plainError } from "../support/errors.js";
import { encodeFrame, pingFrame, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";

test("delivers text as a string, with BOM, NUL and every plane kept", async (t) => {
  const messages = t.recorder();
  const { client } = await t.pair({ message: (_, data) => messages.add(data) });
  const texts = [
    "",
    "plain",
    "\ufeffbom",
    "\0nul\0",
    "caf\u00e9",
    "\u65e5\u672c\u8a9e",
    "\u{1f600}\u{10ffff}\uffff",
  ];
  for (const text of texts) client.sendText(text);
  assert.deepEqual(await messages.atLeast(texts.length), texts);
});

test("delivers long text of each width unchanged", async (t) => {
  const messages = t.recorder();
  const { client } = await t.pair({ message: (_, data) => messages.add(data) });
  const texts = ["a", "\u00e9", "\u65e5", "\u{1f600}", "ab\u00e9\u65e5\u{1f600}"].flatMap((unit) => [
    unit.repeat(100),
    unit.repeat(5000),
    `${"x".repeat(130)}${unit}`,
  ]);
  for (const text of texts) client.sendText(text);
  assert.deepEqual(await messages.atLeast(texts.length), texts);
});

/** @type {[string | undefined, (value: any) => boolean][]} */
const TYPES = [
  [undefined, (value) => Buffer.isBuffer(value)],
  ["nodebuffer", (value) => Buffer.isBuffer(value)],
  ["arraybuffer", (value) => value instanceof ArrayBuffer],
  ["uint8array", (value) => value.constructor === Uint8Array],
  ["blob", (value) => value instanceof Blob],
];

const bytesOf = async (/** @type {any} */ value) =>
  Buffer.from(value instanceof Blob ? await value.arrayBuffer() : value).toString("hex");

for (const [type, isType] of TYPES) {
  test(`delivers bytes as ${type ?? "nodebuffer by default"}, in messages, pings and pongs`, async (t) => {
    const events = t.recorder();
    const { client, ws } = await t.pair({
      open(ws) {
        if (type) ws.binaryType = type;
      },
      message: (_, data) => events.add(data),
      ping: (_, data) => events.add(data),
      pong: (_, data) => events.add(data),
    });
    assert.equal(ws.binaryType, type ?? "nodebuffer");
    client.sendBinary(Buffer.from([1, 2, 3])).sendBinary(Buffer.alloc(0));
    client.sendPing("ab").sendPing().sendPong("cd").sendPong();
    const values = await events.atLeast(6);
    assert.ok(values.every(isType), values.map((value) => value?.constructor?.name).join());
    assert.deepEqual(await Promise.all(values.map(bytesOf)), ["010203", "", "6162", "", "6364", ""]);
    client.sendText("text stays text");
    assert.equal((await events.atLeast(7))[6], "text stays text");
  });
}

test("accepts the names of binaryType and their aliases, and refuses other spellings", async (t) => {
  const { ws } = await t.pair();
  for (const [given, read] of [
    ["uint8array", "uint8array"],
    ["Uint8Array", "uint8array"],
    ["arraybuffer", "arraybuffer"],
    ["ArrayBuffer", "arraybuffer"],
    ["blob", "blob"],
    ["buffer", "nodebuffer"],
    ["Buffer", "nodebuffer"],
    ["nodebuffer", "nodebuffer"],
  ]) {
    ws.binaryType = given;
    assert.equal(ws.binaryType, read);
  }
  for (const wrong of ["x", "", "ARRAYBUFFER", "Blob", "NodeBuffer", 1, null, undefined, {}]) {
    const set = () => {
      ws.binaryType = wrong;
    };
    assert.throws(
      set,
      plainError('binaryType must be either "uint8array", "arraybuffer", "nodebuffer" or "blob"'),
    );
  }
  assert.equal(ws.binaryType, "nodebuffer");
});

test("keeps binaryType per socket, and lets it change on a closed one", async (t) => {
  const { sockets } = await t.room(2);
  sockets[0].binaryType = "arraybuffer";
  assert.equal(sockets[1].binaryType, "nodebuffer");
  sockets[0].close();
  sockets[0].binaryType = "uint8array";
  assert.equal(sockets[0].binaryType, "uint8array");
});

test("gives each binary message memory of its own that stays valid", async (t) => {
  const messages = t.recorder();
  const { client } = await t.pair({ message: (_, data) => messages.add(data) });
  client.write(
    Buffer.concat([1, 2, 3, 4, 5].map((value) => encodeFrame(2, Buffer.alloc(value * 10, value)))),
  );
  const buffers = await messages.atLeast(5);
  for (let i = 0; i < 20; i++) client.sendBinary(Buffer.alloc(100, 0xee));
  await messages.atLeast(25);
  for (const [index, buffer] of buffers.slice(0, 5).entries()) {
    assert.equal(buffer.byteOffset, 0);
    assert.equal(buffer.buffer.byteLength, (index + 1) * 10);
    assert.ok(buffer.every((/** @type {number} */ byte) => byte === index + 1));
  }
  assert.equal(new Set(buffers.map((buffer) => buffer.buffer)).size, buffers.length);
});

test("passes 16 MiB by default and fails one byte more", async (t) => {
  const events = t.recorder();
  const { client } = await t.pair({
    message: (_, data) => events.add(data.length),
    close: (_, code, reason) => events.add([code, reason]),
  });
  const limit = 16 * 1024 * 1024;
  client.sendBinary(Buffer.alloc(limit));
  await events.atLeast(1, 9000);
  client.write(encodeFrame(2, "", { length: limit + 1 }));
  assert.deepEqual(await client.finished(), ["close:1009:Received too big message"]);
  assert.deepEqual(events.entries, [limit, [1006, "Received too big message"]]);
});

// Ping and pong -------------------------------------------------------------------------------------------------

test("answers each ping with a pong of the same payload, with or without a handler", async (t) => {
  for (const handlers of [{}, { ping() {} }]) {
    const { client } = await t.pair(handlers);
    client.sendPing("abc").sendPing().sendPing(Buffer.alloc(125, 1));
    assert.deepEqual(await client.received(3), ["pong:616263", "pong:", `pong:${"01".repeat(125)}`]);
  }
});

test("writes the automatic pong before what the ping handler sends", async (t) => {
  const { client } = await t.pair({
    ping(ws, data) {
      ws.send("in ping");
      ws.pong(`own ${data}`);
    },
  });
  client.sendPing("x");
  assert.deepEqual(await client.received(3), [
    "pong:78",
    "text:in ping",
    `pong:${Buffer.from("own x").toString("hex")}`,
  ]);
});

test("calls the pong handler for unsolicited pongs and answers nothing", async (t) => {
  const pongs = t.recorder();
  const { client } = await t.pair({ pong: (_, data) => pongs.add(String(data)) });
  client.sendPong("zz").sendPong();
  assert.deepEqual(await pongs.atLeast(2), ["zz", ""]);
  assert.deepEqual(await client.settled(), []);
});

test("delivers the pong to a ping that the server sent", async (t) => {
  const pongs = t.recorder();
  const { client, ws } = await t.pair({ pong: (_, data) => pongs.add(String(data)) });
  assert.equal(ws.ping("are you there"), 13);
  await client.received(1);
  client.sendPong(client.frames[0].payload);
  assert.deepEqual(await pongs.atLeast(1), ["are you there"]);
});

// Pause and resume ----------------------------------------------------------------------------------------------

/**
 * Pauses the socket, and sends a message that cannot arrive before the pause is in force.
 *
 * @param {any} ws
 * @param {import("../support/raw-client.js").RawClient} client
 */
async function pauseForSure(ws, client) {
  assert.equal(ws.pause(), undefined);
  assert.equal(ws.isPaused, true);
  ws.send("paused");
  await client.until(() => client.seen().includes("text:paused"), "a message sent behind pause()");
}

test("delivers nothing while paused, and everything in order after resume()", async (t) => {
  const messages = t.recorder();
  const { client, ws, server } = await t.pair({ message: (_, data) => messages.add(data) });
  assert.equal(ws.isPaused, false);
  await pauseForSure(ws, client);
  client.sendText("1").sendText("2");
  // The round trip of another connection proves that there was time to deliver them.
  const other = await t.connect(server);
  await other.settled();
  assert.deepEqual(messages.entries, []);
  assert.equal(ws.resume(), undefined);
  assert.equal(ws.isPaused, false);
  assert.deepEqual(await messages.atLeast(2), ["1", "2"]);
});

test("pause() and resume() may be repeated, and isPaused is false when closed", async (t) => {
  const messages = t.recorder();
  const { client, ws } = await t.pair({ message: (_, data) => messages.add(data) });
  ws.pause();
  ws.pause();
  ws.resume();
  ws.resume();
  client.sendText("x");
  assert.deepEqual(await messages.atLeast(1), ["x"]);
  ws.pause();
  ws.close();
  assert.equal(ws.isPaused, false);
  ws.pause();
  ws.resume();
  assert.equal(ws.isPaused, false);
});

test("pause() inside a message handler lets the rest of the read through and stops there", async (t) => {
  const messages = t.recorder();
  const { client, ws, server } = await t.pair({
    message(ws, data) {
      messages.add(data);
      if (data !== "1") return;
      ws.pause();
      ws.send("paused");
    },
  });
  client.write(Buffer.concat([textFrame("1"), textFrame("2"), textFrame("3")]));
  await client.received(1);
  assert.equal(ws.isPaused, true);
  client.sendText("4");
  const other = await t.connect(server);
  await other.settled();
  assert.ok(!messages.entries.includes("4"));
  ws.resume();
  assert.deepEqual(await messages.atLeast(4), ["1", "2", "3", "4"]);
});

test("does not notice the peer's close while paused", async (t) => {
  const closed = t.recorder();
  const { client, ws, server } = await t.pair({ close: (_, code, reason) => closed.add([code, reason]) });
  await pauseForSure(ws, client);
  client.sendClose(4000, "unseen");
  const other = await t.connect(server);
  await other.settled();
  assert.equal(ws.readyState, 1);
  assert.deepEqual(closed.entries, []);
  ws.resume();
  assert.deepEqual(await closed.atLeast(1), [[4000, "unseen"]]);
});

test("close() works on a paused socket", async (t) => {
  const { client, ws } = await t.pair();
  ws.pause();
  client.sendText("unread");
  ws.close(4000, "paused");
  assert.deepEqual(await client.finished(), ["close:4000:paused"]);
});

// Fragments -----------------------------------------------------------------------------------------------------

test("joins fragments into one message of the first fragment's type", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  client.sendText("a", { fin: false }).sendFrame(0, "b", { fin: false }).sendFrame(0, "c");
  client.sendFrame(2, "d", { fin: false }).sendFrame(0, "e");
  assert.deepEqual(await client.received(2), ["text:abc", "binary:6465"]);
});

test("delivers a frame however its bytes are cut", async (t) => {
  const messages = t.recorder();
  const { client } = await t.pair({ message: (_, data) => messages.add(String(data)), ping() {} });
  const wire = Buffer.concat([
    textFrame("first \u{1f600}"),
    pingFrame("p"),
    encodeFrame(2, Buffer.alloc(300, 0x41)),
    textFrame("last"),
  ]);
  for (let cut = 1; cut < wire.length; cut += 7) {
    client.write(wire.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    client.write(wire.subarray(cut));
  }
  const rounds = Math.ceil((wire.length - 1) / 7);
  const expected = Array.from({ length: rounds }, () => ["first \u{1f600}", "A".repeat(300), "last"]).flat();
  assert.deepEqual(await messages.atLeast(rounds * 3), expected);
});
