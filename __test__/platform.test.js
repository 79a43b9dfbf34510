// @ts-check
// Classes of ours that stand under the platform's from the moment at which it makes a difference.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { inherit, inheritLater } from "../js/platform.js";

/** A platform's class, one of ours, and an instance of that, fresh for each test. */
function classes() {
  class Platform {
    get kind() {
      return "platform";
    }
    get url() {
      return "platform's";
    }
    /** @param {number} factor */
    twice(factor) {
      return 2 * factor;
    }
  }
  // As WebIDL has it.
  const enumerable = { enumerable: true };
  for (const name of ["kind", "url", "twice"]) Object.defineProperty(Platform.prototype, name, enumerable);
  class Own {
    get url() {
      return "own";
    }
  }
  Object.defineProperty(Own.prototype, "url", enumerable);
  Reflect.deleteProperty(Own.prototype, "constructor");
  const links = { count: 0 };
  inheritLater(Own.prototype, () => {
    links.count++;
    inherit(Own.prototype, Platform.prototype, new Platform(), () => new Platform());
  });
  return { Platform, own: /** @type {any} */ (new Own()), links };
}

/** @typedef {ReturnType<typeof classes>} Classes */

for (const [what, touch] of /** @type {[string, (classes: Classes) => void][]} */ ([
  ["instanceof", ({ own, Platform }) => assert.ok(own instanceof Platform)],
  [
    "isPrototypeOf",
    ({ own, Platform }) => assert.ok(Object.prototype.isPrototypeOf.call(Platform.prototype, own)),
  ],
  ["reading what only the platform's has", ({ own }) => assert.equal(own.kind, "platform")],
  ["calling a method of the platform's", ({ own }) => assert.equal(own.twice(21), 42)],
  ["reading what neither has", ({ own }) => assert.equal(own.other, undefined)],
  ["constructor", ({ own, Platform }) => assert.equal(own.constructor, Platform)],
  ["in", ({ own }) => assert.ok("kind" in own && !("other" in own))],
  [
    "for ... in",
    ({ own }) => {
      const names = [];
      for (const name in own) names.push(name);
      assert.deepEqual(names.sort(), ["kind", "twice", "url"]);
    },
  ],
  [
    "writing a property that neither has",
    ({ own, Platform }) => {
      own.mark = 7;
      assert.deepEqual(Object.getOwnPropertyDescriptor(own, "mark"), {
        value: 7,
        writable: true,
        enumerable: true,
        configurable: true,
      });
      assert.ok(!("mark" in Platform.prototype));
    },
  ],
])) {
  test(`${what} puts a class under the platform's, once`, () => {
    const made = classes();
    assert.equal(made.own.url, "own");
    assert.equal(made.links.count, 0);
    touch(made);
    touch(made);
    assert.equal(made.own.url, "own");
    assert.ok(made.own instanceof made.Platform);
    assert.equal(made.links.count, 1);
  });
}

test("a program that only upgrades does not load the platform's fetch implementation", async () => {
  const program = `
    import { serve } from ${JSON.stringify(new URL("../index.js", import.meta.url))};
    import { WebSocket } from ${JSON.stringify(import.meta.resolve("ws"))};
    const isLoaded = () => process.moduleLoadList.some((name) => /undici/.test(name));
    const server = serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request, server) {
        if (new URL(request.url).pathname === "/" && server.upgrade(request)) return;
        return new Response();
      },
      websocket: { message: (ws, message) => ws.send(message) },
    });
    const client = new WebSocket("ws://127.0.0.1:" + server.port);
    client.on("open", () => client.send("hello"));
    client.on("message", () => {
      const before = isLoaded();
      Response;
      console.log(before, isLoaded());
      process.exit();
    });
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
  assert.equal(stdout, "false true\n");
});
