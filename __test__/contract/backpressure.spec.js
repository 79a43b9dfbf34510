// @ts-check
// A peer that reads slowly or not at all (semantics 4). Messages here are 64 KiB or more: for these the answers
// -1 and 0 are exact on every runtime (row 21).

import assert from "node:assert/strict";
import { runsOf } from "../support/answers.js";
import { test } from "../support/test.js";
import { eventually, turn } from "../support/wait.js";

const CHUNK = 65_536;
const MEBIBYTE = 1024 * 1024;

/** A numbered message. @param {number} index @param {number} [size] */
function numbered(index, size = CHUNK) {
  const message = Buffer.alloc(size, index & 0xff);
  message.writeUInt32BE(index);
  return message;
}

/**
 * Sends numbered messages until the answer is `answer`.
 *
 * @param {any} ws
 * @param {number} answer
 * @param {{ from?: number, size?: number, publish?: (message: Buffer) => number }} [options]
 * @returns {number[]} the answers
 */
function sendUntil(ws, answer, { from = 0, size = CHUNK, publish } = {}) {
  const answers = [];
  do {
    const message = numbered(from + answers.length, size);
    answers.push(publish ? publish(message) : ws.send(message));
    assert.ok(answers.length < 5000, `never answered ${answer}`);
  } while (answers.at(-1) !== answer);
  return answers;
}

/**
 * Queues far more than the kernel will still take while the peer does not read, so that the state lasts.
 *
 * @param {any} ws
 * @returns {number} messages sent
 */
function overfill(ws) {
  const sent = sendUntil(ws, -1).length;
  assert.equal(ws.send(numbered(sent, 8 * MEBIBYTE)), -1);
  return sent + 1;
}

/** @param {import("../support/raw-client.js").RawClient} client @param {number} count */
function assertNumbered(client, count) {
  const numbers = client.frames
    .filter((frame) => frame.payload.length >= CHUNK)
    .map((frame) => frame.payload.readUInt32BE(0));
  assert.equal(numbers.length, count);
  assert.ok(
    numbers.every((number, index) => number === index),
    "every message once and in order",
  );
}

test("answers n while the kernel takes it, -1 while it queues, 0 once the limit is passed", async (t) => {
  const { ws, client } = await t.pair({ backpressureLimit: MEBIBYTE });
  client.pause();
  const answers = sendUntil(ws, 0);
  assert.equal(runsOf(answers), "n -1 0");
  const held = ws.getBufferedAmount();
  assert.ok(held > MEBIBYTE && held <= MEBIBYTE + CHUNK + 10, `at most the limit and one message: ${held}`);
  assert.equal(ws.send(numbered(0)), 0);
  assert.equal(ws.send("x"), 0);
  assert.equal(ws.send(""), 0);
  assert.equal(ws.ping(), 0);
  assert.equal(ws.pong("x"), 0);
  assert.equal(ws.getBufferedAmount(), held);
  assert.equal(ws.readyState, 1);
  client.resume();
  const delivered = answers.length - 1;
  await client.received(delivered);
  assertNumbered(client, delivered);
  assert.equal((await client.settled()).length, delivered);
});

test("has a limit of 16 MiB by default", async (t) => {
  const { ws, client } = await t.pair();
  client.pause();
  const answers = sendUntil(ws, 0, { size: MEBIBYTE });
  assert.equal(runsOf(answers), "n -1 0");
  const held = ws.getBufferedAmount();
  assert.ok(held > 16 * MEBIBYTE && held <= 17 * MEBIBYTE + 10, `${held}`);
});

for (const backpressureLimit of [0, -1]) {
  test(`queues without end when backpressureLimit is ${backpressureLimit}`, async (t) => {
    const { ws, client } = await t.pair({ backpressureLimit });
    client.pause();
    const answers = [];
    for (let i = 0; i < 32; i++) answers.push(ws.send(numbered(i, MEBIBYTE)));
    assert.equal(runsOf(answers), "n -1");
    assert.ok(ws.getBufferedAmount() > 16 * MEBIBYTE);
    client.resume();
    await client.received(32);
    assertNumbered(client, 32);
  });
}

test("accepts one message of any size while nothing is queued, and delivers it whole", async (t) => {
  const { ws, client } = await t.pair({ backpressureLimit: CHUNK });
  client.pause();
  assert.equal(ws.send(numbered(0, 20 * MEBIBYTE)), -1);
  assert.equal(ws.send("dropped"), 0);
  client.resume();
  await client.received(1);
  assert.equal(client.frames[0].payload.length, 20 * MEBIBYTE);
  assert.deepEqual(await client.settled(), [`binary:${20 * MEBIBYTE} bytes`]);
});

test("answers -1 to sends of every kind while backpressured, also inside cork, and keeps their order", async (t) => {
  const { ws, client } = await t.pair();
  client.pause();
  const sent = overfill(ws);
  const before = ws.getBufferedAmount();
  assert.ok(before > 0);
  assert.deepEqual([ws.send("small"), ws.send(""), ws.ping("p"), ws.pong()], [-1, -1, -1, -1]);
  assert.ok(ws.getBufferedAmount() > before);
  ws.cork(() => assert.equal(ws.send("corked"), -1));
  assert.equal(ws.sendBinary(numbered(sent)), -1);
  client.resume();
  const seen = await client.received(sent + 6);
  assertNumbered(client, sent + 1);
  assert.deepEqual(seen.slice(sent), [
    "text:small",
    "text:",
    "ping:70",
    "pong:",
    "text:corked",
    `binary:${CHUNK} bytes`,
  ]);
});

test("calls drain once everything queued has been written, and accepts messages again", async (t) => {
  const drained = t.recorder();
  const { ws, client } = await t.pair({ drain: (ws) => drained.add(ws.getBufferedAmount()) });
  client.pause();
  const sent = sendUntil(ws, -1).length;
  assert.deepEqual(drained.entries, []);
  client.resume();
  await drained.has(0);
  assert.equal(drained.entries.at(-1), 0);
  await client.received(sent);
  assert.equal(ws.getBufferedAmount(), 0);
  assert.equal(ws.send("free again"), 10);
  assert.equal((await client.received(sent + 1)).at(-1), "text:free again");
});

test("calls drain only when nothing is left in the queue", { differs: 5 }, async (t) => {
  const drained = t.recorder();
  const { ws, client } = await t.pair({ drain: (ws) => drained.add(ws.getBufferedAmount()) });
  for (let round = 1; round <= 2; round++) {
    client.pause();
    sendUntil(ws, -1, { size: MEBIBYTE });
    client.resume();
    await drained.atLeast(round);
  }
  await client.settled();
  assert.deepEqual(drained.entries, [0, 0]);
});

test("never calls drain without an earlier -1", async (t) => {
  const drained = t.recorder();
  const { ws, client } = await t.pair({ drain: () => drained.add("drain") });
  for (let i = 0; i < 100; i++) ws.send("small");
  await client.received(100);
  await client.settled();
  assert.deepEqual(drained.entries, []);
});

test("lets a stream of messages be paced by drain", async (t) => {
  const total = 400;
  let next = 0;
  const pump = (/** @type {any} */ ws) => {
    while (next < total) if (ws.send(numbered(next++)) === -1) break;
  };
  const { ws, client } = await t.pair({ drain: pump, backpressureLimit: MEBIBYTE });
  client.pause();
  pump(ws);
  assert.ok(next < total, "the first run met backpressure");
  client.resume();
  await client.received(total);
  assertNumbered(client, total);
});

test("delivers the peer's messages while backpressured, with replies in order", async (t) => {
  const replies = t.recorder();
  const { ws, client } = await t.pair({ message: (ws, data) => replies.add([data, ws.send("reply")]) });
  client.pause();
  const sent = overfill(ws);
  client.sendText("hi");
  assert.deepEqual(await replies.atLeast(1), [["hi", -1]]);
  client.resume();
  assert.equal((await client.received(sent + 1)).at(-1), "text:reply");
  assertNumbered(client, sent);
});

test("queues the automatic pong behind messages while backpressured", async (t) => {
  const pings = t.recorder();
  const { ws, client } = await t.pair({ ping: (_, data) => pings.add(String(data)) });
  client.pause();
  const sent = overfill(ws);
  client.sendPing("q");
  assert.deepEqual(await pings.atLeast(1), ["q"]);
  client.resume();
  assert.equal((await client.received(sent + 1)).at(-1), "pong:71");
});

test("drops the automatic pong over the limit, and still calls the ping handler", async (t) => {
  const pings = t.recorder();
  const { ws, client } = await t.pair({
    backpressureLimit: MEBIBYTE,
    ping: (_, data) => pings.add(String(data)),
  });
  client.pause();
  const sent = overfill(ws);
  client.sendPing("lost");
  assert.deepEqual(await pings.atLeast(1), ["lost"]);
  client.resume();
  await client.received(sent);
  const seen = await client.settled();
  assert.equal(seen.length, sent);
  assert.ok(!seen.some((frame) => frame.startsWith("pong")));
});

// The end of a connection under backpressure ----------------------------------------------------------------------

test("closeOnBackpressureLimit closes with 1006 after the turn that overflowed", async (t) => {
  const events = t.recorder();
  const { ws, client } = await t.pair({
    backpressureLimit: CHUNK,
    closeOnBackpressureLimit: true,
    drain: () => events.add("drain"),
    close: (ws, code, reason) => events.add([code, reason, ws.readyState]),
  });
  client.pause();
  const answers = sendUntil(ws, 0);
  assert.equal(runsOf(answers), "n -1 0");
  assert.equal(ws.readyState, 1);
  assert.deepEqual(events.entries, []);
  assert.deepEqual(await events.atLeast(1), [[1006, "", 3]]);
  client.resume();
  const seen = await client.finished();
  assert.ok(seen.length < answers.length - 1, "what was queued is lost");
  assert.ok(!seen.some((frame) => frame.startsWith("close")));
  assert.deepEqual(events.entries, [[1006, "", 3]]);
});

test("close() delivers what is queued before the close frame", async (t) => {
  const events = t.recorder();
  const { ws, client } = await t.pair({
    drain: () => events.add("drain"),
    close: (_, code, reason) => events.add([code, reason]),
  });
  client.pause();
  const sent = sendUntil(ws, -1).length;
  ws.close(4001, "bye");
  assert.deepEqual(events.entries, [[4001, "bye"]]);
  assert.equal(ws.getBufferedAmount(), 0);
  assert.equal(ws.send("late"), 0);
  client.resume();
  const seen = await client.finished();
  assert.equal(seen.at(-1), "close:4001:bye");
  assertNumbered(client, sent);
  assert.deepEqual(events.entries, [[4001, "bye"]]);
  assert.equal(client.state, "fin");
});

test("the peer's close frame is answered behind what is queued", async (t) => {
  const events = t.recorder();
  const { ws, client } = await t.pair({ close: (_, code, reason) => events.add([code, reason]) });
  client.pause();
  const sent = overfill(ws);
  client.sendClose(1000, "bye");
  assert.deepEqual(await events.atLeast(1), [[1000, "bye"]]);
  client.resume();
  const seen = await client.finished();
  assert.equal(seen.at(-1), "close:1000:bye");
  assertNumbered(client, sent);
});

test("terminate() does not wait for what the kernel did not take", async (t) => {
  const events = t.recorder();
  const { ws, client } = await t.pair({ close: (_, code, reason) => events.add([code, reason]) });
  client.pause();
  const sent = overfill(ws);
  ws.terminate();
  assert.deepEqual(events.entries, [[1006, ""]]);
  client.resume();
  const seen = await client.finished();
  assert.ok(seen.length < sent, `${seen.length} of ${sent} arrived`);
  assert.ok(!seen.some((frame) => frame.startsWith("close")));
});

for (const how of ["reset", "destroy"]) {
  test(`reports 1006 and no drain when the peer goes by ${how}() under backpressure`, async (t) => {
    const events = t.recorder();
    const { ws, client } = await t.pair({
      drain: () => events.add("drain"),
      close: (_, code, reason) => events.add([code, reason]),
    });
    client.pause();
    overfill(ws);
    /** @type {any} */ (client)[how]();
    assert.deepEqual(await events.atLeast(1), [[1006, ""]]);
    assert.equal(ws.getBufferedAmount(), 0);
    assert.equal(ws.readyState, 3);
    await turn();
    assert.deepEqual(events.entries, [[1006, ""]]);
  });
}

// Publishing ------------------------------------------------------------------------------------------------------

test("server.publish answers for the slowest subscriber and does not hold the others back", async (t) => {
  const { server, sockets, clients } = await t.room(3, {
    backpressureLimit: MEBIBYTE,
    open: (ws) => ws.subscribe("room"),
  });
  const [first, slow, third] = clients;
  slow.pause();
  /** @type {number[]} */
  const answers = [];
  const publish = async (size = CHUNK) => {
    answers.push(server.publish("room", numbered(answers.length, size)));
    // Only the second client stops reading: the others are given the time to take each message.
    await first.received(answers.length);
    await third.received(answers.length);
    return answers.at(-1);
  };
  while ((await publish()) !== -1) assert.ok(answers.length < 5000);
  assert.equal(await publish(8 * MEBIBYTE), -1, "accepted while the queue is below its limit");
  const accepted = answers.length;
  assert.equal(await publish(), 0);
  assert.equal(await publish(), 0);
  assert.equal(sockets[0].publish("room", numbered(answers.length)), 0);
  await third.received(answers.length + 1);
  assertNumbered(third, answers.length + 1);
  slow.resume();
  await slow.received(accepted);
  await eventually(() => sockets[1].getBufferedAmount() === 0, "the slow socket to be drained");
  assert.equal(server.publish("room", "again"), 5);
  assert.equal((await slow.received(accepted + 1)).at(-1), "text:again");
  assertNumbered(slow, accepted);
});

test("closeOnBackpressureLimit takes a slow subscriber out of a topic", async (t) => {
  const closed = t.recorder();
  const { server, sockets, clients } = await t.room(2, {
    backpressureLimit: CHUNK,
    closeOnBackpressureLimit: true,
    open: (ws) => ws.subscribe("room"),
    close: (ws, code, reason) => closed.add([sockets.indexOf(ws), code, reason]),
  });
  clients[1].pause();
  let published = 0;
  while (closed.entries.length === 0) {
    server.publish("room", numbered(published++));
    assert.ok(published < 5000);
    await clients[0].received(published);
  }
  assert.deepEqual(closed.entries, [[1, 1006, ""]]);
  assert.equal(server.subscriberCount("room"), 1);
  assert.equal(server.publish("room", "after"), 5);
  assert.equal((await clients[0].received(published + 1)).at(-1), "text:after");
});

test("a slow peer does not slow down others of the same server", async (t) => {
  const { sockets, clients } = await t.room(2, { message: (ws, data) => ws.send(data) });
  clients[0].pause();
  overfill(sockets[0]);
  for (let i = 0; i < 50; i++) {
    clients[1].sendText(`echo ${i}`);
    assert.equal((await clients[1].received(i + 1)).at(-1), `text:echo ${i}`);
  }
  assert.ok(sockets[0].getBufferedAmount() > 0);
});
