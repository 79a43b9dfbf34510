// @ts-check
// What each test is given: servers, clients and child processes that are put away when the test is over.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { identity } from "./certificates.js";
import { RawClient } from "./raw-client.js";
import { isBun, runtime, serve } from "./subject.js";
import { gate, Recorder, within } from "./wait.js";

/**
 * @typedef {any} Socket   the ServerWebSocket of the runtime under test
 * @typedef {any} Server
 *
 * @typedef {object} Handlers   handlers and options of the `websocket` option
 * @property {(ws: Socket) => any} [open]
 * @property {(ws: Socket, data: any) => any} [message]
 * @property {(ws: Socket, code: number, reason: string) => any} [close]
 * @property {(ws: Socket) => any} [drain]
 * @property {(ws: Socket, data: any) => any} [ping]
 * @property {(ws: Socket, data: any) => any} [pong]
 * @property {(error: any, ws: Socket) => any} [error]
 * @property {number | null} [idleTimeout]
 * @property {number | null} [maxPayloadLength]
 * @property {number | null} [backpressureLimit]
 * @property {boolean | null} [closeOnBackpressureLimit]
 * @property {boolean | null} [sendPings]
 * @property {boolean | null} [publishToSelf]
 *
 * @typedef {import("./raw-client.js").ConnectOptions} ConnectOptions
 * @typedef {import("./raw-client.js").Secure} Secure
 *
 * @typedef {object} ServeOptions
 * @property {(request: Request, server: Server) => any} [fetch]
 * @property {any} [upgrade]   second argument of `server.upgrade` in `sockets` and `pair`
 *
 * @typedef {object} ChildResult
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {any[]} emitted   what the program passed to `emit`
 * @property {string} stderr
 *
 * @typedef {object} ChildTools   what a program run by `child` is given
 * @property {(options: any) => Server} serve
 * @property {(value: any) => void} emit
 * @property {any} input
 * @property {typeof import("./raw-client.js")} raw
 * @property {typeof import("./wait.js")} wait
 */

const CHILD_LIMIT = 15_000;

/** FERROWS_CONTRACT_TLS=1 runs the tests over TLS. */
const everywhere = process.env.FERROWS_CONTRACT_TLS ? { tls: identity("a.test") } : {};

export class Fixture {
  /** Row of bun-semantics section 19 that this test stated with `expected`, if any. @type {number | undefined} */
  row;
  /** @type {(() => unknown)[]} */
  #cleanups = [];
  /** @type {RawClient[]} */
  #clients = [];
  /** @type {Server[]} */
  #servers = [];

  /** A server on a free port of 127.0.0.1. @param {Record<string, any>} options @returns {Server} */
  serve(options) {
    const server = serve({ port: 0, hostname: "127.0.0.1", development: false, ...everywhere, ...options });
    this.#servers.push(server);
    return server;
  }

  /** serve() with exactly this argument, for calls that must throw. @param {any} options */
  serveBare(options) {
    this.#servers.push(serve(options));
  }

  /**
   * A server that upgrades every request.
   *
   * @param {Handlers} [handlers]
   * @param {ServeOptions & Record<string, any>} [options]
   * @returns {Server}
   */
  sockets(handlers = {}, { upgrade, ...options } = {}) {
    return this.serve({
      fetch(/** @type {Request} */ request, /** @type {Server} */ server) {
        if (server.upgrade(request, upgrade)) return undefined;
        return new Response("not upgraded", { status: 400 });
      },
      websocket: { message() {}, ...handlers },
      ...options,
    });
  }

  /** A raw client after its handshake. @param {any} target @param {ConnectOptions} [options] */
  async connect(target, options) {
    return this.keep(await RawClient.connect(target, options));
  }

  /** A raw client that has sent nothing yet. @param {any} target @param {{ host?: string, secure?: Secure }} [options] */
  async tcp(target, options) {
    return this.keep(await RawClient.open(target, options));
  }

  /** @param {RawClient} client */
  keep(client) {
    this.#clients.push(client);
    return client;
  }

  /**
   * A server, one client of it, and the server's side of that connection.
   *
   * @param {Handlers} [handlers]
   * @param {ServeOptions & Record<string, any>} [options]
   * @param {ConnectOptions} [connectOptions]
   */
  async pair(handlers = {}, options, connectOptions) {
    const opened = gate();
    const server = this.sockets(
      {
        ...handlers,
        open(ws) {
          opened.open(ws);
          return handlers.open?.(ws);
        },
      },
      options,
    );
    const client = await this.connect(server, connectOptions);
    const ws = await within(opened.passed, "the open handler");
    return { server, client, ws };
  }

  /**
   * A server with `count` open connections; `sockets[i]` is the server's side of `clients[i]`.
   *
   * @param {number} count
   * @param {Handlers} [handlers]
   * @param {ServeOptions & Record<string, any>} [options]
   */
  async room(count, handlers = {}, options) {
    /** @type {Socket[]} */
    const sockets = [];
    const opened = new Recorder();
    const server = this.sockets(
      {
        ...handlers,
        open(ws) {
          sockets.push(ws);
          const result = handlers.open?.(ws);
          opened.add("open");
          return result;
        },
      },
      options,
    );
    /** @type {RawClient[]} */
    const clients = [];
    for (let i = 0; i < count; i++) {
      clients.push(await this.connect(server));
      await opened.atLeast(i + 1);
    }
    return { server, clients, sockets };
  }

  /**
   * One request on a connection of its own.
   *
   * @param {any} target
   * @param {string} head   request line and headers, one a line; Host is added when absent
   * @param {{ body?: string | Uint8Array, secure?: Secure }} [options]
   */
  async request(target, head, { body, secure } = {}) {
    const client = await this.tcp(target, { secure });
    client.write(requestBytes(head, body));
    const response = await client.response({ to: head.split(" ")[0] });
    if (!response) throw new Error(`no response to ${JSON.stringify(head)}: ${client.state}`);
    return { ...response, client };
  }

  recorder() {
    return new Recorder();
  }

  /** Runs when the test is over, whatever its outcome. @param {() => unknown} undo */
  after(undo) {
    this.#cleanups.push(undo);
  }

  /**
   * The expected value where Bun and ours differ on purpose.
   *
   * @template T
   * @param {number} row   of bun-semantics section 19
   * @param {{ bun: T, ours: T }} values
   * @returns {T}
   */
  expected(row, { bun, ours }) {
    this.row = row;
    return isBun ? bun : ours;
  }

  /**
   * Runs `program` in a process of its own. The function is passed as text: it sees only its argument.
   *
   * @param {(tools: ChildTools) => any} program
   * @param {object} [options]
   * @param {RegExp} [options.kill]   SIGKILL once something matching was printed
   * @param {any} [options.input]   reaches the program as `input`, through JSON
   * @param {(value: any) => void} [options.onEmit]   called with each emitted value as it comes
   * @returns {Promise<ChildResult>}
   */
  child(program, { kill, input = null, onEmit } = {}) {
    const script = fileURLToPath(new URL("./child.js", import.meta.url));
    const flags = runtime === "deno" ? ["run", "-A"] : [];
    const { NODE_ENV: _, ...env } = process.env;
    const process_ = spawn(process.execPath, [...flags, script, program.toString(), JSON.stringify(input)], {
      stdio: ["ignore", "pipe", "pipe"],
      env,
    });
    let stdout = "";
    let stderr = "";
    /** @type {any[]} */
    const emitted = [];
    process_.stdout.on("data", (data) => {
      stdout += data;
      const lines = stdout.split("\n").slice(0, -1);
      for (const line of lines.filter((line) => line.startsWith(EMITTED)).slice(emitted.length)) {
        const value = JSON.parse(line.slice(EMITTED.length));
        emitted.push(value);
        onEmit?.(value);
      }
      if (kill?.test(stdout)) process_.kill("SIGKILL");
    });
    process_.stderr.on("data", (data) => {
      stderr += data;
    });
    this.after(() => process_.kill("SIGKILL"));
    /** @type {Promise<ChildResult>} */
    const ended = new Promise((resolve) => {
      process_.on("close", (code, signal) => {
        resolve({ code, signal, emitted, stderr });
      });
    });
    return within(ended, () => `a child process; stdout: ${stdout} stderr: ${stderr}`, CHILD_LIMIT);
  }

  /** Closes whatever the test opened. */
  async close() {
    for (const undo of this.#cleanups.reverse()) await undo();
    for (const client of this.#clients) client.destroy();
    for (const server of this.#servers) await within(server.stop(true), "stop(true) after the test");
  }
}

/** Marks the lines of a child's output that carry emitted values. */
export const EMITTED = "@emit ";

/**
 * @param {string} head
 * @param {string | Uint8Array} [body]
 */
export function requestBytes(head, body = "") {
  const lines = head.split("\n").map((line) => line.trim());
  if (!lines.some((line) => /^host:/i.test(line))) lines.splice(1, 0, "Host: localhost");
  return Buffer.concat([
    Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"),
    Buffer.from(/** @type {any} */ (body)),
  ]);
}
