// @ts-check
// What much use leaves behind: after a warm-up of the same kind, memory and open files must come back to where they
// were. `FERROWS_LEAKS_SCALE` makes the tests smaller or larger.

import { test } from "node:test";
import { measure, skip } from "./measure.js";

test("100,000 connections leave nothing behind", { skip }, () =>
  measure("closes", 75_000, ({ load }, part) => load.order("connections", part(100_000))),
);

test("5,000 TLS connections leave nothing behind", { skip }, () =>
  measure("closes", 2000, ({ load }, part) => load.order("secure", part(5000))),
);

// One in five is a whole handshake, given up before its answer.
test("10,000 broken handshakes and requests leave nothing behind", { skip }, () =>
  measure("requests", 2000, ({ load }, part) => load.order("broken", part(10_000))),
);

test("1,000,000 messages leave nothing behind", { skip }, () =>
  measure("messages", 1_000_000, ({ load }, part) => load.order("messages", part(1_000_000))),
);

test("20,000 requests leave nothing behind", { skip }, () =>
  measure("requests", 20_000, ({ load }, part) => load.order("requests", part(20_000))),
);

// Uploads that are read, and some that are not; streams, large bodies, and static ones.
test("20,000 aborted uploads and downloads leave nothing behind", { skip }, () =>
  measure("requests", 12_000, ({ load }, part) => load.order("aborted", part(20_000))),
);

test("600 reloads leave nothing behind", { skip }, () =>
  measure("reloads", 600, async ({ load, server }, part) => {
    // With connections in between that the handlers of that moment serve.
    for (let left = part(600); left > 0; left -= 20) {
      await server.order("reload", Math.min(left, 20));
      await load.order("connections", 64);
    }
  }),
);
