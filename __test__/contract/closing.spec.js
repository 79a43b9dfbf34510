// @ts-check
// Closing by the server: close(), terminate(), their arguments and what the peer sees (semantics 5.1).

import assert from "node:assert/strict";
import { argumentTypeError } from "../support/errors.js";
import { textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { turn } from "../support/wait.js";

/**
 * Calls close(...args) on a fresh socket.
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {...any} args
 */
async function closeWith(t, ...args) {
  const closed = t.recorder();
  const { ws, client } = await t.pair({ close: (_, code, reason) => closed.add([code, reason]) });
  const result = ws.close(...args);
  assert.equal(result, undefined);
  assert.equal(closed.entries.length, 1, "the handler ran inside close()");
  const wire = await client.finished();
  assert.equal(client.state, "fin");
  return { wire, handler: closed.entries[0] };
}

for (const args of [[], [undefined], [undefined, "ignored?"]]) {
  test(`closes with 1000 for close(${args.map(String).join(", ")})`, async (t) => {
    const { wire, handler } = await closeWith(t, ...args);
    const reason = args[1] ?? "";
    assert.deepEqual(wire, [`close:1000:${reason}`]);
    assert.deepEqual(handler, [1000, reason]);
  });
}

for (const code of [1, 999, 1000, 1001, 1004, 1011, 1015, 1016, 2999, 3000, 4000, 4999, 5000, 65_535]) {
  test(`sends close code ${code} as it is`, async (t) => {
    const { wire, handler } = await closeWith(t, code, "why");
    assert.deepEqual(wire, [`close:${code}:why`]);
    assert.deepEqual(handler, [code, "why"]);
  });
}

for (const code of [0, 1005, 1006]) {
  test(`sends an empty close frame for close(${code}) and tells the handler what was passed`, async (t) => {
    const { wire, handler } = await closeWith(t, code, "kept for the handler");
    assert.deepEqual(wire, ["close:"]);
    assert.deepEqual(handler, [code, "kept for the handler"]);
  });
}

for (const code of [Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`sends an empty close frame for close(${code})`, async (t) => {
    const { wire, handler } = await closeWith(t, code);
    assert.deepEqual(wire, ["close:"]);
    assert.deepEqual(handler, [0, ""]);
  });
}

for (const code of [65_536, -1]) {
  test(`never wraps the code of close(${code})`, async (t) => {
    const { wire, handler } = await closeWith(t, code);
    const bun = code === -1 ? ["close:65535:"] : ["close:"];
    assert.deepEqual(wire, t.expected(6, { bun, ours: ["close:"] }));
    assert.deepEqual(handler, [code, ""]);
  });
}

test("cuts a fractional code to its integer part", async (t) => {
  const { wire, handler } = await closeWith(t, 1000.7);
  assert.deepEqual(wire, ["close:1000:"]);
  assert.deepEqual(handler, [1000, ""]);
});

test("throws for a code that is not a number, and stays open", async (t) => {
  const { ws, client } = await t.pair();
  for (const code of [null, "1001", "x", {}, true, 1000n]) {
    assert.throws(() => ws.close(code), argumentTypeError("close requires a numeric code or undefined"));
  }
  assert.equal(ws.readyState, 1);
  assert.deepEqual(await client.settled(), []);
});

test("accepts any argument on a closed socket", async (t) => {
  const { ws } = await t.pair();
  ws.close();
  for (const code of [null, "x", {}, 5]) assert.equal(ws.close(code), undefined);
  assert.equal(ws.terminate(), undefined);
});

test("cuts the reason to 123 bytes at a character boundary, for the wire and the handler", async (t) => {
  const long = await closeWith(t, 4000, "x".repeat(200));
  assert.deepEqual(long.wire, [`close:4000:${"x".repeat(123)}`]);
  assert.deepEqual(long.handler, [4000, "x".repeat(123)]);
  const split = await closeWith(t, 4000, `${"x".repeat(122)}\u00e9`);
  assert.deepEqual(split.wire, [`close:4000:${"x".repeat(122)}`]);
  assert.deepEqual(split.handler, [4000, "x".repeat(122)]);
  const emoji = await closeWith(t, 4000, "\u{1f600}".repeat(31));
  assert.deepEqual(emoji.handler, [4000, "\u{1f600}".repeat(30)]);
  const exact = await closeWith(t, 4000, "x".repeat(123));
  assert.deepEqual(exact.handler, [4000, "x".repeat(123)]);
});

test("turns a reason into text with String(reason)", async (t) => {
  const reasons = /** @type {[any, string][]} */ ([
    [5, "5"],
    [null, "null"],
    [{}, "[object Object]"],
    [Buffer.from("buffer"), "buffer"],
    [new String("boxed"), "boxed"],
    [undefined, ""],
    ["", ""],
  ]);
  for (const [reason, text] of reasons) {
    const { wire, handler } = await closeWith(t, 4000, reason);
    assert.deepEqual(wire, [`close:4000:${text}`]);
    assert.deepEqual(handler, [4000, text]);
  }
});

test("replaces lone surrogates in a reason", async (t) => {
  const { wire } = await closeWith(t, 4000, "a\ud800");
  assert.deepEqual(wire, ["close:4000:a\ufffd"]);
});

test("throws for a symbol as reason", async (t) => {
  const { ws } = await t.pair();
  assert.throws(() => ws.close(4000, Symbol("s")), {
    name: "TypeError",
    message: "Cannot convert a symbol to a string",
  });
});

test("sends queued messages, the close frame and FIN, without waiting for the peer", async (t) => {
  const { ws, client } = await t.pair();
  ws.send("last");
  ws.close(1000, "done");
  assert.deepEqual(await client.finished(), ["text:last", "close:1000:done"]);
  assert.equal(client.state, "fin");
});

test("ignores everything received after close()", async (t) => {
  const events = t.recorder();
  const { ws, client } = await t.pair({
    message: (_, data) => events.add(data),
    ping: () => events.add("ping"),
    close: (_, code) => events.add(code),
  });
  ws.close(4000);
  client.write(textFrame("late")).sendPing("late").sendClose(4001);
  await client.finished();
  await turn();
  assert.deepEqual(events.entries, [4000]);
  assert.deepEqual(client.seen(), ["close:4000:"]);
});

test("has no effect the second time", async (t) => {
  const { ws, client } = await t.pair();
  ws.close(4001, "one");
  ws.close(4002, "two");
  ws.terminate();
  assert.deepEqual(await client.finished(), ["close:4001:one"]);
});

test("terminate() sends FIN and no close frame, and ignores its arguments", async (t) => {
  const closed = t.recorder();
  const { ws, client } = await t.pair({
    close: (ws, code, reason) => closed.add([code, reason, ws.readyState]),
  });
  assert.equal(ws.terminate(4000, "ignored"), undefined);
  assert.deepEqual(closed.entries, [[1006, "", 3]]);
  assert.deepEqual(await client.finished(), []);
  assert.equal(client.state, "fin");
});

test("terminate() still delivers bytes that the kernel takes at once", async (t) => {
  const { ws, client } = await t.pair();
  ws.send("queued");
  ws.terminate();
  assert.deepEqual(await client.finished(), ["text:queued"]);
});

test("close() and terminate() in open end the connection after the 101", async (t) => {
  const order = t.recorder();
  for (const how of ["close", "terminate"]) {
    const server = t.sockets({
      open(ws) {
        ws.send("hi");
        how === "close" ? ws.close(4002, "no") : ws.terminate();
        order.add([how, ws.readyState, ws.send("x")]);
      },
      close: (_, code) => order.add(code),
    });
    const client = await t.connect(server);
    assert.equal(client.status, 101);
    assert.deepEqual(await client.finished(), how === "close" ? ["text:hi", "close:4002:no"] : ["text:hi"]);
  }
  assert.deepEqual(order.entries, [4002, ["close", 3, 0], 1006, ["terminate", 3, 0]]);
});

test("closing from the ping handler comes after the automatic pong", async (t) => {
  const { client } = await t.pair({ ping: (ws) => ws.close(4000) });
  client.sendPing("abc");
  assert.deepEqual(await client.finished(), ["pong:616263", "close:4000:"]);
});

test("closing many sockets in one turn reaches every one of them", async (t) => {
  const { sockets, clients } = await t.room(30);
  for (const [index, ws] of sockets.entries()) ws.close(4000 + index);
  for (const [index, client] of clients.entries()) {
    assert.deepEqual(await client.finished(), [`close:${4000 + index}:`]);
  }
});
