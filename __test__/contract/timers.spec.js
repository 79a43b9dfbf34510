// @ts-check
// Idle timers and automatic pings (semantics 9). Time itself is the subject here: all tests of the file run at
// once, each with the shortest timer there is.

import assert from "node:assert/strict";
import { together } from "../support/test.js";

const now = () => performance.now() / 1000;
const elapse = (/** @type {number} */ seconds) =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const TIMED_OUT = [1006, "WebSocket timed out from inactivity"];
/** Milliseconds to wait for events of a timer. */
const PATIENCE = 20_000;

/**
 * Seconds may be off by Bun's grid of 4 s, by ours of 1 s, and never below what was asked on ours (row 7).
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {number} seconds
 * @param {number} asked
 */
function assertAbout(t, seconds, asked) {
  const { early, late } = t.expected(7, { bun: { early: 4.2, late: 4.2 }, ours: { early: 0.1, late: 2.2 } });
  assert.ok(
    seconds > asked - early && seconds < asked + late,
    `${seconds.toFixed(2)} s instead of ${asked} s`,
  );
}

/**
 * A pair that records its close.
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {import("../support/harness.js").Handlers} handlers
 */
async function timed(t, handlers) {
  const closed = t.recorder();
  const begun = now();
  const pair = await t.pair({ ...handlers, close: (_, code, reason) => closed.add([code, reason]) });
  return { ...pair, closed, begun };
}

together(
  [
    [
      "closes a silent connection after idleTimeout, without a close frame",
      async (t) => {
        const { client, closed, begun } = await timed(t, { idleTimeout: 8, sendPings: false });
        assert.deepEqual(await client.finished(PATIENCE), []);
        assertAbout(t, now() - begun, 8);
        assert.deepEqual(closed.entries, [TIMED_OUT]);
        assert.equal(client.state, "fin");
      },
    ],
    [
      "takes an idleTimeout of 1 to 7 as 8",
      async (t) => {
        const { client, closed, begun } = await timed(t, { idleTimeout: 1, sendPings: false });
        await client.finished(PATIENCE);
        assertAbout(t, now() - begun, 8);
        assert.deepEqual(closed.entries, [TIMED_OUT]);
      },
    ],
    [
      "sends an empty ping 4 s before the timeout, and closes when it is not answered",
      async (t) => {
        const { client, closed, begun } = await timed(t, { idleTimeout: 8 });
        assert.deepEqual(await client.received(1, PATIENCE), ["ping:"]);
        assertAbout(t, now() - begun, 4);
        assert.deepEqual(await client.finished(PATIENCE), ["ping:"]);
        assertAbout(t, now() - begun, 8);
        assert.deepEqual(closed.entries, [TIMED_OUT]);
      },
    ],
    [
      "keeps a connection open whose peer answers the pings, and calls the pong handler",
      async (t) => {
        const pongs = t.recorder();
        const { client, closed, begun, ws } = await timed(t, {
          idleTimeout: 8,
          pong: (_, data) => pongs.add(data.length),
        });
        for (let round = 1; round <= 3; round++) {
          await client.received(round, PATIENCE);
          client.sendPong();
          await pongs.atLeast(round);
        }
        assert.ok(now() - begun > 8, "outlived the timeout");
        assert.equal(ws.readyState, 1);
        assert.deepEqual(closed.entries, []);
        assert.deepEqual(pongs.entries, [0, 0, 0]);
      },
    ],
    ...["message", "ping"].map(
      (kind) =>
        /** @type {[string, (t: import("../support/harness.js").Fixture) => Promise<void>]} */ ([
          `starts the timer anew with the peer's ${kind}`,
          async (t) => {
            const { client, closed } = await timed(t, { idleTimeout: 8, sendPings: false });
            await elapse(3);
            const reset = now();
            kind === "message" ? client.sendText("still here") : client.sendPing();
            await client.finished(PATIENCE);
            assertAbout(t, now() - reset, 8);
            assert.deepEqual(closed.entries, [TIMED_OUT]);
          },
        ]),
    ),
    [
      "starts the timer anew with a message of the server",
      async (t) => {
        const { client, ws, closed } = await timed(t, { idleTimeout: 8, sendPings: false });
        await elapse(3);
        const reset = now();
        ws.send("keep");
        assert.deepEqual(await client.finished(PATIENCE), ["text:keep"]);
        assertAbout(t, now() - reset, 8);
        assert.deepEqual(closed.entries, [TIMED_OUT]);
      },
    ],
    [
      "neither closes nor pings when idleTimeout is 0 or negative",
      async (t) => {
        const pairs = [await timed(t, { idleTimeout: 0 }), await timed(t, { idleTimeout: -1 })];
        await elapse(13);
        for (const { client, closed } of pairs) {
          assert.deepEqual(await client.settled(), []);
          assert.deepEqual(closed.entries, []);
        }
      },
    ],
    [
      "stops the timer of a paused socket",
      async (t) => {
        const { ws, closed } = await timed(t, { idleTimeout: 8, sendPings: false });
        ws.pause();
        await elapse(13);
        assert.equal(ws.readyState, 1);
        assert.deepEqual(closed.entries, []);
      },
    ],
    [
      "closes an idle keep-alive connection after the server's idleTimeout",
      async (t) => {
        const server = t.serve({ fetch: () => new Response("ok"), idleTimeout: 1 });
        const { client } = await t.request(server, "GET / HTTP/1.1");
        const answered = now();
        await client.finished(PATIENCE);
        const seconds = now() - answered;
        assert.ok(seconds > 0.9 && seconds < 5.5, `${seconds} s`);
        assert.equal(client.state, "fin");
      },
    ],
    [
      "ends a pending request without a response after server.timeout(request, 1)",
      async (t) => {
        const server = t.serve({
          fetch(/** @type {Request} */ request, /** @type {any} */ self) {
            self.timeout(request, 1);
            return new Promise(() => {});
          },
          idleTimeout: 60,
        });
        const client = await t.tcp(server);
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert.equal(await client.response({ ms: PATIENCE }), undefined);
        assert.equal(client.bytesRead, 0);
      },
    ],
    [
      "does not apply the server's idleTimeout to upgraded sockets",
      async (t) => {
        const server = t.sockets({}, { idleTimeout: 1 });
        const client = await t.connect(server);
        await elapse(6);
        assert.deepEqual(await client.settled(), []);
      },
    ],
  ],
  { limit: 30_000 },
);
