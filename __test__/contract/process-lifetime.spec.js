// @ts-check
// Servers and the life of their process (semantics 3.3 and 13), each in a process of its own.

import assert from "node:assert/strict";
import { test } from "../support/test.js";

test("delivers what was sent and the close frame when the process exits at once", async (t) => {
  // The client lives here, the server in the child: its exit must not take bytes with it.
  const { connected, result } = await outside(t, async ({ serve, emit }) => {
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message(/** @type {any} */ ws) {
          for (let i = 0; i < 100; i++) ws.send(`message ${i}`);
          ws.close(4000, "exiting");
          process.exit(3);
        },
      },
    });
    emit({ port: server.port });
  });
  const client = await connected;
  client.sendText("go");
  const seen = await client.finished();
  assert.equal(seen.length, 101);
  assert.equal(seen[99], "text:message 99");
  assert.equal(seen[100], "close:4000:exiting");
  assert.equal((await result).code, 3);
});

test("delivers what a cork sent when the process exits behind it", async (t) => {
  const { connected, result } = await outside(t, async ({ serve, emit }) => {
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message(/** @type {any} */ ws) {
          ws.cork(() => ws.send("corked"));
          setImmediate(() => process.exit(0));
        },
      },
    });
    emit({ port: server.port });
  });
  const client = await connected;
  client.sendText("go");
  assert.deepEqual(await client.finished(), ["text:corked"]);
  assert.equal((await result).code, 0);
});

test("keeps the process alive while it listens", async (t) => {
  const result = await t.child(
    ({ serve, emit }) => {
      serve({ fetch: () => new Response("ok") });
      setTimeout(() => emit("still alive"), 300).unref?.();
      process.on("exit", () => emit("exit"));
    },
    { kill: /still alive/ },
  );
  assert.deepEqual(result.emitted, ["still alive"]);
  assert.equal(result.signal, "SIGKILL");
});

test("lets the process end after stop(true)", async (t) => {
  const result = await t.child(async ({ serve, raw, emit, wait }) => {
    const opened = wait.gate();
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: { open: () => opened.open(), message() {} },
    });
    const client = await raw.RawClient.connect(server);
    await opened.passed;
    server.stop(true);
    await client.finished();
    client.destroy();
    emit("stopped");
  });
  assert.deepEqual(result.emitted, ["stopped"]);
  assert.equal(result.code, 0);
});

test("lets the process end after stop() once the last socket has closed", async (t) => {
  const result = await t.child(async ({ serve, raw, emit, wait }) => {
    const opened = wait.gate();
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: { open: (/** @type {any} */ ws) => opened.open(ws), message() {} },
    });
    const client = await raw.RawClient.connect(server);
    const ws = await opened.passed;
    server.stop();
    ws.send("still open");
    emit(await client.received(1));
    client.sendClose(1000);
    await client.finished();
    client.destroy();
  });
  assert.deepEqual(result.emitted, [["text:still open"]]);
  assert.equal(result.code, 0);
});

test("unref() lets the process end", async (t) => {
  const result = await t.child(({ serve, emit }) => {
    const server = serve({ fetch: () => new Response("ok") });
    server.unref();
    emit("ready");
  });
  assert.deepEqual(result.emitted, ["ready"]);
  assert.equal(result.code, 0);
});

test("unref() lets the process end even with open websockets", async (t) => {
  const { connected, result } = await outside(t, async ({ serve, emit }) => {
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message(/** @type {any} */ ws) {
          server.unref();
          ws.send("unref");
        },
      },
    });
    emit({ port: server.port });
  });
  const client = await connected;
  client.sendText("go");
  assert.deepEqual(await client.finished(), ["text:unref"]);
  assert.equal((await result).code, 0);
});

test("ref() takes unref() back", async (t) => {
  const result = await t.child(
    ({ serve, emit }) => {
      const server = serve({ fetch: () => new Response("ok") });
      server.unref();
      server.ref();
      setTimeout(() => emit("still alive"), 300).unref?.();
    },
    { kill: /still alive/ },
  );
  assert.equal(result.signal, "SIGKILL");
});

test("survives process.exit() in every handler", async (t) => {
  for (const kind of ["open", "message", "ping", "close"]) {
    const result = await t.child(
      async ({ serve, raw, emit, input }) => {
        const server = serve({
          fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
          websocket: {
            message() {},
            [input]() {
              emit(input);
              process.exit(5);
            },
          },
        });
        const client = await raw.RawClient.connect(server);
        client.sendPing("x").sendText("x").sendClose(1000);
      },
      { input: kind },
    );
    assert.deepEqual(result.emitted, [kind]);
    assert.equal(result.code, 5, kind);
  }
});

/**
 * Runs a server in a child and connects to it from here, over the port it emits first.
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {(tools: import("../support/harness.js").ChildTools) => any} program
 */
async function outside(t, program) {
  /** @type {(value: any) => void} */
  let found = () => {};
  const connected = new Promise((resolve) => {
    found = resolve;
  });
  const result = t.child(program, { onEmit: (value) => found(t.connect(value.port)) });
  return {
    connected: /** @type {Promise<import("../support/raw-client.js").RawClient>} */ (connected),
    result,
  };
}
