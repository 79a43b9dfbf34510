// @ts-check
// Requests that are not to be understood: each has its answer, none reaches a handler, and the next connection is
// served as before. Where Bun is more lenient the test says so (row 33 of the differences).

import assert from "node:assert/strict";
import { test, together } from "../support/test.js";
import { gate } from "../support/wait.js";

/** The row of the differences: Bun is more lenient. */
const STRICTER = 33;

const HOST = "Host: a\r\n";
const CRLF = "\r\n";
const nul = "\0";

/** @param {string} line @param {string} [fields] */
const get = (line, fields = HOST) => `${line}${CRLF}${fields}${CRLF}`;

/** @param {string} fields @param {string} [body] */
const post = (fields, body = "") => `POST / HTTP/1.1${CRLF}${HOST}${fields}${CRLF}${CRLF}${body}`;

/** @param {string} body */
const chunked = (body) => post("Transfer-Encoding: chunked", body);

/**
 * What is sent, and the status of the answer. `bun`: its status, where it is another one; null where Bun takes it.
 * @typedef {{ name: string, bytes: string, status: number, bun?: number | null }} Case
 */

/** @type {Case[]} */
const cases = [
  // Two lengths for one body (RFC 9112, 6.3 and 11.2).
  {
    name: "a length and a coding",
    bytes: post("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "a coding and a length",
    bytes: post("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "a coding and a length of 0",
    bytes: post("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "two different lengths",
    bytes: post("Content-Length: 4\r\nContent-Length: 5", "abcde"),
    status: 400,
  },
  {
    name: "two equal lengths",
    bytes: post("Content-Length: 4\r\nContent-Length: 4", "abcd"),
    status: 400,
    bun: null,
  },
  { name: "a list of lengths", bytes: post("Content-Length: 4, 4", "abcd"), status: 400 },
  { name: "a list of different lengths", bytes: post("Content-Length: 4, 5", "abcd"), status: 400 },
  // Lengths that are none.
  { name: "a negative length", bytes: post("Content-Length: -1"), status: 400 },
  { name: "a length with a sign", bytes: post("Content-Length: +4", "abcd"), status: 400 },
  { name: "a length in hexadecimal", bytes: post("Content-Length: 0x4", "abcd"), status: 400 },
  { name: "a length beyond 64 bits", bytes: post("Content-Length: 18446744073709551616"), status: 400 },
  { name: "a length of 40 digits", bytes: post(`Content-Length: ${"9".repeat(40)}`), status: 400 },
  { name: "a length with a fraction", bytes: post("Content-Length: 4.0", "abcd"), status: 400 },
  { name: "a length with a blank inside", bytes: post("Content-Length: 4 4", "abcd"), status: 400 },
  { name: "an empty length", bytes: post("Content-Length:"), status: 400 },
  { name: "a length with a letter", bytes: post("Content-Length: 4a", "abcd"), status: 400 },
  // Codings.
  {
    name: "chunked, identity",
    bytes: post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "identity, chunked",
    bytes: post("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
    status: 400,
  },
  { name: "gzip, chunked", bytes: post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), status: 400 },
  { name: "chunked, chunked", bytes: post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), status: 400 },
  { name: "xchunked", bytes: post("Transfer-Encoding: xchunked", "0\r\n\r\n"), status: 400 },
  { name: "chunkedx", bytes: post("Transfer-Encoding: chunkedx", "0\r\n\r\n"), status: 400 },
  { name: "a quoted coding", bytes: post('Transfer-Encoding: "chunked"', "0\r\n\r\n"), status: 400 },
  { name: "identity", bytes: post("Transfer-Encoding: identity"), status: 400 },
  { name: "an empty coding", bytes: post("Transfer-Encoding:"), status: 400 },
  {
    name: "two codings in two fields",
    bytes: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "a coding behind another in its own field",
    bytes: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
    status: 400,
  },
  {
    name: "a coding in HTTP/1.0",
    bytes: `POST / HTTP/1.0${CRLF}${HOST}Transfer-Encoding: chunked${CRLF}${CRLF}0\r\n\r\n`,
    status: 400,
  },
  {
    name: "a vertical tab in front of the coding",
    bytes: post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
    status: 400,
  },
  { name: "a folded coding", bytes: post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), status: 400 },
  {
    name: "a blank in front of the coding's colon",
    bytes: post("Transfer-Encoding : chunked", "0\r\n\r\n"),
    status: 400,
  },
  // Line ends.
  { name: "bare line feeds", bytes: "GET / HTTP/1.1\nHost: a\n\n", status: 505 },
  { name: "a bare line feed behind the request line", bytes: `GET / HTTP/1.1\n${HOST}\r\n`, status: 505 },
  { name: "a bare line feed behind a field", bytes: `GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n`, status: 400 },
  { name: "a bare line feed as the empty line", bytes: `GET / HTTP/1.1\r\nHost: a\r\n\n`, status: 400 },
  {
    name: "a bare line feed that hides a field",
    bytes: `GET / HTTP/1.1\r\nHost: a\r\nX: 1\nContent-Length: 5\r\n\r\n`,
    status: 400,
  },
  {
    name: "a bare carriage return in a value",
    bytes: get("GET / HTTP/1.1", "Host: a\r\nX: 1\rY: 2\r\n"),
    status: 400,
  },
  {
    name: "a bare carriage return in the request line",
    bytes: get("GET / \rHTTP/1.1"),
    status: 400,
    bun: 505,
  },
  { name: "a carriage return too many", bytes: `GET / HTTP/1.1\r\r\n${HOST}\r\n`, status: 400, bun: 505 },
  // Fields.
  { name: "a folded field", bytes: get("GET / HTTP/1.1", "Host: a\r\nX: 1\r\n 2\r\n"), status: 400 },
  {
    name: "a field folded with a tab",
    bytes: get("GET / HTTP/1.1", "Host: a\r\nX: 1\r\n\t2\r\n"),
    status: 400,
  },
  {
    name: "a fold in front of the first field",
    bytes: get("GET / HTTP/1.1", " X: 1\r\nHost: a\r\n"),
    status: 400,
  },
  { name: "a NUL in a name", bytes: get("GET / HTTP/1.1", `Host: a\r\nX${nul}: 1\r\n`), status: 400 },
  { name: "a NUL in a value", bytes: get("GET / HTTP/1.1", `Host: a\r\nX: a${nul}b\r\n`), status: 400 },
  {
    name: "a control character in a value",
    bytes: get("GET / HTTP/1.1", "Host: a\r\nX: a\x01b\r\n"),
    status: 400,
  },
  {
    name: "a DEL in a value",
    bytes: get("GET / HTTP/1.1", "Host: a\r\nX: a\x7fb\r\n"),
    status: 400,
    bun: null,
  },
  { name: "a blank in a name", bytes: get("GET / HTTP/1.1", "Host: a\r\nX Y: 1\r\n"), status: 400 },
  { name: "a tab in front of a colon", bytes: get("GET / HTTP/1.1", "Host: a\r\nX\t: 1\r\n"), status: 400 },
  { name: "an empty name", bytes: get("GET / HTTP/1.1", "Host: a\r\n: 1\r\n"), status: 400 },
  { name: "a line without a colon", bytes: get("GET / HTTP/1.1", "Host: a\r\nX\r\n"), status: 400 },
  { name: "a name in parentheses", bytes: get("GET / HTTP/1.1", "Host: a\r\n(X): 1\r\n"), status: 400 },
  { name: "a name beyond ASCII", bytes: get("GET / HTTP/1.1", "Host: a\r\nX\xe9: 1\r\n"), status: 400 },
  // Host (RFC 9112, 3.2).
  { name: "no Host", bytes: get("GET / HTTP/1.1", ""), status: 400 },
  { name: "two Hosts", bytes: get("GET / HTTP/1.1", "Host: a\r\nHost: b\r\n"), status: 400, bun: null },
  { name: "a Host with a path", bytes: get("GET / HTTP/1.1", "Host: a/b\r\n"), status: 400, bun: null },
  { name: "a Host with a user", bytes: get("GET / HTTP/1.1", "Host: u@a\r\n"), status: 400, bun: null },
  { name: "a Host with a blank", bytes: get("GET / HTTP/1.1", "Host: a b\r\n"), status: 400, bun: null },
  { name: "a list of Hosts", bytes: get("GET / HTTP/1.1", "Host: a, b\r\n"), status: 400, bun: null },
  { name: "a Host with a query", bytes: get("GET / HTTP/1.1", "Host: a?b\r\n"), status: 400, bun: null },
  // The request line.
  { name: "no version (HTTP/0.9)", bytes: "GET /\r\n\r\n", status: 400, bun: 505 },
  { name: "nothing but a method", bytes: "GET\r\n\r\n", status: 400 },
  { name: "a version in lower case", bytes: get("GET / http/1.1"), status: 400, bun: 505 },
  { name: "version 2.0", bytes: get("GET / HTTP/2.0"), status: 505 },
  { name: "version 1.2", bytes: get("GET / HTTP/1.2"), status: 505 },
  { name: "version 0.9", bytes: get("GET / HTTP/0.9"), status: 505 },
  { name: "a version with a third digit", bytes: get("GET / HTTP/1.10"), status: 400, bun: 505 },
  { name: "a version of another protocol", bytes: get("GET / RTSP/1.0"), status: 400, bun: 505 },
  { name: "the preface of HTTP/2", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 400 },
  { name: "a blank in the target", bytes: get("GET /a b HTTP/1.1"), status: 400, bun: 505 },
  { name: "a tab in the request line", bytes: get("GET\t/ HTTP/1.1"), status: 400, bun: 505 },
  { name: "two blanks in the request line", bytes: get("GET  / HTTP/1.1"), status: 400 },
  { name: "a blank in front of the method", bytes: get(" GET / HTTP/1.1"), status: 400 },
  { name: "a blank behind the version", bytes: get("GET / HTTP/1.1 "), status: 400, bun: 505 },
  { name: "a method in brackets", bytes: get("G[]T / HTTP/1.1"), status: 400 },
  { name: "a NUL in the method", bytes: get(`G${nul}T / HTTP/1.1`), status: 400, bun: 505 },
  { name: "a NUL in the target", bytes: get(`GET /a${nul}b HTTP/1.1`), status: 400, bun: 505 },
  { name: "a control character in the target", bytes: get("GET /a\x01b HTTP/1.1"), status: 400, bun: 505 },
  { name: "a DEL in the target", bytes: get("GET /a\x7fb HTTP/1.1"), status: 400, bun: null },
  { name: "a target that is no path", bytes: get("GET a HTTP/1.1"), status: 400 },
  { name: "the target *", bytes: get("OPTIONS * HTTP/1.1"), status: 400 },
  { name: "a target of another scheme", bytes: get("GET ftp://a/ HTTP/1.1"), status: 400 },
  { name: "an absolute target without a host", bytes: get("GET http:///a HTTP/1.1"), status: 400, bun: null },
  { name: "an absolute target with a user", bytes: get("GET http://u@a/ HTTP/1.1"), status: 400, bun: null },
  { name: "a CONNECT to an authority", bytes: get("CONNECT a:443 HTTP/1.1"), status: 400, bun: null },
  // Limits.
  {
    name: "a head over 16 KiB in one field",
    bytes: get("GET / HTTP/1.1", `${HOST}X: ${"x".repeat(17_000)}\r\n`),
    status: 431,
  },
  { name: "a target over 16 KiB", bytes: get(`GET /${"x".repeat(17_000)} HTTP/1.1`), status: 431 },
  { name: "a request line without an end", bytes: `GET /${"x".repeat(40_000)}`, status: 431 },
  { name: "a method without an end", bytes: "G".repeat(40_000), status: 431 },
  { name: "a name without an end", bytes: `GET / HTTP/1.1\r\n${"x".repeat(40_000)}`, status: 431 },
  { name: "250 fields", bytes: get("GET / HTTP/1.1", `${HOST}${"X: 1\r\n".repeat(250)}`), status: 431 },
  // Chunks (RFC 9112, 7.1), in the same segment as the head.
  { name: "a chunk size beyond 64 bits", bytes: chunked("fffffffffffffffff\r\nabc"), status: 400, bun: null },
  { name: "a chunk size of 16 digits", bytes: chunked("ffffffffffffffff\r\nabc"), status: 400, bun: null },
  { name: "a chunk size with a sign", bytes: chunked("-1\r\nabc"), status: 400, bun: null },
  { name: "a chunk size with 0x", bytes: chunked("0x3\r\nabc\r\n0\r\n\r\n"), status: 400, bun: null },
  {
    name: "a chunk size that is no number",
    bytes: chunked("zz\r\nabc\r\n0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  { name: "an empty chunk size", bytes: chunked("\r\nabc\r\n0\r\n\r\n"), status: 400, bun: null },
  { name: "a blank behind a chunk size", bytes: chunked("3 \r\nabc\r\n0\r\n\r\n"), status: 400, bun: null },
  {
    name: "a bare line feed behind a chunk size",
    bytes: chunked("3\nabc\r\n0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a bare line feed in a chunk extension",
    bytes: chunked("3;a\nabc\r\n0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a NUL in a chunk extension",
    bytes: chunked(`3;a${nul}\r\nabc\r\n0\r\n\r\n`),
    status: 400,
    bun: null,
  },
  {
    name: "chunk extensions over 4 KiB",
    bytes: chunked(`3;${"x".repeat(5000)}\r\nabc\r\n0\r\n\r\n`),
    status: 400,
    bun: null,
  },
  {
    name: "a chunk that is longer than its size",
    bytes: chunked("3\r\nabcd\r\n0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a chunk that ends with a bare line feed",
    bytes: chunked("3\r\nabc\n0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a chunk that ends with two carriage returns",
    bytes: chunked("3\r\nabc\r\r0\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a trailer with a length",
    bytes: chunked("0\r\nContent-Length: 5\r\n\r\n"),
    status: 400,
    bun: null,
  },
  {
    name: "a trailer with a coding",
    bytes: chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    status: 400,
    bun: null,
  },
  { name: "a trailer with a Host", bytes: chunked("0\r\nHost: b\r\n\r\n"), status: 400, bun: null },
  { name: "a folded trailer", bytes: chunked("0\r\nX: 1\r\n 2\r\n\r\n"), status: 400, bun: null },
  { name: "a bare line feed behind the trailers", bytes: chunked("0\r\nX: 1\n\r\n"), status: 400, bun: null },
  {
    name: "trailers over 4 KiB",
    bytes: chunked(`0\r\nX: ${"x".repeat(5000)}\r\n\r\n`),
    status: 400,
    bun: null,
  },
  // What is no HTTP at all.
  { name: "a TLS handshake", bytes: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", status: 400 },
  { name: "a WebSocket frame", bytes: "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", status: 400 },
  { name: "a greeting of SSH", bytes: "SSH-2.0-x\r\n", status: 400 },
  { name: "zeros", bytes: nul.repeat(64), status: 400 },
  { name: "a line feed first", bytes: `\n${get("GET / HTTP/1.1")}`, status: 400 },
  { name: "an empty line first", bytes: `\r\n${get("GET / HTTP/1.1")}`, status: 400 },
  { name: "a carriage return first", bytes: `\r${get("GET / HTTP/1.1")}`, status: 400 },
];

for (const { name, bytes, status, bun = status } of cases) {
  test(`refuses ${name}`, bun === null ? { differs: STRICTER } : {}, async (t) => {
    const { server, calls } = serveWell(t);
    const client = await t.tcp(server);
    client.write(bytes);
    const response = await client.response();
    assert.equal(
      response?.status,
      bun === null || bun === status ? status : t.expected(STRICTER, { bun, ours: status }),
    );
    await client.finished();
    assert.deepEqual(calls, []);
    assert.equal((await t.request(server, "GET /well HTTP/1.1")).text(), "well");
  });
}

test("takes what is unusual and clear", async (t) => {
  const { server, calls } = serveWell(t);
  const requests = [
    get("GET /1 HTTP/1.1"),
    get("GET /2?a=b&c=[d]{e}|f HTTP/1.1"),
    get("GET http://b/3 HTTP/1.1"),
    get("GET HTTP://b/4 HTTP/1.1"),
    get("GET /5 HTTP/1.1", "hOST:a\r\nX:\t  1 \t\r\nY:\r\nZ: \xe9\r\n"),
    get("GET /6 HTTP/1.1", "Host:\r\n"),
    get("GET /7 HTTP/1.1", "Host: [::1]:80\r\n"),
    get("GET /8 HTTP/1.1", "Host: a_b-c.d~e:\r\n"),
    get("GET /9 HTTP/1.1", `${HOST}${"X: 1\r\n".repeat(150)}`),
    get("GET /10 HTTP/1.1", `${HOST}X: ${"x".repeat(15_000)}\r\n`),
    `POST /11 HTTP/1.1\r\n${HOST}Content-Length: 0003\r\n\r\nabc`,
    `POST /12 HTTP/1.1\r\n${HOST}transfer-encoding: CHUNKED\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n`,
    `POST /13 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n`,
  ];
  const client = await t.tcp(server);
  for (const [i, bytes] of requests.entries()) {
    client.write(bytes);
    assert.equal((await client.response())?.status, 200, `${i + 1}`);
  }
  assert.deepEqual(
    calls,
    requests.map((_, i) => `/${i + 1}`),
  );
});

test("passes over trailers", { differs: STRICTER }, async (t) => {
  const server = t.serve({
    fetch: async (/** @type {Request} */ request) => new Response(await request.text()),
  });
  const client = await t.tcp(server);
  for (const end of ["0\r\nX: 1\r\nY: 2\r\n\r\n", "000\r\n\r\n"]) {
    client.write(chunked(`3\r\nabc\r\n${end}`));
    assert.equal((await client.response())?.text(), "abc");
  }
});

test("takes a head and a body in pieces of one byte", async (t) => {
  const server = t.serve({
    fetch: async (/** @type {Request} */ request) => new Response(await request.text()),
  });
  const client = await t.tcp(server);
  const bytes = chunked("3;x=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  for (const byte of bytes) client.write(byte);
  assert.equal((await client.response())?.text(), "abcde");
  for (const byte of get("GET / HTTP/1.1")) client.write(byte);
  assert.equal((await client.response())?.text(), "");
});

test("answers the requests in front of a malformed one, then refuses it", async (t) => {
  const { server, calls } = serveWell(t);
  const client = await t.tcp(server);
  client.write(
    `${get("GET /1 HTTP/1.1")}${get("GET /2 HTTP/1.1")}GET /3 HTTP/2.0\r\n\r\n${get("GET /4 HTTP/1.1")}`,
  );
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await client.response())?.status);
  assert.deepEqual(statuses, [200, 200, 505]);
  await client.finished();
  assert.deepEqual(calls, ["/1", "/2"]);
});

test("reads nothing behind a body as part of it", async (t) => {
  const { server, calls } = serveWell(t);
  const client = await t.tcp(server);
  client.write(`POST /1 HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc${get("GET /2 HTTP/1.1")}`);
  client.write(chunked("3\r\nabc\r\n0\r\n\r\n") + get("GET /3 HTTP/1.1"));
  for (let i = 0; i < 4; i++) assert.equal((await client.response())?.status, 200);
  assert.deepEqual(calls, ["/1", "/2", "/", "/3"]);
});

test("never takes a request out of a body", async (t) => {
  const { server, calls } = serveWell(t);
  const client = await t.tcp(server);
  const smuggled = get("GET /smuggled HTTP/1.1");
  client.write(`POST /1 HTTP/1.1\r\n${HOST}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`);
  assert.equal((await client.response())?.status, 200);
  client.write(get("GET /2 HTTP/1.1"));
  assert.equal((await client.response())?.status, 200);
  assert.deepEqual(calls, ["/1", "/2"]);
});

test("tells a handler that reads a body when its chunks break the rules", {
  differs: STRICTER,
}, async (t) => {
  const seen = t.recorder();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      seen.add("called");
      await assert.rejects(request.text());
      seen.add("failed");
      return new Response("late");
    },
  });
  const client = await t.tcp(server);
  client.write(chunked("3\r\nabc\r\n"));
  await seen.atLeast(1);
  client.write("zz\r\n");
  assert.equal((await client.response())?.status, 400);
  await client.finished();
  await seen.atLeast(2);
});

test("goes on with a connection when a handler has not read the body", async (t) => {
  const server = t.serve({ fetch: () => new Response("unread") });
  const client = await t.tcp(server);
  for (let i = 0; i < 3; i++) {
    client.write(post("Content-Length: 300000", "x".repeat(300_000)));
    assert.equal((await client.response())?.text(), "unread");
  }
});

test("lets a refused client read the answer, whatever it still sends", async (t) => {
  const { server } = serveWell(t);
  for (let i = 0; i < 20; i++) {
    const client = await t.tcp(server);
    client.write(`GET /${"x".repeat(300_000)} HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await client.response())?.status, 431);
  }
});

test("serves others while many clients have sent half a head", async (t) => {
  const { server, calls } = serveWell(t);
  for (let i = 0; i < 200; i++) (await t.tcp(server)).write(`GET /half HTTP/1.1\r\nHost: a\r\nX-${i}:`);
  for (let i = 0; i < 20; i++) assert.equal((await t.request(server, "GET /well HTTP/1.1")).text(), "well");
  assert.deepEqual(calls, []);
});

test("answers pipelined requests in order, also behind a slow one", { differs: 1 }, async (t) => {
  const first = gate();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/0") await first.passed;
      return new Response(pathname);
    },
  });
  const client = await t.tcp(server);
  client.write(Array.from({ length: 8 }, (_, i) => get(`GET /${i} HTTP/1.1`)).join(""));
  first.open(undefined);
  const texts = [];
  for (let i = 0; i < 8; i++) texts.push((await client.response())?.text());
  assert.deepEqual(texts, ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7"]);
});

// Time ----------------------------------------------------------------------------------------------------------------

/** Milliseconds to wait for what takes seconds. */
const PATIENCE = 12_000;

together(
  [
    [
      "ends a connection whose head comes byte by byte",
      async (t) => {
        const { server, calls } = serveWell(t, { idleTimeout: 2 });
        const client = await t.tcp(server);
        client.write("GET /slow HTTP/1.1\r\nHost: a\r\nX: ");
        const drip = setInterval(() => client.write("x"), 200);
        t.after(() => clearInterval(drip));
        await client.finished(PATIENCE);
        assert.deepEqual(calls, []);
      },
    ],
    [
      "ends a kept connection whose next head comes byte by byte",
      async (t) => {
        const { server, calls } = serveWell(t, { idleTimeout: 2 });
        const { client } = await t.request(server, "GET /1 HTTP/1.1");
        client.write("GET /slow HTTP/1.1\r\nHost: a\r\nX: ");
        const drip = setInterval(() => client.write("x"), 200);
        t.after(() => clearInterval(drip));
        await client.finished(PATIENCE);
        assert.deepEqual(calls, ["/1"]);
      },
    ],
    [
      "lets a body take its time while it comes",
      async (t) => {
        const server = t.serve({
          idleTimeout: 2,
          fetch: async (/** @type {Request} */ request) => new Response(await request.text()),
        });
        const client = await t.tcp(server);
        client.write(post("Content-Length: 20"));
        for (let i = 0; i < 20; i++) {
          client.write("x");
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        assert.equal((await client.response({ ms: PATIENCE }))?.text(), "x".repeat(20));
      },
    ],
  ],
  { limit: 20_000, differs: STRICTER },
);

/**
 * A server whose handler keeps the paths it was called for.
 * @param {import("../support/harness.js").Fixture} t
 * @param {object} [options]
 */
function serveWell(t, options) {
  /** @type {string[]} */
  const calls = [];
  const server = t.serve({
    ...options,
    fetch(/** @type {Request} */ request) {
      const { pathname } = new URL(request.url, "http://a");
      if (pathname === "/well") return new Response("well");
      calls.push(pathname);
      return new Response("reached");
    },
  });
  return { server, calls };
}
