// @ts-check
// Copies of the requests that handlers of routes get: their parameters and cookies (semantics 16).

import assert from "node:assert/strict";
import { CookieMap, Request } from "../support/subject.js";
import { test } from "../support/test.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

/**
 * What `look` gives for one request to "/:id/:other", and the cookies that its response sets.
 *
 * @param {Fixture} t
 * @param {(request: any, server: any) => any} look
 * @param {{ head?: string, body?: string }} [options]
 */
async function routed(t, look, { head = "GET /5/%C3%A9 HTTP/1.1\nCookie: a=1; b=2", body } = {}) {
  const results = t.recorder();
  const server = t.serve({
    routes: {
      async "/:id/:other"(/** @type {any} */ request, /** @type {any} */ self) {
        results.add({ value: await look(request, self) });
        return new Response("done");
      },
    },
    fetch: () => new Response("fetch"),
    websocket: { message() {} },
  });
  const response = await t.request(server, head, { body });
  assert.equal(response.text(), "done");
  const set = response.headers.filter(([name]) => name.toLowerCase() === "set-cookie");
  return { seen: results.entries[0].value, set: set.map(([, value]) => value) };
}

/** @param {any} request */
const facts = ({ params, cookies }) => [{ ...params }, [...cookies]];

test("a clone has the parameters and the cookies, and so has a clone of it", async (t) => {
  const { seen } = await routed(t, (request) => {
    const clone = request.clone();
    return [request, clone, clone.clone(), clone.clone().clone()].map(facts);
  });
  const all = [
    { id: "5", other: "\u00e9" },
    [
      ["a", "1"],
      ["b", "2"],
    ],
  ];
  assert.deepEqual(seen, [all, all, all, all]);
});

test("a clone has them when they were read before, and where there are none", async (t) => {
  const head = "GET /x/y HTTP/1.1";
  const { seen } = await routed(
    t,
    (request) => {
      facts(request);
      return [facts(request.clone()), request.clone().cookies instanceof CookieMap];
    },
    { head },
  );
  assert.deepEqual(seen, [[{ id: "x", other: "y" }, []], true]);
});

test("each clone has objects of its own, the same each time they are read", async (t) => {
  const { seen } = await routed(t, (request) => {
    const clone = request.clone();
    const { params, cookies } = clone;
    return [clone, request, clone.clone()].map((one) => [one.params === params, one.cookies === cookies]);
  });
  assert.deepEqual(seen, [
    [true, true],
    [false, false],
    [false, false],
  ]);
});

test("a clone takes what was changed before, and nothing later", async (t) => {
  const { seen, set } = await routed(t, (request) => {
    request.params.id = "changed";
    request.cookies.set("new", "1", { httpOnly: true });
    request.cookies.delete("a");
    const clone = request.clone();
    request.params.id = "later";
    request.cookies.set("later", "2");
    return [...facts(clone), clone.cookies.toSetCookieHeaders()];
  });
  const changes = [
    "new=1; Path=/; HttpOnly; SameSite=Lax",
    "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax",
  ];
  const cookies = [
    ["new", "1"],
    ["b", "2"],
  ];
  assert.deepEqual(seen, [{ id: "changed", other: "\u00e9" }, cookies, changes]);
  assert.deepEqual(set, [...changes, "later=2; Path=/; SameSite=Lax"]);
});

test("a clone whose cookies were not read yet does not see later changes either", async (t) => {
  const { seen } = await routed(t, (request) => {
    const clone = request.clone();
    request.cookies.set("later", "2");
    return clone.cookies.has("later");
  });
  assert.equal(seen, false);
});

test("changes of a clone change neither the request nor the response", async (t) => {
  const { seen, set } = await routed(t, (request) => {
    const clone = request.clone();
    const before = clone.clone();
    clone.params.id = "of the clone";
    clone.cookies.set("clone", "1");
    return [request, before, clone].map((one) => [one.params.id, one.cookies.get("clone")]);
  });
  assert.deepEqual(seen, [
    ["5", null],
    ["5", null],
    ["of the clone", "1"],
  ]);
  assert.deepEqual(set, []);
});

test("cookies come from the headers as they are when they are read first", async (t) => {
  const { seen } = await routed(t, (request) => {
    const clone = request.clone();
    clone.headers.set("cookie", "c=3");
    const read = request.clone();
    read.cookies.get("a");
    read.headers.set("cookie", "d=4");
    request.headers.set("cookie", "e=5");
    return [clone, clone.clone(), read, read.clone(), request, request.clone()].map((one) =>
      [...one.cookies].join(" "),
    );
  });
  assert.deepEqual(seen, ["c,3", "c,3", "a,1 b,2", "a,1 b,2", "e,5", "e,5"]);
});

test("cookies cannot be put in place of others, and neither can parameters", async (t) => {
  const { seen } = await routed(t, (request) =>
    [request, request.clone()].flatMap((one) =>
      ["params", "cookies"].map((name) => {
        try {
          one[name] = {};
          return "assigned";
        } catch (error) {
          return /** @type {any} */ (error).name;
        }
      }),
    ),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 4 }, () => "TypeError"),
  );
});

test("a clone is a Request in everything else", async (t) => {
  const { seen } = await routed(
    t,
    async (request, server) => {
      const clone = request.clone();
      const again = clone.clone();
      return [
        [clone instanceof globalThis.Request, clone instanceof Request, clone.constructor.name],
        [Object.keys(clone), clone.url === request.url, clone.method, clone.headers.get("host")],
        [server.requestIP(clone), server.upgrade(clone)],
        await Promise.all([request.text(), clone.text(), again.text()]),
        [clone.bodyUsed, clone.params.id],
      ];
    },
    { head: "POST /1/2 HTTP/1.1\nContent-Length: 4", body: "body" },
  );
  assert.deepEqual(seen, [
    [true, true, "Request"],
    [[], true, "POST", "localhost"],
    [null, false],
    ["body", "body", "body"],
    [true, "1"],
  ]);
});

test("a clone can be read and cloned after the response", async (t) => {
  const kept = await routed(t, (request) => request.clone());
  assert.deepEqual(facts(kept.seen), facts(kept.seen.clone()));
  assert.equal(kept.seen.params.id, "5");
});

test("new Request() takes neither parameters nor cookies", async (t) => {
  const { seen } = await routed(t, (request) => {
    const clone = request.clone();
    const made = [
      new Request(request),
      new Request(clone),
      new Request(clone, { headers: { cookie: "c=3" } }),
      new Request("http://a/", clone),
      new Request(clone).clone(),
    ];
    return made.map((/** @type {any} */ one) => [typeof one.params, typeof one.cookies, "params" in one]);
  });
  assert.deepEqual(
    seen,
    Array.from({ length: 5 }, () => ["undefined", "undefined", false]),
  );
});

test("clones of fetch's requests have neither", async (t) => {
  const seen = t.recorder();
  const server = t.serve({
    routes: { "/other": () => new Response() },
    fetch(/** @type {any} */ request) {
      const clone = request.clone();
      seen.add([typeof clone.params, typeof clone.cookies, "params" in clone, "cookies" in clone.clone()]);
      return new Response();
    },
  });
  await t.request(server, "GET / HTTP/1.1\nCookie: a=1");
  assert.deepEqual(seen.entries, [["undefined", "undefined", false, false]]);
});
