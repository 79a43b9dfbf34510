// @ts-check
// What the close handler gets and the peer sees for every cause (semantics 5.2), and what works inside and
// after the close handler (5.3).

import assert from "node:assert/strict";
import { closePayload, encodeFrame, OPCODE, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { eventually } from "../support/wait.js";

/**
 * A pair that records messages and closes.
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {import("../support/harness.js").Handlers} [handlers]
 */
async function recorded(t, handlers = {}) {
  const events = t.recorder();
  const pair = await t.pair({
    message: (_, data) => events.add(["message", data]),
    close: (ws, code, reason) => events.add(["close", code, reason, ws.readyState]),
    ...handlers,
  });
  return { ...pair, events };
}

test("reports 1005 for an empty close frame and echoes it empty", async (t) => {
  const { client, events } = await recorded(t);
  client.sendClose();
  assert.deepEqual(await client.finished(), ["close:"]);
  assert.deepEqual(events.entries, [["close", 1005, "", 3]]);
  assert.equal(client.state, "fin");
});

for (const code of [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
]) {
  test(`echoes the peer's close code ${code} with its reason`, async (t) => {
    const { client, events } = await recorded(t);
    client.sendClose(code, "r\u00e9ason");
    assert.deepEqual(await client.finished(), [`close:${code}:r\u00e9ason`]);
    assert.deepEqual(events.entries, [["close", code, "r\u00e9ason", 3]]);
  });
}

for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]) {
  test(`answers 1002 when the peer closes with the invalid code ${code}`, async (t) => {
    const { client, events } = await recorded(t);
    client.sendClose(code, "x");
    assert.deepEqual(await client.finished(), ["close:1002:Received invalid close code"]);
    assert.deepEqual(events.entries, [["close", 1006, "Received invalid close code", 3]]);
  });
}

test("answers 1002 to a close frame of one byte", async (t) => {
  const { client, events } = await recorded(t);
  client.sendFrame(OPCODE.close, Buffer.from([3]));
  assert.deepEqual(await client.finished(), ["close:1002:Received invalid close payload"]);
  assert.deepEqual(events.entries, [["close", 1006, "Received invalid close payload", 3]]);
});

test("answers 1007 to a close reason that is not UTF-8", async (t) => {
  for (const bad of ["ff", "c3", "eda080", "c0af", "f4908080"]) {
    const { client, events } = await recorded(t);
    client.sendClose(1000, Buffer.from(bad, "hex"));
    assert.deepEqual(await client.finished(), ["close:1007:Received invalid UTF-8"], bad);
    assert.deepEqual(events.entries, [["close", 1006, "Received invalid UTF-8", 3]]);
  }
});

test("accepts a close reason of 123 bytes and ignores frames behind the close frame", async (t) => {
  const { client, events } = await recorded(t);
  client.write(
    Buffer.concat([encodeFrame(OPCODE.close, closePayload(4000, "r".repeat(123))), textFrame("late")]),
  );
  assert.deepEqual(await client.finished(), [`close:4000:${"r".repeat(123)}`]);
  assert.deepEqual(events.entries, [["close", 4000, "r".repeat(123), 3]]);
});

for (const how of ["end", "destroy", "reset"]) {
  test(`reports 1006 when the peer's socket goes away by ${how}() without a close frame`, async (t) => {
    const { client, events, ws } = await recorded(t);
    /** @type {any} */ (client)[how]();
    assert.deepEqual(await events.atLeast(1), [["close", 1006, "", 3]]);
    assert.equal(ws.readyState, 3);
    assert.deepEqual(client.seen(), []);
  });
}

test("reports 1006 when the peer ends in the middle of a frame", async (t) => {
  const whole = textFrame("incomplete");
  for (const length of [1, 2, 5, whole.length - 1]) {
    const { client, events } = await recorded(t);
    client.write(whole.subarray(0, length)).end();
    assert.deepEqual(await events.atLeast(1), [["close", 1006, "", 3]]);
  }
});

test("reports 1006 when the peer ends between the fragments of a message", async (t) => {
  const { client, events } = await recorded(t);
  client.sendText("first", { fin: false }).end();
  assert.deepEqual(await events.atLeast(1), [["close", 1006, "", 3]]);
});

test("delivers a message and its reply when FIN follows at once", async (t) => {
  const { client, events } = await recorded(t, {
    message: (ws, data) => events.add(["message", data, ws.send("reply")]),
  });
  client.write(textFrame("a")).end();
  assert.deepEqual(await events.atLeast(2), [
    ["message", "a", 5],
    ["close", 1006, "", 3],
  ]);
  assert.deepEqual(await client.finished(), ["text:reply"]);
});

test("reports the close frame's code once when FIN follows it at once", async (t) => {
  const { client, events } = await recorded(t);
  client.sendClose(1001, "away").end();
  assert.deepEqual(await client.finished(), ["close:1001:away"]);
  assert.deepEqual(events.entries, [["close", 1001, "away", 3]]);
});

test("runs the close handler while the echo is on its way, with send() returning 0", async (t) => {
  const results = t.recorder();
  const { client } = await t.pair({
    close(ws) {
      results.add([ws.send("x"), ws.sendText("x"), ws.sendBinary(Buffer.from("x")), ws.ping(), ws.pong("p")]);
    },
  });
  client.sendClose(1000);
  assert.deepEqual(await client.finished(), ["close:1000:"]);
  assert.deepEqual(results.entries, [[0, 0, 0, 0, 0]]);
});

test("has left every topic when the close handler runs", async (t) => {
  const seen = t.recorder();
  const { client, server } = await t.pair({
    open(ws) {
      ws.subscribe("a");
      ws.subscribe("b");
    },
    close(ws) {
      seen.add(ws.subscriptions);
      seen.add([ws.isSubscribed("a"), ws.subscribe("c"), ws.unsubscribe("a"), server.subscriberCount("a")]);
      ws.close(4000);
      ws.terminate();
      seen.add([ws.readyState, ws.getBufferedAmount(), ws.isPaused]);
    },
  });
  assert.equal(server.subscriberCount("a"), 1);
  client.sendClose(1000);
  assert.deepEqual(await seen.atLeast(3), [[], [false, false, false, 0], [3, 0, false]]);
});

for (const by of ["peer", "server"]) {
  test(`publishes from the close handler and later when closed by the ${by}`, async (t) => {
    const results = t.recorder();
    const room = await t.room(2, {
      open: (ws) => ws.subscribe("room"),
      close(ws) {
        results.add(ws.publish("room", "left"));
        results.add(ws.publishText("room", "text"));
        results.add(ws.publishBinary("room", Buffer.from([1])));
        results.add(room.server.publish("room", "server"));
        results.add(ws.publish("nobody", "x"));
      },
    });
    by === "peer" ? room.clients[0].sendClose(1000) : room.sockets[0].close();
    assert.deepEqual(await results.atLeast(5), [4, 4, 1, 6, 0]);
    assert.equal(room.sockets[0].publish("room", "later"), 5);
    const expected = ["text:left", "text:text", "binary:01", "text:server", "text:later"];
    assert.deepEqual(await room.clients[1].received(5), expected);
    assert.deepEqual(await room.clients[0].finished(), ["close:1000:"]);
  });
}

test("still counts the socket inside the close handler and no longer after it", async (t) => {
  const counts = t.recorder();
  const { client, server } = await t.pair({ close: () => counts.add(server.pendingWebSockets) });
  assert.equal(server.pendingWebSockets, 1);
  client.sendClose(1000);
  await counts.atLeast(1);
  await eventually(() => server.pendingWebSockets === 0, "pendingWebSockets to be 0");
  assert.deepEqual(counts.entries, [1]);
});

test("counts one less as soon as close() has returned", async (t) => {
  const { sockets, server } = await t.room(3);
  assert.equal(server.pendingWebSockets, 3);
  sockets[0].close();
  assert.equal(server.pendingWebSockets, 2);
  sockets[1].terminate();
  assert.equal(server.pendingWebSockets, 1);
});

test("keeps data, and the address once it was read, in the close handler", async (t) => {
  const seen = t.recorder();
  const { client, ws } = await t.pair(
    { close: (ws) => seen.add([ws.data, ws.remoteAddress]) },
    { upgrade: { data: "kept" } },
  );
  assert.equal(ws.remoteAddress, "127.0.0.1");
  client.sendClose(1000);
  assert.deepEqual(await seen.atLeast(1), [["kept", "127.0.0.1"]]);
});

test("runs cork in the close handler, and still checks publish() and cork() there", async (t) => {
  const seen = t.recorder();
  const { client } = await t.pair({
    close(ws) {
      seen.add(ws.cork(() => "ran"));
      for (const call of [() => ws.cork(), () => ws.publish()]) {
        try {
          call();
        } catch (error) {
          seen.add(/** @type {any} */ (error).message);
        }
      }
      seen.add([ws.send(), ws.ping({}), ws.subscribe(), ws.subscribe("")]);
    },
  });
  client.sendClose(1000);
  assert.deepEqual(await seen.atLeast(4), [
    "ran",
    "Not enough arguments to 'cork'. Expected 1, got 0.",
    "publish requires at least 1 argument",
    [0, 0, false, false],
  ]);
});

test("aborts the upgrade request's signal before the close handler runs", async (t) => {
  const order = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      request.signal.addEventListener("abort", () => order.add("abort"));
      order.add(self.upgrade(request));
      order.add(request.signal.aborted);
    },
    websocket: { message() {}, close: () => order.add("close") },
  });
  const client = await t.connect(server);
  client.sendClose(1000);
  assert.deepEqual(await order.atLeast(4), [true, false, "abort", "close"]);
});
