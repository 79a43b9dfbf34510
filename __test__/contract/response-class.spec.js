// @ts-check
// The exported Response beside the platform's: the same calls on both must give the same results, or errors of the
// same class.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { isBun, Response, runtime } from "../support/subject.js";
import { test } from "../support/test.js";

const Platform = globalThis.Response;

/** @typedef {typeof globalThis.Response} Class */

/** Everything that a program can see of a Response without reading it. @param {Response} response */
const visible = (response) => ({
  type: response.type,
  url: response.url,
  redirected: response.redirected,
  status: response.status,
  ok: response.ok,
  statusText: response.statusText,
  headers: [...response.headers].map(([name, value]) => [name, value.replace(/boundary=.*/, "boundary=")]),
  hasBody: response.body !== null,
  bodyUsed: response.bodyUsed,
  tag: Object.prototype.toString.call(response),
});

/** What `call` gives with a class: its value, or the class of its error. @param {() => any} call */
async function outcome(call) {
  try {
    return { value: await call() };
  } catch (error) {
    return { error: error?.name };
  }
}

/** @param {(Class: Class) => any} call @param {string} what */
async function sameOutcome(call, what) {
  const platform = await outcome(() => call(Platform));
  const own = await outcome(() => call(Response));
  if (!isDeepStrictEqual(own, platform)) assert.deepEqual(own, platform, what);
}

const bytes = Uint8Array.from([0, 104, 105, 255, 0xc3, 0xa9]);

/** Made anew for each use: a stream can be read once. @type {Record<string, () => any>} */
const bodies = {
  nothing: () => undefined,
  null: () => null,
  "an empty string": () => "",
  "a string": () => "h\u00e9llo \ud83d\ude00",
  "a string with a byte order mark": () => "\ufeffx\ufeff",
  "a string with half a surrogate pair": () => "a\ud800b",
  "a number": () => 5,
  "a plain object": () => ({ a: 1 }),
  "a date": () => new Date(0),
  "a Uint8Array": () => bytes.slice(),
  "a view into the middle": () => bytes.subarray(1, 4),
  "a Buffer": () => Buffer.from("buffer"),
  "an empty Uint8Array": () => new Uint8Array(0),
  "an ArrayBuffer": () => bytes.slice().buffer,
  "an empty ArrayBuffer": () => new ArrayBuffer(0),
  "a DataView": () => new DataView(bytes.slice().buffer, 1, 3),
  "a Float64Array": () => new Float64Array([1.5]),
  "a Blob with a type": () => new Blob(["blob"], { type: "Text/HTML" }),
  "a Blob without one": () => new Blob(["blob"]),
  "a File": () => new File(["file"], "f.txt", { type: "text/css" }),
  "an empty Blob": () => new Blob([]),
  "search parameters": () =>
    new URLSearchParams([
      ["a", "b c"],
      ["\u00e9", "&"],
    ]),
  "empty search parameters": () => new URLSearchParams(),
  "a stream": () => stream("one", "two"),
  "an empty stream": () => stream(),
  "JSON text": () => '{"a":[1,"\u00e9"]}',
  "form text": () => "a=b&c=d",
};

/** @param {string[]} chunks */
function stream(...chunks) {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
}

/** @type {Record<string, () => any>} */
const inits = {
  none: () => undefined,
  null: () => null,
  empty: () => ({}),
  "a string": () => "x",
  "a number": () => 5,
  "a function": () => () => {},
  "status 201": () => ({ status: 201 }),
  "status 404 as a string": () => ({ status: "404" }),
  "status 0": () => ({ status: 0 }),
  "status 101": () => ({ status: 101 }),
  "status 199": () => ({ status: 199 }),
  "status 204": () => ({ status: 204 }),
  "status 205": () => ({ status: 205 }),
  "status 304": () => ({ status: 304 }),
  "status 599": () => ({ status: 599 }),
  "status 600": () => ({ status: 600 }),
  "status 65736": () => ({ status: 65_736 }),
  "status 200.7": () => ({ status: 200.7 }),
  "status -1": () => ({ status: -1 }),
  "status NaN": () => ({ status: Number.NaN }),
  "status null": () => ({ status: null }),
  "status undefined": () => ({ status: undefined, statusText: undefined, headers: undefined }),
  "a status that throws": () => ({ status: { valueOf: () => assert.fail("valueOf") } }),
  "a symbol as status": () => ({ status: Symbol("s") }),
  "status text": () => ({ statusText: "Fancy \u00e9 text\t" }),
  "empty status text": () => ({ statusText: "" }),
  "a number as status text": () => ({ statusText: 5 }),
  "status text with a line end": () => ({ statusText: "a\r\nb" }),
  "status text with NUL": () => ({ statusText: "a\0" }),
  "status text beyond bytes": () => ({ statusText: "\u0100" }),
  "status text null": () => ({ statusText: null }),
  "another Response": () => new Platform("x", { status: 404, statusText: "No", headers: { a: "b" } }),
  "one of ours": () => new Response("x", { status: 404, statusText: "No", headers: { a: "b" } }),
  "plain headers": () => ({ headers: { "X-A": "1", "x-b": "two words", accept: "" } }),
  "a type in the headers": () => ({ headers: { "Content-Type": "text/html" } }),
  "the type of strings in the headers": () => ({ headers: { "Content-Type": "text/plain;charset=UTF-8" } }),
  "an empty type in the headers": () => ({ headers: { "content-type": "" } }),
  "a form type in the headers": () => ({ headers: { "content-type": "application/x-www-form-urlencoded" } }),
  "a broken type in the headers": () => ({ headers: { "content-type": "x" } }),
  "cookies and lengths": () => ({
    headers: { "Set-Cookie": "a=1", "content-length": "99", connection: "close" },
  }),
  "headers with odd values": () => ({
    headers: { a: 1, b: true, c: null, d: undefined, e: ["x", "y"], f: 1.5 },
  }),
  "headers with blanks around": () => ({ headers: { a: "  x \t", b: " ", c: "\r\nx\r\n" } }),
  "headers beyond ASCII": () => ({ headers: { a: "\u00e9\u0080" } }),
  "a header beyond bytes": () => ({ headers: { a: "\u0100" } }),
  "a header with a line end": () => ({ headers: { a: "x\r\nb: c" } }),
  "a header with NUL": () => ({ headers: { a: "x\0y" } }),
  "a header with a control byte": () => ({ headers: { a: "x\x01y\x7f" } }),
  "a bad header name": () => ({ headers: { "a b": "c" } }),
  "an empty header name": () => ({ headers: { "": "c" } }),
  "a colon in a header name": () => ({ headers: { "a:": "c" } }),
  "names that differ by case": () => ({
    headers: { a: "1", A: "2", "Content-type": "x/y", "content-Type": "z/w" },
  }),
  "a symbol as header value": () => ({ headers: { a: Symbol("s") } }),
  "a symbol as header name": () => ({ headers: { [Symbol("s")]: "a" } }),
  "inherited headers": () => ({
    headers: Object.create({ a: "1" }, { b: { value: "2", enumerable: true } }),
  }),
  "headers without a prototype": () => ({ headers: Object.assign(Object.create(null), { a: "1" }) }),
  "computed headers": () => ({
    headers: {
      get a() {
        return "1";
      },
    },
  }),
  "headers named as object members": () => ({ headers: { constructor: "x", toString: "y" } }),
  pairs: () => ({
    headers: [
      ["X-A", "1"],
      ["x-a", "2"],
      ["set-cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ],
  }),
  "pairs of one": () => ({ headers: [["a"]] }),
  "pairs of three": () => ({ headers: [["a", "b", "c"]] }),
  "pairs of numbers": () => ({ headers: [[1, 2]] }),
  "pairs as strings": () => ({ headers: ["ab", "cd"] }),
  "no pairs": () => ({ headers: [] }),
  "a Map": () => ({ headers: new Map([["a", "1"]]) }),
  Headers: () => {
    const headers = new Headers([
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    return { headers };
  },
  "headers null": () => ({ headers: null }),
  "headers as a string": () => ({ headers: "a: b" }),
  "headers as a number": () => ({ headers: 5 }),
  "many headers": () => ({
    headers: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-${i}`, `${i}`])),
  }),
};

/** @type {Record<string, (response: Response) => any>} */
const reads = {
  text: (response) => response.text(),
  json: (response) => response.json(),
  arrayBuffer: async (response) => [...new Uint8Array(await response.arrayBuffer())],
  blob: async (response) => {
    const blob = await response.blob();
    return [blob.type.replace(/boundary=.*/, ""), await blob.text()];
  },
  formData: async (response) => [...(await response.formData())],
  body: async (response) => {
    /** @type {number[]} */
    const all = [];
    if (response.body === null) return null;
    for await (const chunk of /** @type {any} */ (response.body)) all.push(...chunk);
    return all;
  },
};

/** Deno gives a string back as it was given, without a turn through UTF-8. */
const isVerbatim = (/** @type {string} */ bodyName) =>
  runtime === "deno" && /mark|surrogate/.test(bodyName) && "Deno gives the text back unchecked";

for (const [bodyName, body] of Object.entries(bodies)) {
  test(`takes ${bodyName} as body as the platform does`, async () => {
    for (const [initName, init] of Object.entries(inits)) {
      await sameOutcome((Class) => visible(new Class(body(), init())), `${bodyName}, init: ${initName}`);
    }
  });

  test(`reads ${bodyName} as the platform does`, { skip: isVerbatim(bodyName) }, async () => {
    for (const [initName, init] of Object.entries(inits)) {
      for (const [readName, read] of Object.entries(reads)) {
        const call = async (/** @type {Class} */ Class) => {
          const response = new Class(body(), init());
          const before = response.bodyUsed;
          const result = await outcome(() => read(response));
          const again = await outcome(() => read(response));
          return [before, result, again, response.bodyUsed, response.body === null, response.body?.locked];
        };
        await sameOutcome(call, `${bodyName}, init: ${initName}, ${readName}`);
      }
    }
  });

  test(`reads a clone of ${bodyName} as the platform does`, { skip: isVerbatim(bodyName) }, async () => {
    for (const initName of ["none", "plain headers", "a type in the headers", "a form type in the headers"]) {
      for (const [readName, read] of Object.entries(reads)) {
        const call = async (/** @type {Class} */ Class) => {
          const response = new Class(body(), inits[initName]());
          const copy = response.clone();
          copy.headers.set("x-copy", "1");
          const result = await outcome(() => read(copy));
          const used = [response.bodyUsed, copy.bodyUsed];
          return [result, await outcome(() => read(response)), used, visible(response), visible(copy)];
        };
        await sameOutcome(call, `${bodyName}, init: ${initName}, ${readName}`);
      }
    }
  });
}

test("decodes text as the standard has it", { skip: isBun && "Bun keeps the mark" }, async () => {
  for (const [body, text] of [
    ["\ufeffx\ufeff", "x\ufeff"],
    ["a\ud800b", "a\ufffdb"],
  ]) {
    assert.equal(await new Response(body).text(), text);
    assert.equal(await new Response(body).clone().text(), text);
    assert.deepEqual(await new Response(body).bytes(), new TextEncoder().encode(body));
  }
});

test("sends multipart forms as the platform does", async () => {
  await sameOutcome(async (Class) => {
    const form = new FormData();
    form.append("a", "b");
    form.append("file", new File(["x"], "f.txt", { type: "text/plain" }));
    const response = new Class(form, { headers: { "x-a": "1" } });
    const back = await response.clone().formData();
    const file = /** @type {File} */ (back.get("file"));
    return [visible(response), back.get("a"), file.name, file.type, await file.text()];
  }, "FormData");
});

test("takes async iterables where the platform does", async () => {
  await sameOutcome(async (Class) => {
    const chunks = async function* () {
      yield new TextEncoder().encode("a");
      yield new TextEncoder().encode("b");
    };
    const response = new Class(/** @type {any} */ (chunks()));
    return [visible(response), await response.text()];
  }, "async iterable");
});

/** Steps on one response, each of which shows something. @type {Record<string, (response: Response) => any>} */
const stories = {
  "headers changed before reading": async (response) => {
    response.headers.set("content-type", "application/x-www-form-urlencoded");
    response.headers.append("x-a", "2");
    return [[...response.headers], await outcome(async () => [...(await response.formData())])];
  },
  "headers changed between looking at the body and reading": async (response) => {
    const { headers } = response;
    void response.body;
    headers.set("content-type", "text/x-changed");
    return [(await response.blob()).type, response.headers === headers, headers.get("content-type")];
  },
  "the type removed": async (response) => {
    response.headers.delete("content-type");
    return [(await response.blob()).type, [...response.headers]];
  },
  "the same objects each time": (response) => {
    const { headers, body } = response;
    return [response.headers === headers, response.body === body];
  },
  "a locked body": async (response) => {
    const reader = response.body?.getReader();
    const results = [response.bodyUsed, await outcome(() => response.text())];
    results.push(await outcome(() => visible(response.clone())), response.bodyUsed);
    reader?.releaseLock();
    results.push(await outcome(() => response.text()), response.bodyUsed);
    return results;
  },
  "one chunk read": async (response) => {
    const reader = response.body?.getReader();
    const first = await reader?.read();
    reader?.releaseLock();
    return [[...(first?.value ?? [])], response.bodyUsed, await outcome(() => response.text())];
  },
  "a cancelled body": async (response) => {
    await response.body?.cancel();
    return [response.bodyUsed, await outcome(() => response.text())];
  },
  "two reads at once": (response) =>
    Promise.all([
      outcome(() => response.text()),
      outcome(() => response.arrayBuffer()).then(({ error }) => error),
    ]),
  "a clone after reading": async (response) => {
    await response.text();
    return outcome(() => visible(response.clone()));
  },
  "a clone of a clone": async (response) => {
    const copy = response.clone().clone();
    await response.text();
    return [visible(copy), await copy.text()];
  },
  "a clone after looking at the body": async (response) => {
    void response.body;
    const copy = response.clone();
    return [await response.text(), await copy.text(), visible(copy)];
  },
  "used at once, not later": (response) => {
    const reading = response.text();
    return [response.bodyUsed, reading instanceof Promise];
  },
  "looked at the body after reading": async (response) => {
    await response.text();
    return [response.body === null, response.body?.locked, response.bodyUsed];
  },
  "given to another as body and init": async (response) => {
    const other = new Platform(response.body, response);
    return [visible(other), await other.text(), response.bodyUsed];
  },
  "assignments do nothing": (response) => {
    return outcome(() => {
      /** @type {any} */ (response).status = 500;
    });
  },
};

for (const [name, story] of Object.entries(stories)) {
  test(`behaves as the platform's: ${name}`, async () => {
    for (const [bodyName, body] of Object.entries(bodies)) {
      if (isVerbatim(bodyName)) continue;
      for (const initName of ["none", "status 201", "plain headers", "a type in the headers", "Headers"]) {
        const call = (/** @type {Class} */ Class) => story(new Class(body(), inits[initName]()));
        await sameOutcome(call, `${bodyName}, init: ${initName}`);
      }
    }
  });
}

test("makes JSON responses as the platform does", async () => {
  const cyclic = {};
  Object.assign(cyclic, { cyclic });
  const values = [
    { a: 1 },
    null,
    "s",
    5,
    [1, "\u00e9"],
    undefined,
    () => {},
    Symbol("s"),
    5n,
    cyclic,
    new Date(0),
    { toJSON: () => 1 },
  ];
  for (const value of values) {
    for (const [initName, init] of Object.entries(inits)) {
      await sameOutcome(
        async (Class) => {
          const response = Class.json(value, init());
          return [visible(response), await response.text()];
        },
        `${String(typeof value)}, init: ${initName}`,
      );
    }
  }
  await sameOutcome((Class) => /** @type {any} */ (Class).json(), "no argument");
});

test("makes redirects and errors as the platform does", async () => {
  for (const url of ["http://a/b?c=\u00e9", "/relative", "", "http://", new URL("http://a/"), undefined, 5]) {
    for (const status of [undefined, 301, 302, 303, 304, 307, 308, 200, "301", null]) {
      await sameOutcome(
        (Class) => visible(/** @type {any} */ (Class).redirect(url, status)),
        `${url} ${status}`,
      );
    }
  }
  await sameOutcome((Class) => visible(Class.error()), "error");
  await sameOutcome((Class) => visible(Class.error().clone()), "clone of error");
  for (const make of [
    (/** @type {Class} */ Class) => Class.error(),
    (/** @type {Class} */ Class) => Class.redirect("http://a/"),
  ]) {
    await sameOutcome((Class) => make(Class).headers.set("a", "b"), "fixed headers");
    await sameOutcome((Class) => make(Class).text(), "text");
  }
});

test("keeps the bytes that it was given, whatever becomes of the buffer", async () => {
  for (const size of [3, 100_000]) {
    const given = new Uint8Array(size).fill(1);
    const response = new Response(given);
    given.fill(2);
    const copy = response.clone();
    const read = new Uint8Array(await response.arrayBuffer());
    assert.ok(read.every((byte) => byte === 1));
    assert.equal(read.buffer.byteLength, size);
    read.fill(3);
    assert.ok(new Uint8Array(await copy.arrayBuffer()).every((byte) => byte === 1));
  }
});

test("takes no hidden properties as headers", () => {
  const headers = Object.defineProperty({ b: "2" }, "a", { value: "1", enumerable: false });
  assert.deepEqual([...new Response(null, { headers }).headers], [["b", "2"]]);
});

test("keeps the headers that it was given, whatever becomes of the object", () => {
  const headers = { a: "1" };
  const init = { headers, status: 201 };
  const response = new Response("x", init);
  headers.a = "2";
  init.status = 202;
  assert.deepEqual([response.headers.get("a"), response.status], ["1", 201]);
});

test("reads bytes as a Uint8Array of their own", async () => {
  for (const body of [bytes, "\0hi", new Blob([bytes]), null]) {
    const read = await new Response(body).bytes();
    assert.equal(Object.getPrototypeOf(read), Uint8Array.prototype);
    assert.deepEqual(read, new Uint8Array(await new Platform(body).arrayBuffer()));
  }
});

test("streams bytes as Uint8Arrays of their own", async () => {
  for (const body of [bytes, bytes.subarray(1, 3), "text"]) {
    const chunk = (await new Response(body).body?.getReader().read())?.value;
    assert.equal(Object.getPrototypeOf(chunk), Uint8Array.prototype);
    assert.equal(chunk?.buffer.byteLength, chunk?.byteLength);
  }
});

test("is an instance of the platform's class, and the platform's of it", () => {
  assert.ok(new Response() instanceof Platform);
  assert.ok(new Platform() instanceof Response);
  assert.ok(Response.json(1) instanceof Response);
  assert.ok(new Response().clone() instanceof Response);
  for (const other of [{}, null, 5, new Request("http://a/")]) {
    assert.ok(!(/** @type {any} */ (other instanceof Response)));
  }
});

test("can be extended", async () => {
  class Page extends Response {
    get title() {
      return "page";
    }
  }
  const page = new Page("x", { status: 201 });
  assert.ok(page instanceof Page && page instanceof Response && page instanceof Platform);
  assert.ok(!(new Response() instanceof Page));
  assert.deepEqual([page.title, page.status, await page.text()], ["page", 201, "x"]);
});

test("has the interface of the platform's class", () => {
  assert.equal(Response.name, "Response");
  assert.equal(Response.length, Platform.length);
  assert.equal(new Response().constructor, Response);
  const described = (/** @type {object} */ object) =>
    Object.entries(Object.getOwnPropertyDescriptors(object))
      .filter(([name]) => !["bytes", "prototype"].includes(name))
      .map(([name, { enumerable, get, value }]) => [
        name,
        enumerable,
        typeof get,
        typeof value,
        value?.length,
      ])
      .sort();
  assert.deepEqual(described(Response.prototype), described(Platform.prototype));
});

test("refuses to be called without new, and its methods without a response", async () => {
  assert.throws(() => /** @type {any} */ (Response)(), TypeError);
  const { get } = /** @type {PropertyDescriptor} */ (
    Object.getOwnPropertyDescriptor(Response.prototype, "status")
  );
  assert.throws(() => get?.call({}), TypeError);
  await assert.rejects(async () => Response.prototype.text.call(/** @type {any} */ ({})), TypeError);
});

test("can be shown", { skip: isBun && "Bun shows its own" }, async () => {
  const { inspect } = await import("node:util");
  assert.match(inspect(new Response("x", { status: 404 })), /^Response \{[\s\S]*status: 404/);
});
