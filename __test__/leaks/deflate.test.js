// @ts-check
// What compression takes: nothing that stays, next to nothing for an idle connection, and no more for a used one than
// its option says. `FERROWS_LEAKS_SCALE` makes the tests smaller or larger.

import assert from "node:assert/strict";
import { test } from "node:test";
import { measure, SCALE, skip, withPeers } from "./measure.js";

/** @typedef {import("./measure.js").Processes} Processes */

test("1,000,000 compressed messages leave nothing behind", { skip }, () =>
  measure("messages", 1_000_000, ({ load }, part) => load.order("compressedMessages", part(1_000_000))),
);

test("50,000 connections with contexts of their own leave nothing behind", { skip }, () =>
  measure("closes", 50_000, ({ load }, part) => load.order("compressedConnections", part(50_000))),
);

/** Position of a setting in server.js. */
const SHARED = 1;
/** Names, positions in server.js, and connections: the less each takes the more there must be to tell it from noise. */
const SIZES = /** @type {[string, number, number][]} */ ([
  ["256KB", 2, 1000],
  ["16KB", 3, 3000],
  ["3KB", 4, 8000],
]);

test("an idle connection that has agreed on shared contexts costs no more than one without", { skip }, () =>
  withPeers(async (processes) => {
    await processes.server.order("deflate", SHARED);
    const cost = await difference(processes, Math.ceil(10_000 * SCALE), "holdPlain", "holdCompressed", 2);
    console.log(`${cost.toFixed(0)} bytes more`);
    assert.ok(cost <= 200, `${cost} bytes more`);
  }),
);

for (const [size, setting, count] of SIZES) {
  test(`contexts of "${size}" take at most that, each way, once used`, { skip }, () =>
    withPeers(async (processes) => {
      await processes.server.order("deflate", setting);
      const used = `holdUsed${size}`;
      const cost = await difference(processes, Math.ceil(count * SCALE), "holdCompressed", used, 1);
      console.log(`${(cost / 1024).toFixed(1)} KiB for both`);
      assert.ok(cost <= 2 * 1024 * Number.parseInt(size, 10), `${cost} bytes for both`);
      assert.ok(cost >= 1024, "nothing was kept, so nothing was measured");
    }),
  );
}

/**
 * Bytes that each connection of the second kind takes more than one of the first. What was taken once stays with the
 * allocator: so the first kind comes first. Of several rounds those closest to each other count, for what only one
 * of them takes is something else.
 *
 * @param {Processes} processes
 * @param {number} count
 * @param {string} less   order that opens connections
 * @param {string} more
 * @param {number} rounds
 */
async function difference({ server, load }, count, less, more, rounds) {
  const taken = async (/** @type {string} */ order, /** @type {number} */ sockets) => {
    await load.order(order, sockets);
    const { rss, open } = await server.order("memoryOf", sockets);
    assert.equal(open, sockets);
    await load.order("release");
    await server.order("memory");
    return rss;
  };
  // Fills caches and pools.
  await taken(less, count);
  await taken(more, Math.min(count, WARM_UP));
  let few = 0;
  for (let round = 0; round < rounds; round++) few = Math.max(few, await taken(less, count));
  let many = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) many = Math.min(many, await taken(more, count));
  return (many - few) / count;
}

/** Connections that fill what all of them share. */
const WARM_UP = 100;
