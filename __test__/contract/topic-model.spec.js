// @ts-check
// Random walks through subscribing, publishing and closing, judged by a model of a few lines (semantics 7).

import assert from "node:assert/strict";
import { test } from "../support/test.js";

const SOCKETS = 6;
const TOPICS = ["a", "b", "c"];
const STEPS = 400;

/** Reproducible numbers below a bound. @param {number} seed */
function dice(seed) {
  let state = seed;
  return (/** @type {number} */ bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

for (const publishToSelf of [false, true]) {
  for (const seed of [1, 2, 3, 4]) {
    test(`agrees with the model on walk ${seed} with publishToSelf ${publishToSelf}`, async (t) => {
      const roll = dice(seed);
      const { server, sockets, clients } = await t.room(SOCKETS, { publishToSelf });
      const open = new Set(sockets.keys());
      /** @type {Map<string, Set<number>>} */
      const members = new Map(TOPICS.map((topic) => [topic, new Set()]));
      /** @type {string[][]} */
      const expected = sockets.map(() => []);

      for (let step = 0; step < STEPS; step++) {
        const who = roll(SOCKETS);
        const ws = sockets[who];
        const topic = TOPICS[roll(TOPICS.length)];
        const set = /** @type {Set<number>} */ (members.get(topic));
        const text = `${step} ${"x".repeat(roll(4) === 0 ? 70 : 0)}`;
        const deliver = (/** @type {number[]} */ receivers) => {
          for (const index of receivers) expected[index].push(`text:${text}`);
          return receivers.length > 0 ? text.length : 0;
        };
        switch (roll(12)) {
          case 0:
          case 1:
          case 2:
            assert.equal(ws.subscribe(topic), open.has(who));
            if (open.has(who)) set.add(who);
            break;
          case 3:
          case 4:
            assert.equal(ws.unsubscribe(topic), set.delete(who));
            break;
          case 5:
          case 6:
          case 7: {
            const receivers = [...set].filter((index) => index !== who || publishToSelf);
            assert.equal(ws.publish(topic, text), deliver(receivers));
            break;
          }
          case 8:
          case 9:
            assert.equal(server.publish(topic, text), deliver([...set]));
            break;
          case 10:
            assert.equal(ws.send(text), open.has(who) ? deliver([who]) : 0);
            break;
          default:
            // Closing is rare, or nobody would be left.
            if (roll(20) > 0 || !open.delete(who)) break;
            ws.close(4000);
            expected[who].push("close:4000:");
            for (const set of members.values()) set.delete(who);
        }
        assert.equal(server.subscriberCount(topic), set.size);
        assert.equal(ws.isSubscribed(topic), set.has(who));
        // The turns of the walk differ in length, so that batches do.
        if (roll(10) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const [index, client] of clients.entries()) {
        const seen = open.has(index) ? await client.settled() : await client.finished();
        assert.deepEqual(seen, expected[index], `client ${index}`);
      }
    });
  }
}
