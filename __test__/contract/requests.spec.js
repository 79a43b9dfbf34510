// @ts-check
// The Request that handlers get: its body in each form, its copies, and what it says (semantics 15).

import assert from "node:assert/strict";
import { requestBytes } from "../support/harness.js";
import { isBun, Request } from "../support/subject.js";
import { test } from "../support/test.js";
import { gate, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

/**
 * What `read` makes of one POST.
 *
 * @param {Fixture} t
 * @param {(request: globalThis.Request, server: any) => any} read
 * @param {{ body?: string | Uint8Array, head?: string, type?: string }} [options]
 */
async function posted(t, read, { body = "", head = "POST /p HTTP/1.1", type } = {}) {
  const results = t.recorder();
  const server = t.serve({
    async fetch(/** @type {globalThis.Request} */ request, /** @type {any} */ self) {
      results.add((await read(request, self).catch?.((/** @type {any} */ error) => error)) ?? undefined);
      return new Response("done");
    },
  });
  const lines = [head, `Content-Length: ${Buffer.byteLength(body)}`];
  if (type !== undefined) lines.push(`Content-Type: ${type}`);
  assert.equal((await t.request(server, lines.join("\n"), { body })).text(), "done");
  return results.entries[0];
}

/** @param {() => any} call */
async function errorOf(call) {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error.name;
  }
}

test("reads a body in each form", async (t) => {
  const body = '{"a":"\u00e9"}';
  const bytes = Buffer.from(body);
  assert.equal(await posted(t, (request) => request.text(), { body }), body);
  assert.deepEqual(await posted(t, (request) => request.json(), { body }), { a: "\u00e9" });
  const buffer = await posted(t, (request) => request.arrayBuffer(), { body });
  assert.ok(buffer instanceof ArrayBuffer);
  assert.deepEqual(Buffer.from(buffer), bytes);
  const array = await posted(t, (request) => request.bytes(), { body });
  assert.equal(Object.getPrototypeOf(array), Uint8Array.prototype);
  assert.deepEqual(Buffer.from(array), bytes);
  const blob = await posted(t, (request) => request.blob(), { body, type: "application/json" });
  assert.ok(blob instanceof Blob);
  assert.equal(blob.type.split(";")[0], t.expected(28, { bun: "text/plain", ours: "application/json" }));
  assert.equal(await blob.text(), body);
});

test("reads forms of both kinds", async (t) => {
  const encoded = await posted(t, (request) => request.formData(), {
    body: "a=1&b=%C3%A9+x",
    type: "application/x-www-form-urlencoded",
  });
  assert.deepEqual(
    [...encoded],
    [
      ["a", "1"],
      ["b", "\u00e9 x"],
    ],
  );
  const multipart = await posted(t, (request) => request.formData(), {
    body:
      '--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' +
      '--xx\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--xx--\r\n',
    type: "multipart/form-data; boundary=xx",
  });
  assert.equal(multipart.get("a"), "1");
  const file = /** @type {File} */ (multipart.get("f"));
  assert.deepEqual([file.name, file.type.split(";")[0], await file.text()], ["f.txt", "text/plain", "file"]);
  assert.ok(
    (await posted(t, (request) => request.formData(), { body: "a=1", type: "text/plain" })) instanceof
      TypeError,
  );
});

test("rejects JSON that is none", async (t) => {
  for (const body of ["{", "", "\ufeff"]) {
    assert.ok((await posted(t, (request) => request.json(), { body })) instanceof SyntaxError);
  }
});

test("reads a body once", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const before = request.bodyUsed;
      const reading = request.text();
      const during = request.bodyUsed;
      const text = await reading;
      return [
        before,
        during,
        text,
        request.bodyUsed,
        await errorOf(() => request.text()),
        await errorOf(() => request.clone()),
      ];
    },
    { body: "once" },
  );
  assert.deepEqual(seen, [false, true, "once", true, "TypeError", "TypeError"]);
});

test("counts a body as used when something was read, not when it was looked at", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const steps = [request.bodyUsed];
      const copy = request.clone();
      const reader = /** @type {ReadableStream} */ (request.body).getReader();
      steps.push(request.bodyUsed);
      await copy.text();
      steps.push(request.bodyUsed, copy.bodyUsed);
      await reader.read();
      return [...steps, request.bodyUsed];
    },
    { body: "twice" },
  );
  assert.deepEqual(seen, [false, false, false, true, true]);
  const alone = await posted(
    t,
    async (request) => {
      await /** @type {ReadableStream} */ (request.body).cancel();
      return request.bodyUsed;
    },
    { body: "cancelled" },
  );
  assert.equal(alone, true);
});

test("has no body where none was sent", async (t) => {
  const seen = await posted(
    t,
    async (request) => [request.body, await request.text(), request.bodyUsed, await request.text()],
    { head: "GET /p HTTP/1.1" },
  );
  assert.deepEqual(seen, [null, "", false, ""]);
});

test("gives a body to a clone as well", async (t) => {
  const body = "x".repeat(200_000);
  const seen = await posted(
    t,
    async (request) => {
      const copy = request.clone();
      const again = copy.clone();
      const texts = await Promise.all([request.text(), copy.text(), again.text()]);
      return [
        texts.map((text) => text === body),
        copy.url === request.url,
        copy.method,
        copy.headers.get("host"),
      ];
    },
    { body },
  );
  assert.deepEqual(seen, [[true, true, true], true, "POST", "localhost"]);
});

test("cannot be cloned once the body was begun", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const reader = /** @type {ReadableStream} */ (request.body).getReader();
      const locked = await errorOf(() => request.clone());
      await reader.read();
      reader.releaseLock();
      return [locked, await errorOf(() => request.clone()), request.bodyUsed];
    },
    { body: "partial" },
  );
  assert.deepEqual(seen, ["TypeError", "TypeError", true]);
});

test("gives the same body and headers each time they are read", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const { body, headers, signal, url } = request;
      return [
        body === request.body,
        headers === request.headers,
        signal === request.signal,
        url === request.url,
      ];
    },
    { body: "x" },
  );
  assert.deepEqual(seen, [true, true, true, true]);
});

test("has the other attributes of a Request", async (t) => {
  const seen = await posted(t, async (request) => [
    request instanceof globalThis.Request,
    request instanceof Request,
    request.constructor.name,
    Object.prototype.toString.call(request),
    request.redirect,
    request.integrity,
  ]);
  assert.deepEqual(seen.slice(0, 4), [true, true, "Request", "[object Request]"]);
  assert.deepEqual(
    seen.slice(4).map((/** @type {any} */ value) => typeof value),
    ["string", "string"],
  );
});

test("can be given to new Request, with its body and with changes", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const copy = new Request(request, { headers: { "x-own": "1" } });
      return [
        copy.url === request.url,
        copy.method,
        copy.headers.get("x-own"),
        copy.headers.get("host"),
        await copy.text(),
      ];
    },
    { body: "handed on" },
  );
  assert.deepEqual(seen, [true, "POST", "1", null, "handed on"]);
  const changed = await posted(
    t,
    async (request) => {
      const copy = new Request(request, { method: "PUT", body: "other" });
      return [copy.method, await copy.text(), copy instanceof Request];
    },
    { body: "first" },
  );
  assert.deepEqual(changed, ["PUT", "other", true]);
});

test("can be given to new Request as the second argument", async (t) => {
  const seen = await posted(
    t,
    async (request) => {
      const copy = new Request("http://example.com/other", request);
      return [copy.url, copy.method, copy.headers.get("host")];
    },
    { head: "DELETE /p HTTP/1.1" },
  );
  assert.deepEqual(seen, ["http://example.com/other", "DELETE", "localhost"]);
});

test("Request makes ordinary requests too, and can be extended", async () => {
  class Call extends Request {
    get path() {
      return new URL(this.url).pathname;
    }
  }
  const call = new Call("http://a/b", { method: "POST", body: "x" });
  assert.ok(call instanceof Call && call instanceof Request && call instanceof globalThis.Request);
  assert.deepEqual([call.path, call.method, await call.text()], ["/b", "POST", "x"]);
  assert.ok(new globalThis.Request("http://a/") instanceof Request);
  assert.ok(!(/** @type {any} */ ({} instanceof Request)));
  assert.throws(() => new Request("no url at all"), TypeError);
  assert.throws(() => /** @type {any} */ (Request)("http://a/"), TypeError);
  assert.equal(Request.name, "Request");
});

test("takes the path of an absolute target, and the host of the Host header", async (t) => {
  const seen = await posted(t, async (request) => [request.url, request.headers.get("host")], {
    head: "PUT http://other.example/abs?q=1 HTTP/1.1\nHost: mine.example:8080",
  });
  assert.deepEqual(seen, ["http://mine.example:8080/abs?q=1", "mine.example:8080"]);
});

test("joins repeated headers, cookies in their own way", async (t) => {
  const seen = await posted(
    t,
    async (request) => ["x-a", "X-B", "cookie", "x-none"].map((name) => request.headers.get(name)),
    { head: "POST / HTTP/1.1\nX-A: 1\nx-a: 2\nX-B:  blanks  \nCookie: a=1\nX-A: 3\nCookie: b=2; c=3" },
  );
  assert.deepEqual(seen, ["1, 2, 3", "blanks", "a=1; b=2; c=3", null]);
});

test("reads from the client only what the program reads", async (t) => {
  const first = gate();
  const go = gate();
  const size = 64 * 1024 * 1024;
  let counted = 0;
  const server = t.serve({
    async fetch(/** @type {globalThis.Request} */ request) {
      const reader = /** @type {ReadableStream<Uint8Array>} */ (request.body).getReader();
      counted += (await reader.read()).value?.byteLength ?? 0;
      first.open();
      await go.passed;
      for (let part = await reader.read(); !part.done; part = await reader.read())
        counted += part.value.byteLength;
      return new Response(String(counted));
    },
  });
  const client = await t.tcp(server);
  client.write(requestBytes(`POST / HTTP/1.1\nContent-Length: ${size}`, new Uint8Array(size)));
  await within(first.passed, "the first chunk");
  assert.ok(counted < size / 2, `${counted} bytes at once`);
  go.open();
  assert.equal((await client.response())?.text(), String(size));
});

test("fails to read when the client leaves in the middle", async (t) => {
  const begun = gate();
  const errors = t.recorder();
  const server = t.serve({
    async fetch(/** @type {globalThis.Request} */ request) {
      const reading = request.text();
      begun.open();
      errors.add(await errorOf(() => reading));
      return new Response();
    },
  });
  const client = await t.tcp(server);
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  await within(begun.passed, "fetch");
  client.destroy();
  assert.equal(typeof (await errors.atLeast(1))[0], "string");
});

test("answers 413 to a chunked body over maxRequestBodySize while it is read", async (t) => {
  const server = t.serve({
    maxRequestBodySize: 10,
    async fetch(/** @type {globalThis.Request} */ request) {
      return new Response(await request.text());
    },
  });
  const client = await t.tcp(server);
  client.write(
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
  );
  assert.equal((await client.response())?.status, 413);
});

test("keeps url, method and headers readable after the response", { differs: 29 }, async (t) => {
  const kept = t.recorder();
  const server = t.serve({
    fetch(/** @type {globalThis.Request} */ request) {
      kept.add(request);
      return new Response("x");
    },
  });
  await t.request(server, "GET /late?q HTTP/1.1\nX-A: 1");
  const [request] = kept.entries;
  assert.deepEqual(
    [request.url, request.method, request.headers.get("x-a")],
    ["http://localhost/late?q", "GET", "1"],
  );
});

test("passes a request on with fetch", { skip: isBun && "Bun's fetch takes it without ado" }, async (t) => {
  const back = t.serve({
    fetch: async (/** @type {globalThis.Request} */ request) =>
      new Response(`${request.method} ${await request.text()} ${request.headers.get("x-a")}`),
  });
  const front = t.serve({
    fetch: (/** @type {globalThis.Request} */ request) =>
      fetch(new Request(new URL(back.url), new Request(request))),
  });
  const answer = await t.request(front, "POST / HTTP/1.1\nContent-Length: 4\nX-A: 1", { body: "body" });
  assert.equal(answer.text(), "POST body 1");
});
