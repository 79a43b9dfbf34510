// @ts-check
// The module face: serveModule(). Its behaviour on the wire is that of serve(), which the contract suite covers.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import { serve, serveModule } from "../index.js";

/** @type {{ stop(force: boolean): Promise<void> }[]} */
const servers = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop(true))));

/** @param {unknown} module @param {object} [options] */
function start(module, options) {
  const server = serveModule(/** @type {any} */ (module), { port: 0, hostname: "127.0.0.1", ...options });
  servers.push(server);
  return server;
}

/** @param {{ port: number }} server */
async function connect(server, path = "/", headers = {}) {
  const client = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, { headers });
  /** @type {string[]} */
  const inbox = [];
  client.on("message", (data) => {
    inbox.push(String(data));
    client.emit("arrived");
  });
  await once(client, "open");
  return {
    client,
    /** The first `n` messages. @param {number} n */
    async messages(n) {
      while (inbox.length < n) await once(client, "arrived");
      return inbox.slice(0, n);
    },
  };
}

/** The status a refused handshake was answered with. @param {{ port: number }} server */
function refusal(server, path = "/") {
  const client = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
  return new Promise((resolve, reject) => {
    client.on("error", () => {});
    client.on("open", () => reject(new Error("the handshake was accepted")));
    client.on("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
  });
}

describe("serveModule", () => {
  it("puts the result of attach into ws.data, and calls the handlers of the module", async () => {
    /** @type {unknown[]} */
    const closed = [];
    const { promise, resolve } = deferred();
    const server = start({
      attach: (/** @type {Request} */ request) => ({ who: new URL(request.url).searchParams.get("who") }),
      open: (/** @type {any} */ ws) => ws.send(`hello ${ws.data.who}`),
      message: (/** @type {any} */ ws, /** @type {string} */ text) => ws.send(`${ws.data.who}: ${text}`),
      close: (/** @type {any} */ ws, /** @type {number} */ code, /** @type {string} */ reason) => {
        closed.push(ws.data.who, code, reason);
        resolve(undefined);
      },
    });
    const { client, messages } = await connect(server, "/?who=ada");
    client.send("hi");
    assert.deepEqual(await messages(2), ["hello ada", "ada: hi"]);
    client.close(4000, "done");
    await promise;
    assert.deepEqual(closed, ["ada", 4000, "done"]);
  });

  it("waits for an asynchronous attach, and sees the request's cookies in it", async () => {
    const server = start({
      async attach(/** @type {Request} */ request) {
        await Promise.resolve();
        return { cookie: request.headers.get("cookie") };
      },
      open: (/** @type {any} */ ws) => ws.send(ws.data.cookie),
    });
    const { messages } = await connect(server, "/", { cookie: "token=1" });
    assert.deepEqual(await messages(1), ["token=1"]);
  });

  it("publishes to all subscribers through globalThis.brisaServer", async () => {
    const server = start({ open: (/** @type {any} */ ws) => void ws.subscribe("news") });
    assert.equal(/** @type {any} */ (globalThis).brisaServer, server);
    const first = await connect(server);
    const second = await connect(server);
    /** @type {any} */ (globalThis).brisaServer.publish("news", "to all");
    assert.deepEqual(await first.messages(1), ["to all"]);
    assert.deepEqual(await second.messages(1), ["to all"]);
  });

  it("takes another name for the global, or none", () => {
    /** @type {any} */ (globalThis).brisaServer = undefined;
    const named = start({ message() {} }, { global: "mySocketServer" });
    assert.equal(/** @type {any} */ (globalThis).mySocketServer, named);
    start({ message() {} }, { global: false });
    assert.equal(/** @type {any} */ (globalThis).brisaServer, undefined);
  });

  it("refuses a client with the Response that attach returns", async () => {
    const server = start({ attach: () => new Response("no", { status: 401 }), message() {} });
    assert.equal(await refusal(server), 401);
  });

  it("answers 500 when attach throws, and goes on", async () => {
    let calls = 0;
    const server = start(
      {
        attach() {
          if (calls++ === 0) throw new Error("not now");
        },
        open: (/** @type {any} */ ws) => ws.send(String(ws.data)),
      },
      { development: false },
    );
    assert.equal(await refusal(server), 500);
    const { messages } = await connect(server);
    assert.deepEqual(await messages(1), ["undefined"]);
  });

  it("serves the sockets on one path only, and other requests with fetch", async () => {
    const server = start({ message() {} }, { path: "/ws", fetch: () => new Response("page") });
    const page = await fetch(`http://127.0.0.1:${server.port}/`);
    assert.equal(await page.text(), "page");
    await connect(server, "/ws");
    assert.equal(await refusal(server, "/elsewhere"), 200);
  });

  it("answers 426 to a request that is no handshake, without a fetch", async () => {
    const server = start({ message() {} });
    const response = await fetch(`http://127.0.0.1:${server.port}/`);
    assert.equal(response.status, 426);
    assert.equal(response.headers.get("upgrade"), "websocket");
  });

  it("takes a default export, and a promise of a module", async () => {
    const server = await serveModule(
      Promise.resolve({ default: { open: (/** @type {any} */ ws) => ws.send("default") } }),
      { port: 0, hostname: "127.0.0.1" },
    );
    servers.push(server);
    const { messages } = await connect(server);
    assert.deepEqual(await messages(1), ["default"]);
  });

  it("says what is wrong with a module, and what to do", () => {
    assert.throws(() => start({}), /found no handler in the module\. Export at least one of/);
    assert.throws(
      () => start({ message: 5 }),
      /the module's export "message" to be a function, but it is of type number\./,
    );
    assert.throws(() => start("./socket.js"), /expects a module's namespace, but received of type string\./);
    assert.throws(() => start({ message() {} }, { path: "ws" }), /a path that starts with '\/'/);
    assert.throws(() => start({ message() {} }, { global: 1 }), /a name or false/);
  });
});

describe("the package", () => {
  it("is one and the same by import and by require", () => {
    const required = createRequire(import.meta.url)("../index.js");
    assert.equal(required.serve, serve);
    assert.equal(required.serveModule, serveModule);
  });

  it("has a module that replaces the globals", () => {
    assert.equal(import.meta.resolve("ferrows/register"), new URL("../register.js", import.meta.url).href);
  });
});

function deferred() {
  /** @type {(value: unknown) => void} */
  let resolve = () => {};
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
