// @ts-check
// The opening handshake: the 101 response, what upgrade() returns or throws, and what surrounds it (semantics 12).

import assert from "node:assert/strict";
import { argumentTypeError } from "../support/errors.js";
import { ACCEPT, handshake, RawClient } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { gate, turn, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

/**
 * A server whose fetch runs `attempt` and answers with its outcome when the request was not upgraded.
 *
 * @param {Fixture} t
 * @param {(server: any, request: Request) => any} attempt
 */
function outcomes(t, attempt) {
  const seen = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      const result = attempt(self, request);
      seen.add(result);
      return result === true ? undefined : new Response(`upgrade: ${result}`);
    },
    websocket: { open: () => seen.add("open"), message() {} },
  });
  return { server, seen };
}

// 12.1 The 101 response -------------------------------------------------------------------------------------------

test("answers 101 with the accept value of the key", async (t) => {
  const { client } = await t.pair();
  const { head } = client;
  assert.equal(head?.version, "HTTP/1.1");
  assert.equal(head?.status, 101);
  assert.equal(head?.statusText, "Switching Protocols");
  assert.equal(head?.header("sec-websocket-accept"), ACCEPT);
  assert.equal(head?.header("upgrade"), "websocket");
  assert.equal(head?.header("connection"), "Upgrade");
  assert.ok(head?.header("date"));
});

test("answers with its headers in Bun's order and spelling, and no others", async (t) => {
  const { client } = await t.pair({}, { upgrade: { headers: { "X-Mine": "1" } } });
  assert.deepEqual(
    client.head?.headers.map(([name]) => name),
    ["X-Mine", "Upgrade", "Connection", "Sec-WebSocket-Accept", "Date"],
  );
});

test("sends user headers, Set-Cookie first and one line each, equal names joined", async (t) => {
  const headers = new Headers([
    ["X-One", "1"],
    ["Set-Cookie", "a=1"],
    ["X-Two", "2"],
    ["x-two", "3"],
    ["Set-Cookie", "b=2"],
  ]);
  const { client } = await t.pair({}, { upgrade: { headers } });
  const sent = client.head?.headers.map(([name, value]) => [name.toLowerCase(), value]) ?? [];
  assert.deepEqual(sent.slice(0, 2), [
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  assert.equal(client.head?.header("x-one"), "1");
  assert.equal(client.head?.header("x-two"), "2, 3");
});

test("accepts headers as an object and as pairs", async (t) => {
  for (const headers of [{ "x-a": "1" }, [["x-a", "1"]], new Headers({ "x-a": "1" })]) {
    const { client } = await t.pair({}, { upgrade: { headers } });
    assert.equal(client.head?.header("x-a"), "1");
  }
});

test("ignores user headers that belong to the handshake itself", async (t) => {
  const headers = {
    Upgrade: "h2c",
    Connection: "close",
    "Sec-WebSocket-Accept": "forged",
    "Sec-WebSocket-Extensions": "permessage-deflate",
    "Content-Length": "5",
    "Transfer-Encoding": "chunked",
    "X-Kept": "yes",
  };
  const { client } = await t.pair({}, { upgrade: { headers } });
  assert.equal(client.head?.header("upgrade"), "websocket");
  assert.equal(client.head?.header("connection"), "Upgrade");
  assert.equal(client.head?.header("sec-websocket-accept"), ACCEPT);
  for (const name of ["sec-websocket-extensions", "content-length", "transfer-encoding"]) {
    assert.equal(client.head?.header(name), undefined, name);
  }
  assert.equal(client.head?.header("x-kept"), "yes");
});

test("lets a user Date replace the server's", async (t) => {
  const date = "Thu, 01 Jan 1970 00:00:00 GMT";
  const { client } = await t.pair({}, { upgrade: { headers: { Date: date } } });
  assert.equal(client.head?.header("date"), date);
});

test("chooses the first offered subprotocol when nothing else was said", async (t) => {
  const offer = { headers: { "Sec-WebSocket-Protocol": "chat, superchat" } };
  const { client } = await t.pair({}, {}, offer);
  assert.equal(client.head?.header("sec-websocket-protocol"), "chat");
});

test("lets a user header choose the subprotocol, even one that was not offered", async (t) => {
  for (const choice of ["superchat", "other"]) {
    const { client } = await t.pair(
      {},
      { upgrade: { headers: { "Sec-WebSocket-Protocol": choice } } },
      { headers: { "Sec-WebSocket-Protocol": "chat, superchat" } },
    );
    assert.equal(client.head?.header("sec-websocket-protocol"), choice);
    assert.equal(client.head?.headers.filter(([name]) => /protocol/i.test(name)).length, 1);
  }
});

test("sends no subprotocol when the user header is empty", async (t) => {
  const { client } = await t.pair(
    {},
    { upgrade: { headers: { "Sec-WebSocket-Protocol": "" } } },
    { headers: { "Sec-WebSocket-Protocol": "chat" } },
  );
  assert.equal(client.status, 101);
  assert.equal(client.head?.header("sec-websocket-protocol"), undefined);
});

test("trims the subprotocol it chooses", async (t) => {
  const client = await t.tcp(t.sockets());
  client.write(handshake({ headers: { "Sec-WebSocket-Protocol": "a , b" } }));
  await client.response();
  const line = client.head?.headers.find(([name]) => name.toLowerCase() === "sec-websocket-protocol");
  assert.equal(line?.[1], t.expected(4, { bun: "a ", ours: "a" }));
});

test("offers no extension unless perMessageDeflate asks for it", async (t) => {
  const { client } = await t.pair({}, {}, { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } });
  assert.equal(client.head?.header("sec-websocket-extensions"), undefined);
});

// 12.2 What upgrade() returns or throws -------------------------------------------------------------------------------

test("refuses a second upgrade of the same request", async (t) => {
  const { server, seen } = outcomes(t, (self, request) => {
    const first = self.upgrade(request);
    seen.add(["second", self.upgrade(request)]);
    return first;
  });
  const client = await t.connect(server);
  assert.equal(client.status, 101);
  assert.deepEqual(seen.entries, ["open", ["second", false], true]);
});

test("upgrades after an await when the client is silent", async (t) => {
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      await turn();
      if (self.upgrade(request)) return undefined;
      return new Response("no");
    },
    websocket: { open: (/** @type {any} */ ws) => ws.send("late but fine"), message() {} },
  });
  const client = await t.connect(server);
  assert.deepEqual(await client.received(1), ["text:late but fine"]);
});

test("returns false once a Response was returned", async (t) => {
  const results = t.recorder();
  const answered = gate();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      answered.passed.then(() => results.add(self.upgrade(request)));
      return new Response("answered");
    },
    websocket: { message() {} },
  });
  const client = await t.connect(server);
  assert.equal(client.status, 200);
  answered.open();
  assert.deepEqual(await results.atLeast(1), [false]);
});

test("returns false once undefined was returned, which answers 204", async (t) => {
  const results = t.recorder();
  const answered = gate();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      answered.passed.then(() => results.add(self.upgrade(request)));
    },
    websocket: { message() {} },
  });
  const client = await t.connect(server);
  assert.equal(client.status, 204);
  answered.open();
  assert.deepEqual(await results.atLeast(1), [false]);
});

test("returns false when the client has gone meanwhile, and aborts the signal", async (t) => {
  const results = t.recorder();
  const begun = gate();
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      begun.open();
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
      results.add(["aborted", request.signal.aborted, self.upgrade(request)]);
      return new Response("nobody reads this");
    },
    websocket: { open: () => results.add("open"), message() {} },
  });
  const client = await t.tcp(server);
  client.write(handshake());
  await within(begun.passed, "fetch");
  client.destroy();
  assert.deepEqual(await results.atLeast(1), [["aborted", true, false]]);
});

/** @type {[string, import("../support/raw-client.js").HandshakeOptions][]} */
const NOT_A_HANDSHAKE = [
  ["there is no Upgrade header", { headers: { Upgrade: undefined } }],
  ["Upgrade names another protocol", { headers: { Upgrade: "h2c" } }],
  ["the method is POST", { method: "POST", headers: { "Content-Length": "0" } }],
  ["there is no key", { headers: { "Sec-WebSocket-Key": undefined } }],
  ["the key is too short", { headers: { "Sec-WebSocket-Key": "c2hvcnQ=" } }],
  ["the key is too long", { headers: { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==" } }],
  ["the key is not base64", { headers: { "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" } }],
];

for (const [why, options] of NOT_A_HANDSHAKE) {
  test(`returns false when ${why}, and the handler's Response is sent`, async (t) => {
    const { server, seen } = outcomes(t, (self, request) => self.upgrade(request));
    const client = await t.tcp(server);
    client.write(handshake(options));
    const response = await client.response();
    assert.equal(response?.status, 200);
    assert.equal(response?.text(), "upgrade: false");
    assert.deepEqual(seen.entries, [false]);
  });
}

for (const version of [undefined, "8", "14", "x"]) {
  test(`answers 426 itself when the version is ${version ?? "absent"}`, async (t) => {
    const { server, seen } = outcomes(t, (self, request) => self.upgrade(request));
    const client = await t.tcp(server);
    client.write(handshake({ headers: { "Sec-WebSocket-Version": version } }));
    const response = await client.response();
    assert.equal(response?.status, 426);
    assert.equal(response?.statusText, "Upgrade Required");
    assert.equal(response?.header("sec-websocket-version"), "13");
    assert.equal(response?.header("connection")?.toLowerCase(), "close");
    assert.equal(response?.text(), "");
    await client.finished();
    assert.deepEqual(seen.entries, [false]);
    assert.equal(client.leftover.length, 0, "the handler's Response is not sent");
  });
}

test("sends the handler's Response to a wrong version when upgrade() is not called", async (t) => {
  const server = t.serve({ fetch: () => new Response("plain"), websocket: { message() {} } });
  const client = await t.tcp(server);
  client.write(handshake({ headers: { "Sec-WebSocket-Version": "8" } }));
  const response = await client.response();
  assert.equal(response?.status, 200);
  assert.equal(response?.text(), "plain");
});

/** @type {[string, (server: any, request: Request, other: any) => any, string][]} */
const WRONG_CALLS = [
  ["no argument", (server) => server.upgrade(), "Missing argument"],
  ["a plain object", (server) => server.upgrade({}), "upgrade requires a Request object"],
  ["a string", (server) => server.upgrade("http://x/"), "upgrade requires a Request object"],
  [
    "a number as options",
    (server, request) => server.upgrade(request, 5),
    "upgrade options must be an object",
  ],
  [
    "a string as options",
    (server, request) => server.upgrade(request, "x"),
    "upgrade options must be an object",
  ],
  [
    "a number as headers",
    (server, request) => server.upgrade(request, { headers: 5 }),
    "upgrade options.headers must be a Headers or an object",
  ],
  [
    "the request of another server",
    (_server, request, other) => other.upgrade(request),
    "upgrade() must be called on the same server that received the request",
  ],
];

for (const [what, call, message] of WRONG_CALLS) {
  test(`throws for ${what}, and the request can still be upgraded`, async (t) => {
    const other = t.sockets();
    /** @type {any} */
    let thrown;
    const { server } = outcomes(t, (self, request) => {
      try {
        call(self, request, other);
      } catch (error) {
        thrown = error;
      }
      return self.upgrade(request);
    });
    const client = await t.connect(server);
    assert.equal(client.status, 101);
    assert.ok(thrown, "nothing was thrown");
    argumentTypeError(message)(thrown);
  });
}

test("takes null options as none", async (t) => {
  const { server } = outcomes(t, (self, request) => self.upgrade(request, null));
  assert.equal((await t.connect(server)).status, 101);
});

test("throws for invalid user headers and leaves the request unanswered", async (t) => {
  const { server, seen } = outcomes(t, (self, request) => {
    assert.throws(() => self.upgrade(request, { headers: { "bad name": "x" } }), TypeError);
    assert.throws(() => self.upgrade(request, { headers: { "x-a": "line\r\nbreak" } }), TypeError);
    return self.upgrade(request);
  });
  assert.equal((await t.connect(server)).status, 101);
  assert.deepEqual(seen.entries, ["open", true]);
});

test("throws when the server has no websocket option", async (t) => {
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      try {
        return new Response(String(self.upgrade(request)));
      } catch (error) {
        return new Response(/** @type {any} */ (error).message);
      }
    },
  });
  const client = await t.tcp(server);
  client.write(handshake());
  const response = await client.response();
  assert.equal(response?.text(), 'To enable websocket support, set the "websocket" object in Bun.serve({})');
});

test("returns false for a request that no server received", async (t) => {
  const { server } = outcomes(t, (self, request) => {
    assert.equal(self.upgrade(new Request("http://localhost/")), false);
    return self.upgrade(request);
  });
  assert.equal((await t.connect(server)).status, 101);
});

/** @type {[string, import("../support/raw-client.js").HandshakeOptions][]} */
const TOLERATED = [
  ["without a Connection header", { headers: { Connection: undefined } }],
  ["with Connection: close", { headers: { Connection: "close" } }],
  ["with Connection: keep-alive, Upgrade", { headers: { Connection: "keep-alive, Upgrade" } }],
  ["with several protocols in Upgrade", { headers: { Upgrade: "h2c, websocket" } }],
  ["with Upgrade: WebSocket", { headers: { Upgrade: "WebSocket" } }],
];

for (const [what, options] of TOLERATED) {
  test(`accepts a handshake ${what}`, async (t) => {
    const client = await t.connect(t.sockets(), options);
    assert.equal(client.status, 101);
    client.sendPing("x");
    assert.deepEqual(await client.received(1), ["pong:78"]);
  });
}

test("rejects a handshake over HTTP/1.0", async (t) => {
  const client = await t.tcp(t.sockets());
  client.write(handshake({ version: "1.0" }));
  const response = await client.response();
  const accepted = t.expected(8, { bun: [101], ours: [400, 426] });
  assert.ok(accepted.includes(response?.status ?? 0), String(response?.status));
});

test("answers 400 to a handshake without Host before any handler runs", async (t) => {
  const { server, seen } = outcomes(t, (self, request) => self.upgrade(request));
  const client = await t.tcp(server);
  client.write(handshake({ headers: { Host: undefined } }));
  assert.equal((await client.response())?.status, 400);
  await client.finished();
  assert.deepEqual(seen.entries, []);
});

// 12.3 Around it ------------------------------------------------------------------------------------------------------

test("passes data of any kind with its identity", async (t) => {
  for (const data of [undefined, null, 0, "text", Symbol.for("s"), { a: 1 }, [1], () => {}]) {
    const { ws } = await t.pair({}, { upgrade: { data } });
    assert.equal(ws.data, data);
  }
});

test("ignores what fetch returns or resolves to after an upgrade", async (t) => {
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      self.upgrade(request);
      await turn();
      return new Response("ignored");
    },
    websocket: { message: (/** @type {any} */ ws, /** @type {any} */ data) => ws.send(data) },
  });
  const client = await t.connect(server);
  client.sendText("echo");
  assert.deepEqual(await client.received(1), ["text:echo"]);
  assert.deepEqual(await client.settled(), ["text:echo"]);
});

test("hands an exception after an upgrade to the server's error handler and keeps the socket", async (t) => {
  const errors = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      self.upgrade(request);
      throw new Error("after upgrade");
    },
    error(/** @type {Error} */ error) {
      errors.add(error.message);
      return new Response("ignored");
    },
    websocket: { message: (/** @type {any} */ ws, /** @type {any} */ data) => ws.send(data) },
  });
  const client = await t.connect(server);
  client.sendText("echo");
  assert.deepEqual(await client.received(1), ["text:echo"]);
  assert.deepEqual(errors.entries, ["after upgrade"]);
});

test("keeps the request readable after the upgrade, but has no address for it any more", async (t) => {
  const seen = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      seen.add(self.requestIP(request)?.address);
      seen.add(self.upgrade(request));
      seen.add([request.method, new URL(request.url).pathname, request.headers.get("x-a")]);
      seen.add([self.requestIP(request), request.signal.aborted]);
    },
    websocket: { message() {} },
  });
  await t.connect(server, { target: "/room?x=1", headers: { "X-A": "b" } });
  assert.deepEqual(seen.entries, ["127.0.0.1", true, ["GET", "/room", "b"], [null, false]]);
});

test("counts pending requests and sockets around the upgrade", async (t) => {
  const counts = t.recorder();
  const count = (/** @type {any} */ server) => counts.add([server.pendingRequests, server.pendingWebSockets]);
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      count(self);
      self.upgrade(request);
      count(self);
    },
    websocket: { open: () => count(server), message: () => count(server) },
  });
  const client = await t.connect(server);
  client.sendText("x");
  assert.deepEqual(await counts.atLeast(4), [
    [1, 0],
    [1, 1],
    [1, 1],
    [0, 1],
  ]);
});

test("upgrades a connection that has served ordinary requests", async (t) => {
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      return self.upgrade(request) ? undefined : new Response("plain");
    },
    websocket: { message: (/** @type {any} */ ws, /** @type {any} */ data) => ws.send(data) },
  });
  const client = await t.tcp(server);
  for (let i = 0; i < 3; i++) {
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal((await client.response())?.text(), "plain");
  }
  client.write(handshake());
  assert.equal((await client.response())?.status, 101);
  client.sendText("echo");
  assert.deepEqual(await client.received(1), ["text:echo"]);
});

test("accepts the head of a handshake in many pieces", async (t) => {
  const client = await t.tcp(t.sockets({ open: (ws) => ws.send("open") }));
  for (const byte of handshake()) {
    client.write(Buffer.from([byte]));
    if (byte === 0x0a) await turn();
  }
  assert.equal((await client.response())?.status, 101);
  assert.deepEqual(await client.received(1), ["text:open"]);
});

test("reads header names in any letter case", async (t) => {
  const client = await t.tcp(t.sockets());
  client.write(
    handshake()
      .toString("latin1")
      .replace(/^(.*?):/gm, (name) => name.toUpperCase()),
  );
  assert.equal((await client.response())?.status, 101);
});

test("serves a hundred handshakes at once", async (t) => {
  const server = t.sockets({ open: (ws) => ws.send("hello") });
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(server)));
  for (const client of clients) t.keep(client);
  for (const client of clients) assert.deepEqual(await client.received(1), ["text:hello"]);
  assert.equal(server.pendingWebSockets, 100);
});
