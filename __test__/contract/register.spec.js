// @ts-check
// `import "ferrows/register"`: the globals are ours from then on, and fit together with what was made before.

import assert from "node:assert/strict";
import { isBun } from "../support/subject.js";
import { test } from "../support/test.js";

const ours = { skip: isBun && "Bun has its own globals" };
const input = {
  register: new URL("../../register.js", import.meta.url).href,
  entry: new URL("../../index.js", import.meta.url).href,
};

test("leaves the globals alone without it", async (t) => {
  const { emitted } = await t.child(async ({ emit, serve }) => {
    const before = [Response, Request, Headers, fetch];
    await serve({ fetch: () => new Response() }).stop(true);
    emit([Response, Request, Headers, fetch].every((value, i) => value === before[i]));
  });
  assert.deepEqual(emitted, [true]);
});

test("puts Response, Request and fetch in the place of the globals", ours, async (t) => {
  const { emitted } = await t.child(
    async ({ emit, input }) => {
      const platform = { Response, Request };
      const made = [new Response("x"), new Request("http://a/")];
      await import(input.register);
      const ferrows = await import(input.entry);
      emit(Response === ferrows.Response && Request === ferrows.Request && Response !== platform.Response);
      emit([made[0] instanceof Response, made[1] instanceof Request]);
      emit([
        new Response() instanceof platform.Response,
        new Request("http://a/") instanceof platform.Request,
      ]);
      emit([fetch.name, fetch.length, Object.keys(globalThis).includes("Response")]);
      emit(await new Response(new Response("through").body).text());
      const fetched = await fetch("data:text/plain,fetched");
      emit([fetched instanceof Response, await fetched.text()]);
      // Code that was loaded before keeps the platform's.
      emit(await new platform.Response("old").clone().text());
    },
    { input },
  );
  assert.deepEqual(emitted, [
    true,
    [true, true],
    [true, true],
    ["fetch", 1, false],
    "through",
    [true, "fetched"],
    "old",
  ]);
});

test("lets new Request and fetch take the requests of handlers", ours, async (t) => {
  const { emitted, stderr } = await t.child(
    async ({ emit, input, serve }) => {
      await import(input.register);
      const server = serve({
        /** @param {Request} request */
        async fetch(request) {
          if (request.headers.get("x-hop") === "2") {
            return new Response(`${request.method} ${await request.text()}`, { headers: { "X-End": "1" } });
          }
          if (request.headers.get("x-hop") === "1") {
            const copy = request.clone();
            const changed = new Request(request, { headers: { "x-hop": "2" } });
            emit([request instanceof Request, changed instanceof Request, copy instanceof Request]);
            emit(await copy.text());
            return fetch(changed);
          }
          return fetch(request, { headers: { "x-hop": "1" } });
        },
      });
      const response = await fetch(new URL("/p", server.url), { method: "POST", body: "body" });
      emit([response.status, await response.text(), response.headers.get("x-end")]);
      await server.stop(true);
    },
    { input },
  );
  assert.deepEqual(emitted, [[true, true, true], "body", [200, "POST body", "1"]], stderr);
});
