// @ts-check
// Exceptions and rejections in websocket handlers (semantics 18). What ends a process runs in one of its own.

import assert from "node:assert/strict";
import { test } from "../support/test.js";

// With an error handler ---------------------------------------------------------------------------------------------

for (const kind of ["message", "ping", "pong"]) {
  test(`gives what ${kind} throws to the error handler, and goes on`, async (t) => {
    const errors = t.recorder();
    const failure = new Error("thrown");
    let calls = 0;
    const throwOnce = (/** @type {any} */ ws) => {
      if (calls++ === 0) throw failure;
      ws.send("second call");
    };
    const { client, ws } = await t.pair({
      [kind]: throwOnce,
      /** @param {...any} args */
      error: (...args) => errors.add(args),
    });
    const send = () =>
      kind === "message" ? client.sendText("x") : kind === "ping" ? client.sendPing() : client.sendPong();
    send();
    const [args] = await errors.atLeast(1);
    assert.equal(args.length, 2);
    assert.equal(args[0], failure);
    assert.equal(args[1], ws);
    assert.equal(ws.readyState, 1);
    send();
    await client.until(() => client.seen().includes("text:second call"), "the second call's message");
  });
}

test("gives what drain throws to the error handler", async (t) => {
  const errors = t.recorder();
  const { client, ws } = await t.pair({
    drain() {
      throw new Error("in drain");
    },
    error: (error, ws) => errors.add([error.message, ws.readyState]),
  });
  client.pause();
  let sent = 1;
  while (ws.send(Buffer.alloc(1024 * 1024)) !== -1) sent++;
  client.resume();
  const [first] = await errors.atLeast(1);
  assert.deepEqual(first, ["in drain", 1]);
  await client.received(sent);
});

test("closes the socket when open throws: close handler first, then error", async (t) => {
  const order = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      order.add(["upgrade", self.upgrade(request)]);
    },
    websocket: {
      open() {
        throw new Error("in open");
      },
      message() {},
      close: (/** @type {any} */ _ws, /** @type {number} */ code, /** @type {string} */ reason) =>
        order.add(["close", code, reason]),
      error: (/** @type {any} */ error, /** @type {any} */ ws) =>
        order.add(["error", error.message, ws.readyState]),
    },
  });
  const client = await t.connect(server);
  assert.deepEqual(await client.finished(), []);
  const expected = [
    ["close", 1006, ""],
    ["error", "in open", 3],
    ["upgrade", true],
  ];
  assert.deepEqual(order.entries, expected);
});

test("gives what close throws to the error handler and closes all the same", async (t) => {
  const errors = t.recorder();
  const { client, ws, server } = await t.pair({
    close() {
      throw new Error("in close");
    },
    error: (error, ws) => errors.add([error.message, ws.readyState]),
  });
  ws.subscribe("room");
  client.sendClose(4000, "bye");
  assert.deepEqual(await client.finished(), ["close:4000:bye"]);
  assert.deepEqual(await errors.atLeast(1), [["in close", 3]]);
  assert.equal(server.subscriberCount("room"), 0);
});

test("does not let what close throws out of close()", async (t) => {
  const errors = t.recorder();
  const { client, ws } = await t.pair({
    close() {
      throw new Error("in close");
    },
    error: (error) => errors.add(error.message),
  });
  ws.close(4000);
  assert.deepEqual(errors.entries, ["in close"]);
  assert.deepEqual(await client.finished(), ["close:4000:"]);
});

test("passes values that are not errors as they are", async (t) => {
  const errors = t.recorder();
  const thrown = ["a string", 5, null, undefined];
  const { client } = await t.pair({
    message(_, index) {
      throw thrown[Number(index)];
    },
    error: (error) => errors.add([error]),
  });
  for (const index of thrown.keys()) client.sendText(String(index));
  assert.deepEqual(
    await errors.atLeast(4),
    thrown.map((value) => [value]),
  );
});

test("loses none of the messages of one read when some handlers throw", async (t) => {
  const events = t.recorder();
  const { client } = await t.pair({
    message(_, data) {
      events.add(data);
      if (Number(data) % 3 === 0) throw new Error(data);
    },
    error: (error) => events.add(`error ${error.message}`),
  });
  const { textFrame } = await import("../support/raw-client.js");
  client.write(Buffer.concat(Array.from({ length: 20 }, (_, index) => textFrame(`${index}`))));
  const expected = Array.from({ length: 20 }, (_, i) =>
    i % 3 === 0 ? [`${i}`, `error ${i}`] : [`${i}`],
  ).flat();
  assert.deepEqual(await events.atLeast(expected.length), expected);
});

test("hands an exception of fetch to the server's error handler", async (t) => {
  const server = t.serve({
    fetch() {
      throw new Error("in fetch");
    },
    error: (/** @type {Error} */ error) => new Response(`handled: ${error.message}`, { status: 503 }),
  });
  const response = await t.request(server, "GET / HTTP/1.1");
  assert.equal(response.status, 503);
  assert.equal(response.text(), "handled: in fetch");
});

// In a process of its own -------------------------------------------------------------------------------------------

for (const kind of ["open", "message", "close"]) {
  test(`ends the process with code 1 when ${kind} throws and nobody handles it`, async (t) => {
    const result = await t.child(
      async ({ serve, raw, emit, input }) => {
        const fail = () => {
          emit("handler");
          throw new Error("nobody handles me");
        };
        const server = serve({
          fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
          websocket: { message() {}, [input]: fail },
        });
        const client = await raw.RawClient.connect(server);
        client.sendText("x").sendClose(1000);
      },
      { input: kind },
    );
    assert.deepEqual(result.emitted, ["handler"]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /nobody handles me/);
  });
}

test("reports an exception as uncaughtException and keeps the socket", async (t) => {
  const result = await t.child(async ({ serve, raw, emit }) => {
    process.on("uncaughtException", (error) => emit(["uncaught", error.message]));
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message(/** @type {any} */ ws, /** @type {string} */ data) {
          if (data === "a") throw new Error("first");
          ws.send(data);
        },
      },
    });
    const client = await raw.RawClient.connect(server);
    client.write(Buffer.concat([raw.textFrame("a"), raw.textFrame("b")]));
    emit(await client.received(1));
    process.exit(7);
  });
  assert.deepEqual(result.emitted, [["uncaught", "first"], ["text:b"]]);
  assert.equal(result.code, 7);
});

test("reports an exception of drain and of close as uncaughtException", async (t) => {
  const result = await t.child(async ({ serve, raw, emit, wait }) => {
    const done = wait.gate();
    process.on("uncaughtException", (error) => {
      emit(error.message);
      if (error.message === "in close") done.open();
    });
    const opened = wait.gate();
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message() {},
        open: (/** @type {any} */ ws) => opened.open(ws),
        drain(/** @type {any} */ ws) {
          if (ws.getBufferedAmount() === 0) throw new Error("in drain");
        },
        close() {
          throw new Error("in close");
        },
      },
    });
    const client = await raw.RawClient.connect(server);
    const ws = await opened.passed;
    client.pause();
    let sent = 1;
    while (ws.send(Buffer.alloc(1024 * 1024)) !== -1) sent++;
    client.resume();
    await client.received(sent);
    await client.settled();
    client.sendClose(1000);
    await done.passed;
    process.exit(7);
  });
  assert.deepEqual(result.emitted, ["in drain", "in close"]);
  assert.equal(result.code, 7);
});

test("reports what the error handler throws as uncaughtException", async (t) => {
  const result = await t.child(async ({ serve, raw, emit }) => {
    process.on("uncaughtException", (error) => emit(error.message));
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        message() {
          throw new Error("one");
        },
        error() {
          throw new Error("two");
        },
      },
    });
    const client = await raw.RawClient.connect(server);
    client.sendText("x");
    emit(await client.settled());
    process.exit(7);
  });
  assert.deepEqual(result.emitted, ["two", []]);
  assert.equal(result.code, 7);
});

for (const kind of ["open", "message", "ping", "close"]) {
  test(`reports the rejection of an async ${kind} as unhandled, never to the error handler`, async (t) => {
    const result = await t.child(
      async ({ serve, raw, emit, wait, input }) => {
        const reported = wait.gate();
        process.on("unhandledRejection", (error) => {
          emit(["unhandled", /** @type {any} */ (error).message]);
          reported.open();
        });
        const server = serve({
          fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
          websocket: {
            message() {},
            async [input]() {
              await undefined;
              throw new Error("rejected");
            },
            error: () => emit("error handler"),
          },
        });
        const client = await raw.RawClient.connect(server);
        if (input === "message") client.sendText("x");
        if (input === "ping") client.sendPing("x");
        if (input === "close") client.sendClose(1000);
        await reported.passed;
        await wait.turn();
        if (input !== "close") emit(client.state);
        process.exit(7);
      },
      { input: kind },
    );
    const survived = kind === "close" ? [] : ["open"];
    assert.deepEqual(result.emitted, [["unhandled", "rejected"], ...survived]);
    assert.equal(result.code, 7);
  });
}

test("ends the process with code 1 on a rejection that nobody handles", async (t) => {
  const result = await t.child(async ({ serve, raw }) => {
    const server = serve({
      fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
      websocket: {
        async message() {
          await undefined;
          throw new Error("rejected and unhandled");
        },
      },
    });
    const client = await raw.RawClient.connect(server);
    client.sendText("x");
  });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /rejected and unhandled/);
});
