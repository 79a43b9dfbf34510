// @ts-check
// Cookie, CookieMap and `request.cookies` (semantics 16).

import assert from "node:assert/strict";
import { argumentTypeError } from "../support/errors.js";
import { Cookie, CookieMap } from "../support/subject.js";
import { test } from "../support/test.js";

/** An error with this text, and this code if it has one. @param {string} name @param {string} message @param {string} [code] */
const thrown = (name, message, code) => (/** @type {any} */ error) => {
  assert.deepEqual([error.name, error.message, error.code], [name, message, code]);
  return true;
};

/** @param {string} message @param {string} [code] */
const typeError = (message, code) => thrown("TypeError", message, code);

const NAME = "Invalid cookie name: contains invalid characters";
const PATH = "Invalid cookie path: contains invalid characters";
const DOMAIN = "Invalid cookie domain: contains invalid characters";

// Cookie --------------------------------------------------------------------------------------------------------------

test("makes a cookie with the defaults", () => {
  const cookie = new Cookie("n", "v");
  assert.equal(cookie.toString(), "n=v; Path=/; SameSite=Lax");
  assert.equal(cookie.serialize(), cookie.toString());
  assert.deepEqual(
    [cookie.name, cookie.value, cookie.domain, cookie.path, cookie.expires, cookie.maxAge],
    ["n", "v", null, "/", undefined, undefined],
  );
  assert.deepEqual(
    [cookie.secure, cookie.httpOnly, cookie.partitioned, cookie.sameSite],
    [false, false, false, "lax"],
  );
  assert.equal(Object.prototype.toString.call(cookie), "[object Cookie]");
  assert.deepEqual(Object.keys(cookie), []);
});

test("writes every attribute, in Bun's order", () => {
  const options = {
    domain: "example.com",
    path: "/foo",
    expires: new Date(0),
    maxAge: 3600,
    secure: true,
    httpOnly: true,
    partitioned: true,
    sameSite: "strict",
  };
  const cookie = new Cookie("n", "v", options);
  assert.equal(
    cookie.toString(),
    "n=v; Domain=example.com; Path=/foo; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=3600; Secure; HttpOnly; " +
      "Partitioned; SameSite=Strict",
  );
  assert.deepEqual(JSON.parse(JSON.stringify(cookie)), {
    name: "n",
    value: "v",
    ...options,
    expires: "1970-01-01T00:00:00.000Z",
  });
  assert.deepEqual(Object.keys(cookie.toJSON()), [
    "name",
    "value",
    "domain",
    "path",
    "expires",
    "maxAge",
    "secure",
    "sameSite",
    "httpOnly",
    "partitioned",
  ]);
  assert.equal(new Cookie({ name: "a", value: "b", path: "/q" }).toString(), "a=b; Path=/q; SameSite=Lax");
  assert.equal(new Cookie({ name: "a" }).toString(), "a=; Path=/; SameSite=Lax");
  assert.equal(Cookie.from("a", "b", { path: "/z" }).toString(), "a=b; Path=/z; SameSite=Lax");
});

test("encodes values", () => {
  assert.equal(
    new Cookie("a", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u00e9\n\ud800").toString(),
    "a=%20!%22%23%24%25%26'()*%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~%C3%A9%0A%EF%BF%BD; " +
      "Path=/; SameSite=Lax",
  );
});

test("checks names, paths and domains", () => {
  for (const name of ["a b", "a=b", "a;b", "a\n", "\u00e9", "a\x7f"]) {
    assert.throws(() => new Cookie(name, "v"), typeError(NAME), name);
  }
  for (const name of ["a(b)", "a,b", "a@b", 'a"b', "a/b", "<a>"])
    assert.equal(new Cookie(name, "v").name, name);
  for (const path of ["/a;b", "/\u00e9", "/\n", "/<"]) {
    assert.throws(() => new Cookie("a", "v", { path }), typeError(PATH), path);
  }
  for (const domain of ["a;b", "A.com", "\u00e9.com", "a b", "a_b"]) {
    assert.throws(() => new Cookie("a", "v", { domain }), typeError(DOMAIN), domain);
  }
  assert.throws(() => new Cookie("", "v"), typeError("name is required"));
  assert.throws(() => new Cookie({ value: "v" }), typeError("name is required"));
  assert.throws(() => new Cookie("a", "v", 5), typeError("Options must be an object"));
  for (const call of [
    () => new Cookie(),
    () => new Cookie(null),
    () => Cookie.parse(),
    () => Cookie.from("a"),
  ]) {
    assert.throws(call, typeError("Not enough arguments", "ERR_MISSING_ARGS"));
  }
});

test("takes and refuses attributes as Bun does", () => {
  /** @param {any} options */
  const text = (options) => new Cookie("a", "b", options).toString().slice("a=b; ".length);
  assert.equal(text(null), "Path=/; SameSite=Lax");
  assert.equal(text({ path: "" }), "SameSite=Lax");
  assert.equal(
    text({ path: null, domain: null, sameSite: null, expires: null, maxAge: null }),
    "Path=/; SameSite=Lax",
  );
  assert.equal(text({ domain: "" }), "Path=/; SameSite=Lax");
  assert.equal(text({ path: "x", domain: 5 }), "Domain=5; Path=x; SameSite=Lax");
  for (const [maxAge, shown] of [
    [0, "Max-Age=0; "],
    [-1, "Max-Age=-1; "],
    [1.5, "Max-Age=1.5; "],
    [Number.NaN, ""],
    ["5", ""],
    [true, ""],
  ]) {
    assert.equal(text({ maxAge }), `Path=/; ${shown}SameSite=Lax`);
  }
  // A number counts seconds.
  assert.equal(text({ expires: 1.5 }), "Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; SameSite=Lax");
  assert.equal(
    text({ expires: "Fri, 02 Jan 1970 00:00:00 GMT" }),
    "Path=/; Expires=Fri, 02 Jan 1970 00:00:00 GMT; SameSite=Lax",
  );
  assert.throws(() => text({ expires: "x" }), typeError("Invalid cookie expiration date"));
  assert.throws(
    () => text({ expires: Number.NaN }),
    thrown("RangeError", "expires must be a valid Number (or Date)"),
  );
  assert.throws(
    () => text({ expires: new Date(Number.NaN) }),
    thrown("RangeError", "expires must be a valid Date (or Number)"),
  );
  assert.throws(
    () => text({ expires: true }),
    typeError(
      "The argument 'expires' Invalid expires value. Must be a Date or a number. Received true",
      "ERR_INVALID_ARG_VALUE",
    ),
  );
  for (const sameSite of ["Strict", "x", "", 5]) {
    assert.throws(
      () => text({ sameSite }),
      typeError("Invalid sameSite value. Must be 'strict', 'lax', or 'none'"),
    );
  }
  assert.equal(
    text({ secure: 1, httpOnly: "", partitioned: {} }),
    "Path=/; Secure; Partitioned; SameSite=Lax",
  );
});

test("changes a cookie's attributes, except its name", () => {
  const cookie = new Cookie("a", "b");
  cookie.name = "other";
  Object.assign(cookie, {
    value: 5,
    domain: "d.com",
    path: "/p",
    secure: 1,
    httpOnly: true,
    partitioned: true,
  });
  Object.assign(cookie, { sameSite: "none", maxAge: 4, expires: new Date(5000) });
  assert.equal(
    cookie.toString(),
    "a=5; Domain=d.com; Path=/p; Expires=Thu, 01 Jan 1970 00:00:05 GMT; Max-Age=4; Secure; HttpOnly; Partitioned; " +
      "SameSite=None",
  );
  cookie.maxAge = undefined;
  cookie.expires = undefined;
  assert.deepEqual([cookie.maxAge, cookie.expires], [undefined, undefined]);
  assert.throws(() => {
    cookie.maxAge = "x";
  }, typeError("The provided value is non-finite"));
  assert.throws(() => {
    cookie.domain = "a;b";
  }, typeError(DOMAIN));
  assert.throws(() => {
    cookie.path = "\n";
  }, typeError(PATH));
});

test("parses the text of a Set-Cookie header", () => {
  /** @param {string} text */
  const parsed = (text) => JSON.parse(JSON.stringify(Cookie.parse(text)));
  const plain = { path: "/", secure: false, sameSite: "lax", httpOnly: false, partitioned: false };
  assert.deepEqual(parsed("a=b"), { name: "a", value: "b", ...plain });
  assert.deepEqual(parsed("a=b=c%20d; x=y; unknown;"), { name: "a", value: "b=c%20d", ...plain });
  assert.deepEqual(
    parsed(
      "a = b ; DOMAIN=EX.com; path=/x; Max-Age=5.5; Secure; httponly; Partitioned; SameSite=NONE; Expires=x",
    ),
    {
      name: "a",
      value: "b",
      domain: "ex.com",
      path: "/x",
      maxAge: 5,
      secure: true,
      sameSite: "none",
      httpOnly: true,
      partitioned: true,
    },
  );
  assert.equal(
    parsed("a=b; Max-Age=60; Expires=Wed, 21 Oct 2015 07:28:00 GMT").expires,
    "2015-10-21T07:28:00.000Z",
  );
  assert.deepEqual(parsed("a=b; Domain=; Path=x; Max-Age=x; SameSite=foo"), {
    name: "a",
    value: "b",
    ...plain,
  });
  assert.equal(new Cookie("a=b; Path=/q").path, "/q");
  for (const [text, message] of [
    ["a", "Invalid cookie string: empty"],
    ["=b", "Invalid cookie string: name cannot be empty"],
    ["", NAME],
    ["a b=c", NAME],
    ["a=b\n", "cookie string is not a valid HTTP header value"],
    [" a=b", "cookie string is not a valid HTTP header value"],
  ]) {
    assert.throws(() => Cookie.parse(text), typeError(message), text);
  }
});

test("knows whether a cookie has expired", () => {
  /** @param {any} [options] */
  const isExpired = (options) => new Cookie("a", "b", options).isExpired();
  assert.equal(isExpired(), false);
  assert.equal(isExpired({ maxAge: 0 }), true);
  assert.equal(isExpired({ maxAge: 1, expires: 1 }), false);
  assert.equal(isExpired({ expires: 1 }), true);
  assert.equal(isExpired({ expires: new Date(Date.now() + 1e6) }), false);
});

// CookieMap -----------------------------------------------------------------------------------------------------------

test("reads a Cookie header", () => {
  const map = new CookieMap(
    'a=1; b=2;c=3; a=4; d; =e; f=; g = x y ; %61=h; i=a%20%C3%A9%zzb%4; j=\u00e9; k="q"; l==',
  );
  assert.deepEqual(
    [...map],
    [
      ["a", "1"],
      ["b", "2"],
      ["c", "3"],
      ["a", "4"],
      ["f", ""],
      ["g", "x y"],
      ["%61", "h"],
      ["i", "a \u00e9\ufffdb\ufffd4"],
      ["j", "\u00e9"],
      ["k", '"q"'],
      ["l", "="],
    ],
  );
  assert.equal(map.size, 11);
  assert.equal(map.get("a"), "1");
  assert.equal(map.get("z"), null);
  assert.deepEqual([map.has("a"), map.has("z"), map.has("A")], [true, false, false]);
  assert.equal(map.toJSON().a, "1");
  assert.deepEqual(map.toSetCookieHeaders(), []);
});

test("takes objects and pairs", () => {
  assert.deepEqual(
    [...new CookieMap({ a: "%20", b: 2 })],
    [
      ["a", "%20"],
      ["b", "2"],
    ],
  );
  assert.deepEqual(
    [
      ...new CookieMap([
        ["a", "1"],
        ["a", "2"],
      ]),
    ],
    [
      ["a", "1"],
      ["a", "2"],
    ],
  );
  for (const none of [undefined, null, "", {}, []]) assert.equal(new CookieMap(none).size, 0);
  for (const wrong of [5, true, Symbol("x")]) {
    assert.throws(() => new CookieMap(wrong), typeError("Invalid initializer type"));
  }
  assert.throws(() => new CookieMap([["a"]]), typeError("Expected arrays of exactly two strings"));
  assert.throws(
    () => new CookieMap(["ab"]),
    typeError("Expected each element to be an array of two strings"),
  );
});

test("keeps changes in front of what the client sent", () => {
  const map = new CookieMap("a=1; b=2");
  map.set("z", "1");
  map.set("y", "2", { maxAge: 5, secure: true });
  map.set("b", "3");
  map.set("z", "4");
  assert.deepEqual([...map.keys()], ["y", "b", "z", "a"]);
  assert.deepEqual([...map.values()], ["2", "3", "4", "1"]);
  assert.equal(JSON.stringify(map), '{"y":"2","b":"3","z":"4","a":"1"}');
  assert.equal(map.size, 4);
  assert.equal(map.get("b"), "3");
  assert.deepEqual(map.toSetCookieHeaders(), [
    "y=2; Path=/; Max-Age=5; Secure; SameSite=Lax",
    "b=3; Path=/; SameSite=Lax",
    "z=4; Path=/; SameSite=Lax",
  ]);
});

test("deletes cookies, also unknown ones", () => {
  const map = new CookieMap("a=1; b=2; __Host-c=3");
  assert.equal(map.delete("a"), undefined);
  map.delete("unknown", { path: "/x", domain: "d.com" });
  map.delete({ name: "__Host-c", path: "/y" });
  assert.deepEqual([...map], [["b", "2"]]);
  assert.equal(map.size, 1);
  assert.deepEqual([map.has("a"), map.get("a")], [false, null]);
  const gone = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";
  assert.deepEqual(map.toSetCookieHeaders(), [
    `a=; Path=/; ${gone}; SameSite=Lax`,
    `unknown=; Domain=d.com; Path=/x; ${gone}; SameSite=Lax`,
    `__Host-c=; Path=/y; ${gone}; Secure; SameSite=Lax`,
  ]);
  map.set("a", "again");
  assert.equal(map.get("a"), "again");
  assert.equal(map.toSetCookieHeaders().length, 3);
});

test("takes cookies and objects like them, and sees later changes of a cookie", () => {
  const map = new CookieMap();
  const cookie = new Cookie("a", "1");
  map.set(cookie);
  cookie.value = "2";
  map.set({ name: "b", value: "3", path: "/x" });
  assert.deepEqual(map.toSetCookieHeaders(), ["a=2; Path=/; SameSite=Lax", "b=3; Path=/x; SameSite=Lax"]);
  map.set("c", undefined);
  map.set(5, 6);
  assert.deepEqual([map.get("a"), map.get("c"), map.get(5)], ["2", "undefined", "6"]);
});

test("checks the arguments of the map's methods", () => {
  const map = new CookieMap("a=1");
  assert.equal(map.set(), undefined);
  assert.equal(map.delete(), undefined);
  assert.deepEqual([map.get(), map.has()], [null, false]);
  for (const call of [() => map.set("a"), () => map.set(null)]) {
    assert.throws(call, typeError("Not enough arguments", "ERR_MISSING_ARGS"));
  }
  assert.throws(() => map.set({}), typeError("name is required"));
  assert.throws(() => map.set("a b", "c"), typeError(NAME));
  assert.throws(() => map.set("a", "b", 5), typeError("Options must be an object"));
  for (const name of [5, null, { path: "/" }]) {
    assert.throws(() => map.delete(name), typeError("Cookie name is required"));
  }
  assert.throws(() => map.delete("a b"), typeError(NAME));
  assert.throws(() => map.delete("a", { path: ";" }), typeError(PATH));
  assert.throws(() => map.forEach(5), argumentTypeError("Cannot call callback on a non-function"));
  const { get } = map;
  assert.throws(
    () => get("a"),
    typeError("Can only call CookieMap.get on instances of CookieMap", "ERR_INVALID_THIS"),
  );
  const { toString: detached } = new Cookie("a", "b");
  assert.throws(
    () => detached(),
    typeError("Can only call Cookie.toString on instances of Cookie", "ERR_INVALID_THIS"),
  );
});

test("iterates", () => {
  const map = new CookieMap("a=1; b=2");
  assert.equal(map[Symbol.iterator], map.entries);
  assert.equal(Object.prototype.toString.call(map.entries()), "[object CookieMap Iterator]");
  /** @type {any[]} */
  const seen = [];
  const self = {};
  map.forEach(
    /** @this {any} @param {any[]} rest */ function (...rest) {
      seen.push([this === self, rest[0], rest[1], rest[2] === map]);
    },
    self,
  );
  assert.deepEqual(seen, [
    [true, "1", "a", true],
    [true, "2", "b", true],
  ]);
  assert.equal(JSON.stringify(new CookieMap("__proto__=1; a=2")), '{"__proto__":"1","a":"2"}');
});

// request.cookies -----------------------------------------------------------------------------------------------------

/** @param {any} response */
const setCookies = (response) =>
  response.headers
    .filter((/** @type {[string, string]} */ [name]) => name.toLowerCase() === "set-cookie")
    .map((/** @type {[string, string]} */ [, value]) => value);

test("gives handlers of routes the cookies of the request", async (t) => {
  const server = t.serve({
    routes: {
      "/": (/** @type {any} */ { cookies }) =>
        Response.json([[...cookies], cookies instanceof CookieMap, cookies.size]),
    },
  });
  const response = await t.request(server, "GET / HTTP/1.1\nCookie: q=1; z=%C3%A9\nCookie: y=2");
  assert.deepEqual(JSON.parse(response.text()), [
    [
      ["q", "1"],
      ["z", "\u00e9"],
      ["y", "2"],
    ],
    true,
    3,
  ]);
  assert.deepEqual(setCookies(response), []);
  assert.deepEqual(JSON.parse((await t.request(server, "GET / HTTP/1.1")).text())[0], []);
});

test("gives the same map each time", async (t) => {
  const server = t.serve({
    routes: {
      "/": (/** @type {any} */ request) => {
        const { cookies } = request;
        return new Response(String(request.cookies === cookies));
      },
    },
  });
  assert.equal((await t.request(server, "GET / HTTP/1.1\nCookie: a=1")).text(), "true");
});

test("sends changes with whatever response, behind the response's own cookies", async (t) => {
  const change = (/** @type {any} */ request) => {
    request.cookies.set("a", "1");
    request.cookies.set("b", "2", { httpOnly: true });
    request.cookies.delete("c");
    request.cookies.set("a", "3");
  };
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("x"));
        controller.close();
      },
    });
  /** @type {Record<string, () => Response | Promise<Response>>} */
  const responses = {
    "/text": () => new Response("x"),
    "/own": () => new Response("x", { headers: { "set-cookie": "own=1" } }),
    "/204": () => new Response(null, { status: 204 }),
    "/302": () => Response.redirect("http://a/", 302),
    "/stream": () => new Response(stream()),
    "/async": async () => new Response("x"),
    "/throws": () => {
      throw new Error("x");
    },
  };
  const server = t.serve({
    routes: Object.fromEntries(
      Object.entries(responses).map(([path, make]) => [
        path,
        (/** @type {any} */ request) => {
          change(request);
          return make();
        },
      ]),
    ),
    error: () => new Response("failed", { status: 500 }),
  });
  for (const path of Object.keys(responses)) {
    const response = await t.request(server, `GET ${path} HTTP/1.1\nCookie: c=0`);
    assert.deepEqual(
      setCookies(response),
      [
        ...(path === "/own" ? ["own=1"] : []),
        "b=2; Path=/; HttpOnly; SameSite=Lax",
        "c=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax",
        "a=3; Path=/; SameSite=Lax",
      ],
      path,
    );
  }
});

test("sends changes made while the handler waits", async (t) => {
  const server = t.serve({
    routes: {
      async "/"(/** @type {any} */ { cookies }) {
        await Promise.resolve();
        cookies.set("late", "1");
        return new Response("x");
      },
    },
  });
  assert.deepEqual(setCookies(await t.request(server, "GET / HTTP/1.1")), ["late=1; Path=/; SameSite=Lax"]);
});

test("sends changes with the 101", async (t) => {
  const server = t.serve({
    routes: {
      "/": (/** @type {any} */ request, /** @type {any} */ self) => {
        request.cookies.set("a", "1");
        return self.upgrade(request) ? undefined : new Response("no");
      },
      "/own": (/** @type {any} */ request, /** @type {any} */ self) => {
        request.cookies.set("a", "1");
        return self.upgrade(request, { headers: { "set-cookie": "own=1" } }) ? undefined : new Response("no");
      },
    },
    websocket: { message() {} },
  });
  assert.deepEqual(setCookies((await t.connect(server)).head), ["a=1; Path=/; SameSite=Lax"]);
  assert.deepEqual(setCookies((await t.connect(server, { target: "/own" })).head), [
    "own=1",
    "a=1; Path=/; SameSite=Lax",
  ]);
});
