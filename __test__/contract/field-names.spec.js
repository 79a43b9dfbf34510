// @ts-check
// How the names of header fields are written, and in which order: seen by people and by careless clients only, but the
// same bytes as Bun's where the platform's Headers has not had them (semantics 15).

import assert from "node:assert/strict";
import { isBun, Response } from "../support/subject.js";
import { test } from "../support/test.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

/** Those that Bun knows, but for those that frame a message or belong to a connection. */
const KNOWN = [
  "Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials",
  "Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin",
  "Access-Control-Expose-Headers Access-Control-Max-Age Access-Control-Request-Headers",
  "Access-Control-Request-Method Age Authorization Cache-Control Content-Disposition Content-Encoding",
  "Content-Language Content-Location Content-Range Content-Security-Policy Content-Security-Policy-Report-Only",
  "Content-Type Cookie Cookie2 Cross-Origin-Embedder-Policy Cross-Origin-Embedder-Policy-Report-Only",
  "Cross-Origin-Opener-Policy Cross-Origin-Opener-Policy-Report-Only Cross-Origin-Resource-Policy Date",
  "Default-Style DNT ETag Expect Expires Host Icy-MetaInt Icy-Metadata If-Match If-Modified-Since If-None-Match",
  "If-Range If-Unmodified-Since Last-Event-ID Last-Modified Link Location Origin Ping-From Ping-To Pragma",
  "Proxy-Authorization Proxy-Connection Purpose Range Referer Referrer-Policy Refresh Report-To Sec-Fetch-Dest",
  "Sec-Fetch-Mode Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol",
  "Sec-WebSocket-Version Server-Timing Service-Worker Service-Worker-Allowed Service-Worker-Navigation-Preload",
  "Set-Cookie2 SourceMap Strict-Transport-Security TE Timing-Allow-Origin Trailer Upgrade",
  "Upgrade-Insecure-Requests User-Agent Vary Via X-Content-Type-Options X-DNS-Prefetch-Control X-Frame-Options",
  "X-XSS-Protection X-SourceMap X-Temp-Tablet",
].flatMap((line) => line.split(" "));

/** Common ones that Bun does not know. */
const UNKNOWN =
  "Allow Alt-Svc Content-MD5 Permissions-Policy Retry-After Server Warning WWW-Authenticate X-Powered-By X-Request-ID";

/** The names of a response, as they were sent. @param {Fixture} t @param {(request: any) => any} make */
async function names(t, make, target = "/") {
  const server = t.serve({ routes: { "/route": make }, fetch: make });
  const { headers } = await t.request(server, `GET ${target} HTTP/1.1`);
  return headers.map(([name]) => name).join(" ");
}

/** @param {string[]} list @param {(name: string) => string} [spell] */
const fields = (list, spell = (name) => name) => Object.fromEntries(list.map((name) => [spell(name), "v"]));

const lower = (/** @type {string} */ name) => name.toLowerCase();
const upper = (/** @type {string} */ name) => name.toUpperCase();

for (const [how, spell] of /** @type {[string, (name: string) => string][]} */ ([
  ["lower", lower],
  ["upper", upper],
])) {
  test(`writes known names in their usual spelling, given in ${how} case`, async (t) => {
    for (let from = 0; from < KNOWN.length; from += 20) {
      const part = KNOWN.slice(from, from + 20);
      const sent = await names(t, () => new Response(null, { headers: fields(part, spell) }));
      const expected = part.includes("Date") ? part : [...part, "Date"];
      assert.equal(sent, [...expected, "Content-Length"].join(" "));
    }
  });
}

test("writes other names as the program does", async (t) => {
  for (const spell of [lower, upper, (/** @type {string} */ name) => name]) {
    const part = UNKNOWN.split(" ").map(spell);
    const sent = await names(t, () => new Response(null, { headers: fields(part) }));
    assert.equal(sent, `${part.join(" ")} Date Content-Length`);
  }
});

test("sends Connection and Keep-Alive as the program sets them, and ends the connection when it says so", async (t) => {
  for (const [connection, ends] of /** @type {[string, boolean][]} */ ([
    ["keep-alive", false],
    ["close", true],
  ])) {
    const make = () => new Response("x", { headers: { "X-A": "1", "keep-alive": "timeout=5", connection } });
    const server = t.serve({ fetch: make });
    const { client, ...response } = await t.request(server, "GET / HTTP/1.1");
    assert.equal(
      response.headers.map(([name]) => name).join(" "),
      "Keep-Alive Connection X-A content-type Date Content-Length",
    );
    assert.equal(response.header("connection"), connection);
    if (ends) await client.finished();
    else {
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.equal((await client.response())?.text(), "x");
    }
  }
});

const mixed = {
  "x-Lower": "1",
  etag: "2",
  "X-Custom-ID": "3",
  "CACHE-control": "4",
  "content-TYPE": "a/b",
  "Set-Cookie": "a=1",
  "WWW-authenticate": "5",
};
const MIXED = "set-cookie ETag Cache-Control Content-Type x-Lower X-Custom-ID WWW-authenticate";

for (const [how, make] of /** @type {[string, () => any][]} */ ([
  ["an object", () => new Response("x", { headers: mixed })],
  ["pairs", () => new Response("x", { headers: Object.entries(mixed) })],
  ["an object, and a clone", () => new Response("x", { headers: mixed }).clone()],
  ["an object, for bytes", () => new Response(new Uint8Array(1), { headers: mixed })],
  ["an object, for a Blob", () => new Response(new Blob(["x"], { type: "c/d" }), { headers: mixed })],
  ["an object, for JSON", () => Response.json({}, { headers: mixed })],
])) {
  test(`puts cookies before known names, and those before others, from ${how}`, async (t) => {
    assert.equal(await names(t, make), `${MIXED} Date Content-Length`);
  });
}

test("does the same in front of a stream", async (t) => {
  const body = () =>
    new ReadableStream({
      async pull(controller) {
        // Long enough that its end does not come with the head.
        controller.enqueue(new Uint8Array(200_000));
        await new Promise((resolve) => setImmediate(resolve));
        controller.enqueue(new Uint8Array(200_000));
        controller.close();
      },
    });
  const make = () => new Response(body(), { headers: mixed });
  assert.equal(await names(t, make), `${MIXED} Date Transfer-Encoding`);
});

test("joins what differs by case only", async (t) => {
  const server = t.serve({
    fetch: () => new Response(null, { headers: { Vary: "a", vary: "b", "X-A": "1", "x-a": "2" } }),
  });
  const { headers } = await t.request(server, "GET / HTTP/1.1");
  const name = t.expected(36, { bun: "X-A", ours: "x-a" });
  assert.deepEqual(headers.slice(0, 2), [
    ["Vary", "a, b"],
    [name, "1, 2"],
  ]);
});

test("writes the type that a body gives in lower case, at the end", async (t) => {
  const form = new FormData();
  form.append("a", "b");
  for (const body of ["x", new Blob(["x"], { type: "a/b" }), new URLSearchParams("a=b"), form]) {
    assert.equal(await names(t, () => new Response(body)), "content-type Date Content-Length");
  }
  const headers = { "X-A": "1", etag: "2" };
  assert.equal(
    await names(t, () => new Response("x", { headers })),
    "ETag X-A content-type Date Content-Length",
  );
});

test("writes it among the known names for JSON, and for others beside headers", async (t) => {
  assert.equal(await names(t, () => Response.json({})), "Content-Type Date Content-Length");
  const headers = { "X-A": "1", etag: "2" };
  const bodies = [new Blob(["x"], { type: "a/b" }), new URLSearchParams("a=b")];
  for (const make of [
    () => Response.json({}, { headers }),
    ...bodies.map((body) => () => new Response(body, { headers })),
  ]) {
    assert.equal(await names(t, make), "ETag Content-Type X-A Date Content-Length");
  }
});

test("writes the Location of a redirect", async (t) => {
  assert.equal(await names(t, () => Response.redirect("http://a/")), "Location Date Content-Length");
});

test("writes changes of the request's cookies behind the other fields", async (t) => {
  const changing = (/** @type {() => any} */ make) => (/** @type {any} */ request) => {
    request.cookies.set("a", "1");
    request.cookies.set("b", "2");
    return make();
  };
  const two = "Set-Cookie Set-Cookie";
  const headers = { "X-A": "1", etag: "2", "Set-Cookie": "c=3" };
  for (const [make, expected] of /** @type {[() => any, string][]} */ ([
    [() => new Response(null), two],
    [() => new Response("x"), `${two} content-type`],
    [() => Response.json({}), `Content-Type ${two}`],
    [() => new Response("x", { headers }), `set-cookie ETag X-A ${two} content-type`],
    [() => Response.json({}, { headers }), `set-cookie ETag Content-Type X-A ${two}`],
  ])) {
    assert.equal(await names(t, changing(make), "/route"), `${expected} Date Content-Length`);
  }
});

test("writes names that went through Headers in their usual spelling where they are known", async (t) => {
  const headers = new Headers({ "X-Custom-ID": "1", ETAG: "2", "x-LOWER": "3", "cache-control": "4" });
  headers.append("Set-Cookie", "a=1");
  const changed = () => {
    const response = new Response("x", { headers: { "X-Custom-ID": "1", ETAG: "2" } });
    response.headers.set("x-LOWER", "3");
    response.headers.set("CACHE-CONTROL", "4");
    response.headers.set("Set-Cookie", "a=1");
    return response;
  };
  const makers = [() => new Response("x", { headers }), changed];
  // The platform's own Response has its names through Headers, whatever they were given as.
  if (!isBun) makers.push(() => new globalThis.Response("x", { headers }));
  for (const make of makers) {
    const sent = (await names(t, make)).split(" ");
    assert.deepEqual([sent[0], sent.slice(1, 3).sort()], ["set-cookie", ["Cache-Control", "ETag"]]);
    const others = t.expected(36, { bun: ["X-Custom-ID", "x-LOWER"], ours: ["x-custom-id", "x-lower"] });
    assert.deepEqual(sent.slice(3, 5), others);
    assert.deepEqual(sent.slice(5), ["content-type", "Date", "Content-Length"]);
  }
});

test("keeps names in lower case for the program", () => {
  const { headers } = new Response(null, { headers: { "X-Custom-ID": "1", ETag: "2" } });
  assert.deepEqual([...headers.keys()], ["etag", "x-custom-id"]);
});

test("writes the fields of a 101 alike", async (t) => {
  const OWN = "Upgrade Connection Sec-WebSocket-Accept Date";
  /** @param {any} options @param {boolean} [cookies] */
  const sent = async (options, cookies = false) => {
    const server = t.serve({
      routes: {
        "/": (/** @type {any} */ request, /** @type {any} */ self) => {
          if (cookies) request.cookies.set("b", "2");
          return self.upgrade(request, options) ? undefined : new Response("no");
        },
      },
      websocket: { message() {} },
    });
    const client = await t.connect(server);
    return client.head?.headers.map(([name]) => name).join(" ");
  };
  assert.equal(await sent({ headers: mixed }), `${MIXED} ${OWN}`);
  assert.equal(await sent({ headers: Object.entries(mixed) }), `${MIXED} ${OWN}`);
  assert.equal(await sent({ headers: mixed }, true), `${MIXED} Set-Cookie ${OWN}`);
  assert.equal(await sent(undefined, true), `Set-Cookie ${OWN}`);
  const twice = [
    ["X-a", "1"],
    ["etag", "e"],
    ["x-A", "2"],
    ["ETAG", "f"],
  ];
  assert.equal(await sent({ headers: twice }), `ETag X-a ${OWN}`);
});
