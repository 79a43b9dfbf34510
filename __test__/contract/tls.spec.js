// @ts-check
// TLS (semantics 17).

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import net from "node:net";
import { identity, pathOf, pem } from "../support/certificates.js";
import { argumentTypeError } from "../support/errors.js";
import { binaryFrame, encodeFrame, handshake } from "../support/raw-client.js";
import { isBun, runtime } from "../support/subject.js";
import { test } from "../support/test.js";

const a = identity("a.test");
const b = identity("b.test");
const fetch = (/** @type {Request} */ request) => new Response(request.url);
const echo = { message: (/** @type {any} */ ws, /** @type {any} */ data) => void ws.send(data) };

/** Whom a client that asks for this name meets. @param {any} t @param {any} server @param {string} [servername] */
async function met(t, server, servername) {
  const client = await t.tcp(server, { secure: { servername } });
  return client.tls.getPeerCertificate().subject.CN;
}

/**
 * The status that a client with this certificate gets; how the connection ended, if it gets none.
 * @param {any} t @param {any} server @param {object} [certificate]
 */
async function statusFor(t, server, certificate) {
  try {
    const client = await t.tcp(server, { secure: { servername: "a.test", ...certificate } });
    client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    return (await client.response())?.status ?? "refused";
  } catch {
    return "refused";
  }
}

test("says so in server.url and protocol, and in the url of requests", async (t) => {
  const server = t.serve({ fetch, tls: a });
  assert.equal(server.protocol, "https");
  assert.equal(server.url.href, `https://127.0.0.1:${server.port}/`);
  assert.equal(Object.prototype.toString.call(server), "[object HTTPSServer]");
  assert.equal((await t.request(server, "GET /x?y HTTP/1.1\nHost: h")).text(), "https://h/x?y");
});

test("is called DebugHTTPSServer in development", (t) => {
  const server = t.serve({ fetch, tls: a, development: true });
  assert.equal(Object.prototype.toString.call(server), "[object DebugHTTPSServer]");
});

test("speaks TLS 1.3", async (t) => {
  const client = await t.tcp(t.serve({ fetch, tls: a }));
  assert.equal(client.tls.getProtocol(), "TLSv1.3");
});

test("keeps a connection for the next request", async (t) => {
  const server = t.serve({ fetch, tls: a });
  const client = await t.tcp(server);
  for (const path of ["/1", "/2", "/3"]) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    assert.equal((await client.response())?.text(), `https://h${path}`);
  }
});

test("takes a request body and gives a response body of a megabyte", async (t) => {
  const server = t.serve({
    tls: a,
    fetch: async (/** @type {Request} */ r) => new Response(await r.arrayBuffer()),
  });
  const body = Buffer.alloc(1 << 20, "0123456789");
  const answer = await t.request(server, `POST / HTTP/1.1\nContent-Length: ${body.length}`, { body });
  assert.ok(answer.body.equals(body));
});

test("closes a connection that speaks plain HTTP, and no other", async (t) => {
  const server = t.serve({ fetch, tls: a });
  const client = await t.tcp(server, { secure: false });
  client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal(await client.response(), undefined);
  assert.notEqual(client.state, "open");
  assert.equal(await statusFor(t, server), 200);
});

test("ends handshakes of random bytes, and no others", async (t) => {
  const server = t.serve({ fetch, tls: a });
  for (let i = 0; i < 20; i++) {
    const client = await t.tcp(server, { secure: false });
    // A record's header in front of some of them, so that they get further.
    const length = 64;
    client.write(Buffer.concat([Buffer.from([22, 3, 1, 0, length]), Buffer.alloc(length, 17 * i)]));
    client.end();
    await client.finished();
  }
  assert.equal(await statusFor(t, server), 200);
});

test("a client that leaves within the handshake reaches no handler", async (t) => {
  let requests = 0;
  const server = t.serve({ tls: a, fetch: () => new Response(String(++requests)) });
  for (const bytes of ["", "\x16", "\x16\x03\x01\x02\x00\x01"]) {
    const client = await t.tcp(server, { secure: false });
    client.write(bytes).end();
    await client.finished();
  }
  assert.equal((await t.request(server, "GET / HTTP/1.1")).text(), "1");
});

// WebSockets -------------------------------------------------------------------------------------------------------

test("carries WebSocket messages of every size, in order", async (t) => {
  const server = t.sockets(echo, { tls: a });
  const client = await t.connect(server);
  const sizes = [0, 1, 20, 125, 126, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000, 1 << 20];
  for (const size of sizes) client.sendBinary(Buffer.alloc(size, size));
  await client.received(sizes.length);
  assert.deepEqual(
    client.frames.map(({ payload }) => payload.length),
    sizes,
  );
  for (const [i, size] of sizes.entries()) {
    assert.ok(client.frames[i].payload.equals(Buffer.alloc(size, size)), `${size} bytes`);
  }
});

test("joins frames that come in pieces of any length", async (t) => {
  const client = await t.connect(t.sockets(echo, { tls: a }));
  const wire = Buffer.concat([binaryFrame(Buffer.alloc(70_000, 7)), encodeFrame(1, "tail")]);
  for (let at = 0, step = 1; at < wire.length; at += step, step = (step * 7) % 9973 || 1) {
    client.write(wire.subarray(at, at + step));
  }
  assert.deepEqual(await client.received(2), ["binary:70000 bytes", "text:tail"]);
});

test("answers a thousand messages of one write in order", async (t) => {
  const client = await t.connect(t.sockets(echo, { tls: a }));
  const frames = Array.from({ length: 1000 }, (_, i) => encodeFrame(1, String(i)));
  client.write(Buffer.concat(frames));
  await client.received(1000);
  assert.ok(client.frames.every(({ payload }, i) => payload.toString() === String(i)));
});

test("carries messages of random sizes for many clients at once, each in order", {
  limit: 30_000,
}, async (t) => {
  const server = t.sockets(echo, { tls: a });
  let state = 7;
  const random = (/** @type {number} */ end) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % end;
  };
  const clients = await Promise.all(Array.from({ length: 20 }, () => t.connect(server)));
  const sent = clients.map(() => /** @type {Buffer[]} */ ([]));
  for (let round = 0; round < 20; round++) {
    for (const [i, one] of clients.entries()) {
      const size = 1 + random(2 ** (1 + random(16)));
      const message = Buffer.alloc(size, (7 * i + round) % 256);
      sent[i].push(message);
      one.sendBinary(message);
    }
  }
  sent[0].push(Buffer.alloc(1 << 20, 1));
  clients[0].sendBinary(sent[0][20]);
  for (const [i, one] of clients.entries()) {
    await one.received(sent[i].length, 20_000);
    assert.ok(
      sent[i].every((message, k) => one.frames[k].payload.equals(message)),
      `client ${i}`,
    );
  }
});

test("what was sent arrives although the process exits", async (t) => {
  const { key, cert } = a;
  /** @type {any} */
  let one;
  const result = await t.child(
    ({ serve, emit, input }) => {
      const server = serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: input,
        fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
        websocket: {
          message(/** @type {any} */ ws) {
            for (let i = 0; i < 20; i++) ws.send(`${i} ${"x".repeat(1000)}`);
            ws.close(4000, "last");
            process.exit(3);
          },
        },
      });
      emit(server.port);
    },
    {
      input: { key, cert },
      onEmit: async (port) => {
        one = await t.connect(port, { secure: {} });
        one.sendText("go");
      },
    },
  );
  assert.equal(result.code, 3);
  const seen = await one.finished();
  assert.equal(seen.length, 21);
  assert.equal(seen.at(-1), "close:4000:last");
});

test("takes frames that came in the same record as the handshake", async (t) => {
  const server = t.sockets(echo, { tls: a });
  const client = await t.connect(server, { behind: encodeFrame(1, "early") });
  assert.deepEqual(await client.received(1), ["text:early"]);
});

test("gives the code of a close from either side, and ends the stream", async (t) => {
  const closes = t.recorder();
  const close = (/** @type {any} */ _ws, /** @type {number} */ code, /** @type {string} */ reason) =>
    closes.add([code, reason]);
  const message = (/** @type {any} */ ws) => ws.close(4001, "server");
  const server = t.sockets({ message, close }, { tls: a });
  const first = await t.connect(server);
  first.sendText("close");
  assert.deepEqual(await first.finished(), ["close:4001:server"]);
  const second = await t.connect(server);
  second.sendClose(4002, "client");
  assert.deepEqual(await second.finished(), ["close:4002:client"]);
  assert.deepEqual(await closes.atLeast(2), [
    [4001, "server"],
    [4002, "client"],
  ]);
});

test("terminate() ends the stream without a close frame", async (t) => {
  const { client, ws } = await t.pair({}, { tls: a });
  ws.terminate();
  assert.deepEqual(await client.finished(), []);
});

test("reports 1006 for a peer that leaves without a close frame", async (t) => {
  const closes = t.recorder();
  const { client } = await t.pair({ close: (_, code) => closes.add(code) }, { tls: a });
  client.end();
  assert.deepEqual(await closes.atLeast(1), [1006]);
});

test("queues for a slow reader, drains, and loses nothing", async (t) => {
  const drained = t.recorder();
  const { client, ws } = await t.pair({ drain: () => drained.add("drain") }, { tls: a });
  client.pause();
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  for (let answer = 0; answer !== -1; sent++) {
    chunk.writeUInt32BE(sent);
    answer = ws.send(chunk);
    assert.notEqual(answer, 0);
  }
  assert.ok(ws.getBufferedAmount() > 0);
  client.resume();
  await client.received(sent);
  assert.ok(
    client.frames.every(({ payload }, i) => payload.length === 65_536 && payload.readUInt32BE(0) === i),
  );
  await drained.atLeast(1);
  assert.equal(ws.getBufferedAmount(), 0);
  assert.equal(ws.send("behind"), 6);
  assert.equal((await client.received(sent + 1)).at(-1), "text:behind");
});

test("publishes to subscribers with and without delay alike", async (t) => {
  const server = t.sockets({ open: (ws) => ws.subscribe("all"), ...echo }, { tls: a });
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(await t.connect(server));
  for (const client of clients) await client.settled();
  const large = "x".repeat(200_000);
  server.publish("all", "small");
  server.publish("all", large);
  for (const client of clients) {
    assert.deepEqual(await client.received(2), ["text:small", "text:200000 bytes"]);
  }
});

test("stop(true) closes WebSockets with 1001", async (t) => {
  const server = t.sockets(echo, { tls: a });
  const client = await t.connect(server);
  await server.stop(true);
  assert.deepEqual(await client.finished(), ["close:1001:Server closed"]);
});

test("listens on a unix socket", { skip: process.platform === "win32" && "no unix sockets" }, async (t) => {
  const path = `/tmp/ferrows-tls-${process.pid}-${runtime}.sock`;
  const server = t.serve({ fetch, tls: a, unix: path, port: undefined, hostname: undefined });
  assert.equal(server.protocol, "https");
  const client = await t.tcp(path, { secure: {} });
  client.write("GET /u HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal((await client.response())?.text(), "https://h/u");
});

// Forms of the material --------------------------------------------------------------------------------------------

const bytesOf = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text));

for (const [form, tls] of Object.entries({
  strings: a,
  Buffers: { key: Buffer.from(a.key), cert: Buffer.from(a.cert) },
  "typed arrays": { key: bytesOf(a.key), cert: bytesOf(a.cert) },
  ArrayBuffers: { key: bytesOf(a.key).buffer, cert: bytesOf(a.cert).buffer },
  DataViews: { key: new DataView(bytesOf(a.key).buffer), cert: new DataView(bytesOf(a.cert).buffer) },
  "arrays of one": { key: [a.key], cert: [bytesOf(a.cert)] },
  "keyFile and certFile": { keyFile: pathOf("a.test.key"), certFile: pathOf("a.test.crt") },
  "text around the PEM": { key: `before\n${a.key}after`, cert: `before\n${a.cert}after` },
  "an array with one object": [a],
  "a key in PKCS#1": { key: pem("a.pkcs1.key"), cert: a.cert },
  "a key in PKCS#8 that needs its passphrase": {
    key: pem("a.encrypted.key"),
    cert: a.cert,
    passphrase: "sesame",
  },
  "a key in PKCS#1 that needs its passphrase": {
    key: pem("a.encrypted-pkcs1.key"),
    cert: a.cert,
    passphrase: "sesame",
  },
  "a passphrase nobody needs": { ...a, passphrase: "sesame" },
  "options without effect": { ...a, lowMemoryMode: true, clientRenegotiationLimit: 3, ca: [] },
})) {
  test(`takes ${form}`, async (t) => {
    const server = t.serve({ fetch, tls });
    assert.equal(server.protocol, "https");
    assert.equal(await met(t, server), "a.test");
  });
}

for (const [kind, name, tls] of /** @type {[string, string, object][]} */ ([
  ["EC (P-256)", "b.test", b],
  ["EC (P-256) in SEC 1 form", "b.test", { ...b, key: pem("b.sec1.key") }],
  ["EC (P-384)", "d.test", identity("d.test")],
])) {
  test(`takes a key of kind ${kind}`, async (t) => {
    const server = t.serve({ fetch, tls });
    assert.equal(await met(t, server, name), name);
    assert.equal((await t.request(server, "GET /k HTTP/1.1\nHost: h")).text(), "https://h/k");
  });
}

test("sends the whole chain of a certificate", async (t) => {
  const server = t.serve({ fetch, tls: { key: pem("leaf.test.key"), cert: pem("chain.crt") } });
  const secure = { servername: "leaf.test", ca: pem("authority.crt"), rejectUnauthorized: true };
  const client = await t.tcp(server, { secure });
  client.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal((await client.response())?.status, 200);
});

for (const [what, tls] of Object.entries({
  null: null,
  false: false,
  "{}": {},
  "[]": [],
  "[{}]": [{}],
  "empty arrays": { key: [], cert: [] },
  "null in it": { key: null, cert: null },
  "unknown members only": { color: "red" },
})) {
  test(`is plain HTTP with tls: ${what}`, async (t) => {
    const server = t.serve({ fetch, tls });
    assert.equal(server.protocol, "http");
    assert.equal((await t.request(server, "GET /p HTTP/1.1\nHost: h")).text(), "http://h/p");
  });
}

// What is refused --------------------------------------------------------------------------------------------------

/** @param {any} t @param {any} tls */
const serveWith = (t, tls) => () => t.serveBare({ port: 0, fetch, tls });

for (const [what, tls, message] of /** @type {[string, any, string][]} */ ([
  ["a string", "x", "TLSOptions must be an object"],
  ["a number", 5, "TLSOptions must be an object"],
  ["true", true, "TLSOptions must be an object"],
  ["an array with null", [null], "TLSOptions must be an object"],
  [
    "a key that is a number",
    { ...a, key: 5 },
    "TLSOptions.key must be of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null",
  ],
  [
    "a certificate that is an object",
    { ...a, cert: {} },
    "TLSOptions.cert must be of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null",
  ],
  [
    "an array with a number",
    { ...a, key: [5] },
    "element of TLSOptions.key must be of type string, ArrayBuffer, or Blob",
  ],
  [
    "a Blob",
    { ...a, cert: new Blob([a.cert]) },
    "TLSOptions.cert is not a valid BunFile (non-BunFile `Blob`s are not supported)",
  ],
  ["a serverName that is a number", { ...a, serverName: 5 }, "TLSOptions.serverName must be a string"],
  ["a passphrase that is a number", { ...a, passphrase: 5 }, "TLSOptions.passphrase must be a string"],
  [
    "a requestCert that is a string",
    { ...a, requestCert: "yes" },
    "TLSOptions.requestCert must be a boolean",
  ],
  [
    "a rejectUnauthorized that is a string",
    { ...a, rejectUnauthorized: "yes" },
    "TLSOptions.rejectUnauthorized must be a boolean",
  ],
  [
    "secureOptions that are a string",
    { ...a, secureOptions: "x" },
    "TLSOptions.secureOptions must be a number",
  ],
  [
    "a minVersion that is a string",
    { ...a, minVersion: "TLSv1.3" },
    "TLSOptions.minVersion must be a number",
  ],
  ["a keyFile that is a number", { keyFile: 5, certFile: 5 }, "TLSOptions.keyFile must be a string"],
  [
    "a keyFile that is not there",
    { keyFile: "/nowhere/key", certFile: pathOf("a.test.crt") },
    "Unable to access keyFile path",
  ],
  ["two objects without names", [a, b], "SNI tls object must have a serverName"],
])) {
  test(`throws for ${what}`, (t) => {
    assert.throws(serveWith(t, tls), argumentTypeError(message));
  });
}

for (const [what, tls, code] of /** @type {[string, any, string][]} */ ([
  ["a key that is no PEM", { ...a, key: "x" }, "ERR_OSSL_PEM_NO_START_LINE"],
  ["a certificate that is no PEM", { ...a, cert: "x" }, "ERR_OSSL_PEM_NO_START_LINE"],
  ["an empty key", { ...a, key: "" }, "ERR_OSSL_PEM_NO_START_LINE"],
  ["key and certificate the wrong way round", { key: a.cert, cert: a.key }, "ERR_OSSL_PEM_NO_START_LINE"],
  [
    "a key of another certificate",
    { ...a, key: identity("stranger").key, cert: b.cert },
    "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
  ],
  [
    "a wrong passphrase",
    { key: pem("a.encrypted.key"), cert: a.cert, passphrase: "open" },
    "ERR_OSSL_BAD_DECRYPT",
  ],
  ["a missing passphrase", { key: pem("a.encrypted.key"), cert: a.cert }, "ERR_OSSL_BAD_DECRYPT"],
])) {
  test(`throws an Error with a code for ${what}`, (t) => {
    assert.throws(serveWith(t, tls), (/** @type {any} */ error) => {
      assert.deepEqual([error.name, error.code], ["Error", code]);
      // What to do stands in the message, where it is ours.
      if (!isBun) assert.match(error.message, /^TLSOptions\.\w+ .*: (give|a path)/);
      return true;
    });
  });
}

for (const [what, tls] of Object.entries({
  "a key": { key: a.key },
  "a certificate": { cert: a.cert },
  "a passphrase": { passphrase: "sesame" },
  "an authority": { ca: a.cert },
})) {
  test(`throws for ${what} alone`, { differs: 12 }, (t) => {
    assert.throws(serveWith(t, tls), {
      name: "TypeError",
      code: "ERR_INVALID_ARG_TYPE",
      message: /both key and cert/,
    });
  });
}

test("leaves the port free when the material is bad", async (t) => {
  const { port } = await new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const address = /** @type {any} */ (probe.address());
      probe.close(() => resolve(address));
    });
  });
  assert.throws(() => t.serveBare({ port, hostname: "127.0.0.1", fetch, tls: { ...a, key: "x" } }));
  assert.equal(t.serve({ port, fetch, tls: a }).port, port);
});

// Names ------------------------------------------------------------------------------------------------------------

test("chooses the certificate by the name the client asks for", async (t) => {
  const server = t.serve({
    fetch,
    tls: [
      { ...a, serverName: "a.test" },
      { ...b, serverName: "b.test" },
      { ...identity("d.test"), serverName: "d.test" },
    ],
  });
  for (const name of ["a.test", "b.test", "d.test"]) assert.equal(await met(t, server, name), name);
});

test("gives the first certificate to clients that ask for another name, or none", async (t) => {
  const server = t.serve({
    fetch,
    tls: [
      { ...a, serverName: "a.test" },
      { ...b, serverName: "b.test" },
    ],
  });
  assert.equal(await met(t, server, "elsewhere.test"), "a.test");
  assert.equal(await met(t, server), "a.test");
});

test("the first of several needs no name", async (t) => {
  const server = t.serve({ fetch, tls: [a, { ...b, serverName: "b.test" }] });
  assert.equal(await met(t, server, "b.test"), "b.test");
  assert.equal(await met(t, server, "a.test"), "a.test");
});

test("a star stands for one label, and case does not matter", async (t) => {
  const server = t.serve({
    fetch,
    tls: [
      { ...a, serverName: "a.test" },
      { ...b, serverName: "*.B.test" },
    ],
  });
  assert.equal(await met(t, server, "x.b.test"), "b.test");
  assert.equal(await met(t, server, "b.test"), "a.test");
  assert.equal(await met(t, server, "y.x.b.test"), "a.test");
  if (runtime !== "deno") assert.equal(await met(t, server, "X.B.TEST"), "b.test");
});

// Clients' certificates --------------------------------------------------------------------------------------------

const client = identity("client");
const stranger = identity("stranger");

test("requestCert with ca lets in whom the authority vouches for, and nobody else", async (t) => {
  let requests = 0;
  const server = t.serve({
    fetch: () => new Response(String(++requests)),
    tls: { ...a, requestCert: true, ca: pem("authority.crt") },
  });
  assert.equal(await statusFor(t, server, client), 200);
  assert.equal(await statusFor(t, server), "refused");
  assert.equal(await statusFor(t, server, stranger), "refused");
  assert.equal(requests, 1);
});

test("a self-signed certificate among ca is let in itself", async (t) => {
  const server = t.serve({
    fetch,
    tls: { ...a, requestCert: true, ca: [pem("authority.crt"), stranger.cert] },
  });
  assert.equal(await statusFor(t, server, stranger), 200);
  assert.equal(await statusFor(t, server, client), 200);
  assert.equal(await statusFor(t, server, b), "refused");
});

test("requestCert without ca lets in nobody whom no well-known authority vouches for", async (t) => {
  const server = t.serve({ fetch, tls: { ...a, requestCert: true } });
  assert.equal(await statusFor(t, server, stranger), "refused");
  assert.equal(await statusFor(t, server), "refused");
});

test("rejectUnauthorized: false lets everybody in", async (t) => {
  const server = t.serve({
    fetch,
    tls: { ...a, requestCert: true, rejectUnauthorized: false, ca: pem("authority.crt") },
  });
  assert.equal(await statusFor(t, server, client), 200);
  assert.equal(await statusFor(t, server), 200);
  assert.equal(await statusFor(t, server, stranger), 200);
});

test("ca without requestCert asks nobody", async (t) => {
  const server = t.serve({ fetch, tls: { ...a, ca: pem("authority.crt") } });
  assert.equal(await statusFor(t, server), 200);
});

const strict = { requestCert: true, ca: pem("authority.crt") };
const lenient = { ...strict, rejectUnauthorized: false };
const strictForStranger = { requestCert: true, ca: stranger.cert };
const named = (/** @type {any} */ first, /** @type {any} */ second) => [
  { ...a, serverName: "a.test", ...first },
  { ...b, serverName: "b.test", ...second },
];
const everybody = ["client", "nobody", "stranger"];

for (const [what, tls, who] of /** @type {[string, any, Record<string, string[]>][]} */ ([
  [
    "for one name: others ask nothing",
    named({}, strict),
    { "a.test": everybody, "b.test": ["client"], "c.test": everybody },
  ],
  [
    "for one name that is not the first's, which has none",
    [a, { ...b, serverName: "b.test", ...strict }],
    { "a.test": everybody, "b.test": ["client"] },
  ],
  [
    "of the first and of another, with authorities of their own",
    named(strict, strictForStranger),
    { "a.test": ["client"], "b.test": ["stranger"], "c.test": ["client"] },
  ],
  [
    "with rejectUnauthorized: false for the first name",
    named(lenient, strict),
    { "a.test": everybody, "b.test": ["client"] },
  ],
  ["with rejectUnauthorized: false for another", named({}, lenient), { "b.test": everybody }],
  [
    "without ca for another",
    named({ ca: strict.ca }, { requestCert: true }),
    { "a.test": everybody, "b.test": [] },
  ],
  [
    "of the first, with ca of another",
    named(strict, { ca: stranger.cert }),
    { "a.test": ["client"], "b.test": ["stranger"] },
  ],
  [
    "of the first, with requestCert of another",
    named(strict, { requestCert: true }),
    { "a.test": ["client"], "b.test": [] },
  ],
  ["that is only asked for, with ca of another", named(lenient, { ca: strict.ca }), { "b.test": everybody }],
  [
    "for a star, beside an exact name",
    [a, { ...b, serverName: "b.test" }, { ...b, serverName: "*.test", ...strict }],
    { "b.test": everybody, "c.test": ["client"], "x.c.test": everybody },
  ],
])) {
  test(`a requestCert ${what}`, async (t) => {
    const server = t.serve({ fetch, tls });
    for (const [servername, welcome] of Object.entries(who)) {
      for (const [name, certificate] of Object.entries({ client, nobody: {}, stranger })) {
        const expected = welcome.includes(name) ? 200 : "refused";
        const got = await statusFor(t, server, { servername, ...certificate });
        assert.equal(got, expected, `${name} at ${servername}`);
      }
    }
  });
}

test("asks the same of clients of both versions", {
  skip: runtime === "deno" && "no versions",
}, async (t) => {
  const server = t.serve({ fetch, tls: named({}, strict) });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
    const at = { servername: "b.test", maxVersion };
    assert.equal(await statusFor(t, server, at), "refused");
    assert.equal(await statusFor(t, server, { ...at, ...client }), 200);
    assert.equal(await statusFor(t, server, { maxVersion }), 200);
  }
});

test("a session of one name opens no other", { skip: runtime === "deno" && "no sessions" }, async (t) => {
  const server = t.serve({ fetch, tls: named({}, strict) });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
    const first = await t.tcp(server, { secure: { servername: "a.test", maxVersion } });
    const tickets = t.recorder();
    first.tls.on("session", (session) => tickets.add(session));
    first.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await first.response();
    const session = first.tls.getSession() ?? (await tickets.atLeast(1))[0];
    assert.equal(await statusFor(t, server, { servername: "a.test", maxVersion, session }), 200);
    assert.equal(await statusFor(t, server, { servername: "b.test", maxVersion, session }), "refused");
  }
});

// Versions ---------------------------------------------------------------------------------------------------------

const onlyNode = runtime === "deno" && "the client of this runtime cannot choose a version";
const TLS12 = 0x0303;
const TLS13 = 0x0304;
const NO_TLS12 = 0x08000000;
const NO_TLS13 = 0x20000000;

for (const [what, tls, versions] of /** @type {[string, any, string[]]} */ (
  /** @type {any} */ ([
    ["both by default", {}, ["TLSv1.2", "TLSv1.3"]],
    ["TLS 1.3 by minVersion", { minVersion: TLS13 }, ["TLSv1.3"]],
    ["TLS 1.2 by maxVersion", { maxVersion: TLS12 }, ["TLSv1.2"]],
    ["both by minVersion", { minVersion: TLS12, maxVersion: TLS13 }, ["TLSv1.2", "TLSv1.3"]],
    ["TLS 1.3 by secureOptions", { secureOptions: NO_TLS12 }, ["TLSv1.3"]],
    ["TLS 1.2 by secureOptions", { secureOptions: NO_TLS13 }, ["TLSv1.2"]],
  ])
)) {
  test(`offers ${what}`, { skip: onlyNode }, async (t) => {
    const server = t.serve({ fetch, tls: { ...a, .../** @type {any} */ (tls) } });
    for (const version of /** @type {const} */ (["TLSv1.1", "TLSv1.2", "TLSv1.3"])) {
      const secure = { minVersion: version, maxVersion: version };
      const got = await t.tcp(server, { secure }).then(
        (opened) => opened.tls.getProtocol(),
        () => "refused",
      );
      assert.equal(got, versions.includes(version) ? version : "refused", version);
    }
  });
}

test("carries WebSockets over TLS 1.2", { skip: onlyNode }, async (t) => {
  const server = t.sockets(echo, { tls: a });
  const old = await t.connect(server, { secure: { maxVersion: "TLSv1.2" } });
  assert.equal(old.tls.getProtocol(), "TLSv1.2");
  old.sendBinary(Buffer.alloc(100_000, 1));
  old.sendText("and more");
  assert.deepEqual(await old.received(2), ["binary:100000 bytes", "text:and more"]);
});

// Only here --------------------------------------------------------------------------------------------------------

const beyondBun = isBun && "beyond what Bun does";

test("takes a key of kind Ed25519, or on P-521", { skip: beyondBun }, async (t) => {
  for (const name of ["c.test", "e.test"]) {
    const server = t.serve({ fetch, tls: identity(name) });
    assert.equal((await t.request(server, "GET /k HTTP/1.1\nHost: h")).text(), "https://h/k");
  }
});

test("serves a certificate of version 1", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: { key: b.key, cert: pem("old.crt") } });
  assert.equal(await statusFor(t, server), 200);
});

test("chooses among keys of several kinds what the client can check", {
  skip: beyondBun || onlyNode,
}, async (t) => {
  const tls = { key: [a.key, b.key], cert: [a.cert, b.cert] };
  const server = t.serve({ fetch, tls });
  for (const [sigalgs, name] of [
    ["rsa_pss_rsae_sha256", "a.test"],
    ["ecdsa_secp256r1_sha256", "b.test"],
  ]) {
    const found = await t.tcp(server, { secure: { sigalgs } });
    assert.equal(found.tls.getPeerCertificate().subject.CN, name);
  }
});

test("offers http/1.1 by ALPN", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: a });
  const found = await t.tcp(server, { secure: { ALPNProtocols: ["h2", "http/1.1"] } });
  assert.equal(found.tls.alpnProtocol, "http/1.1");
});

test("a name that says nothing has the rules of the first", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: named(strict, {}) });
  for (const servername of ["a.test", "b.test", "c.test"]) {
    assert.equal(await statusFor(t, server, { servername, ...client }), 200, servername);
    assert.equal(await statusFor(t, server, { servername, ...stranger }), "refused", servername);
    assert.equal(await statusFor(t, server, { servername }), "refused", servername);
  }
});

test("reload({ tls }) changes what names ask for", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: named({}, strict) });
  server.reload({ tls: named({}, strictForStranger) });
  const servername = "b.test";
  assert.equal(await statusFor(t, server, { servername, ...client }), "refused");
  assert.equal(await statusFor(t, server, { servername, ...stranger }), 200);
  server.reload({ tls: named({}, {}) });
  assert.equal(await statusFor(t, server, { servername }), 200);
});

test("reload({ tls }) changes certificates for the connections to come", { skip: beyondBun }, async (t) => {
  const server = t.sockets(echo, { tls: a });
  const old = await t.connect(server);
  assert.equal(await met(t, server), "a.test");
  server.reload({ tls: b });
  assert.equal(await met(t, server), "b.test");
  old.sendText("still here");
  assert.deepEqual(await old.received(1), ["text:still here"]);
  assert.equal(server.protocol, "https");
});

test("reload() with bad material throws and changes nothing", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: a });
  const other = () => new Response("other");
  assert.throws(() => server.reload({ fetch: other, tls: { ...a, key: b.key } }), {
    code: "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
  });
  assert.throws(() => server.reload({ fetch: other, tls: { key: a.key } }), { name: "TypeError" });
  assert.equal(await met(t, server), "a.test");
  assert.equal((await t.request(server, "GET /x HTTP/1.1\nHost: h")).text(), "https://h/x");
});

test("reload() without tls keeps the certificates", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: a });
  for (const tls of [undefined, null, false, {}]) server.reload({ fetch, tls });
  assert.equal(await met(t, server), "a.test");
});

test("reload({ tls }) of a plain server throws", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch });
  assert.throws(
    () => server.reload({ fetch, tls: a }),
    argumentTypeError("reload() cannot turn TLS on: call serve() with tls from the start."),
  );
  assert.equal((await t.request(server, "GET / HTTP/1.1\nHost: h")).text(), "http://h/");
});

for (const [what, tls, message] of /** @type {[string, any, RegExp][]} */ ([
  ["ciphers", { ...a, ciphers: "HIGH" }, /^TLSOptions\.ciphers is not offered: leave it out/],
  [
    "versions of which none is left",
    { ...a, minVersion: TLS13, maxVersion: TLS12 },
    /leaves no protocol version/,
  ],
  [
    "a minVersion for one of several names",
    named({}, { minVersion: TLS13 }),
    /^TLSOptions\.minVersion holds for the whole server/,
  ],
  [
    "a requestCert that asks less than the first's",
    named(strict, { requestCert: false }),
    /^TLSOptions\.requestCert cannot ask less of clients than the first tls object does/,
  ],
  [
    "a rejectUnauthorized that asks less than the first's",
    named(strict, { rejectUnauthorized: false }),
    /^TLSOptions\.rejectUnauthorized cannot ask less of clients/,
  ],
  [
    "objects for one name that ask different things",
    [...named({}, strict), { ...b, serverName: "B.test" }],
    /belong to a name: give them alike in all tls objects for b\.test\.$/,
  ],
  [
    "the same with the first name",
    [...named({}, {}), { ...a, serverName: "a.test", ...strict }],
    /belong to a name: give them alike in all tls objects for a\.test\.$/,
  ],
])) {
  test(`throws for ${what}`, { skip: beyondBun }, (t) => {
    assert.throws(serveWith(t, tls), { name: "TypeError", code: "ERR_INVALID_ARG_TYPE", message });
  });
}

test("a handshake that does not come is given up after the idle timeout", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: a, idleTimeout: 1 });
  const silent = await t.tcp(server, { secure: false });
  const halfway = await t.tcp(server, { secure: false });
  halfway.write(Buffer.from([22, 3, 1, 2, 0, 1]));
  for (const one of [silent, halfway]) {
    await one.finished();
    assert.notEqual(one.state, "open");
  }
});

test("stop(true) ends handshakes that have not ended", { skip: beyondBun }, async (t) => {
  const server = t.serve({ fetch, tls: a });
  const silent = await t.tcp(server, { secure: false });
  const halfway = await t.tcp(server, { secure: false });
  halfway.write(Buffer.from([22, 3, 1, 2, 0, 1]));
  assert.equal(await statusFor(t, server), 200);
  await server.stop(true);
  await silent.finished();
  await halfway.finished();
});

test("a response of many pieces arrives whole", async (t) => {
  const pieces = 200;
  const server = t.serve({
    tls: a,
    fetch: () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            for (let i = 0; i < pieces; i++) {
              controller.enqueue(Buffer.alloc(10_000, i));
              if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
            }
            controller.close();
          },
        }),
      ),
  });
  const { body } = await t.request(server, "GET / HTTP/1.1");
  assert.equal(body.length, pieces * 10_000);
  for (let i = 0; i < pieces; i++) assert.equal(body[i * 10_000], i);
});

test("requests of one write are answered in order", { differs: 1 }, async (t) => {
  const one = await t.tcp(t.serve({ fetch, tls: a }));
  one.write("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal((await one.response())?.text(), "https://h/1");
  assert.equal((await one.response())?.text(), "https://h/2");
  one.write(handshake());
  assert.equal((await one.response())?.status, 200);
});
