// @ts-check
// Starts the programs of examples/ as a user would, and talks to them.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
// @ts-expect-error: the package brings no types
import WebSocket from "ws";
import { Watch, within } from "../support/wait.js";

const folder = fileURLToPath(new URL("../../examples", import.meta.url));

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {string} program "" when it is not installed
 * @property {string[]} flags
 */

/** @type {Runtime} */
export const node = { name: "Node", program: process.execPath, flags: [] };

/** @type {Runtime} with the permissions that the examples name in their first lines */
export const deno = {
  name: "Deno",
  program: findDeno(),
  flags: ["run", "--no-prompt", "--allow-net", "--allow-read", "--allow-env", "--allow-ffi"],
};

/**
 * Deno's own binary, not the script that npm puts in front of it: a signal has to reach the server.
 * @returns {string}
 */
function findDeno() {
  const modules = fileURLToPath(new URL("../runtimes/node_modules/@deno", import.meta.url));
  const binaries = existsSync(modules)
    ? readdirSync(modules).map((name) => path.join(modules, name, "deno"))
    : [];
  const onPath = (process.env.PATH ?? "").split(path.delimiter).map((name) => path.join(name, "deno"));
  return [...binaries, ...onPath].find((file) => existsSync(file)) ?? "";
}

/** One example in a process of its own. */
export class Example {
  port = 0;
  /** @type {string[]} lines of its standard output */
  lines = [];
  #watch = new Watch();
  #errors = "";
  /** @type {Client[]} */
  #clients = [];
  /** @type {import("node:child_process").ChildProcess} */
  #child;
  /** @type {Promise<{ code: number | null, signal: NodeJS.Signals | null }>} */
  exited;

  /**
   * Resolves once it listens.
   * @param {Runtime} runtime
   * @param {string} name its folder
   * @param {Record<string, string>} [env]
   */
  static async start(runtime, name, env = {}) {
    const example = new Example(runtime, name, env);
    const listening = example.line(/^listening on http:\/\/localhost:(\d+)$/, 20_000);
    const gone = example.exited.then(({ code, signal }) => {
      throw new Error(`${name} ended with ${code ?? signal} before it listened:\n${example.#errors}`);
    });
    const [, port] = await Promise.race([listening, gone]);
    gone.catch(() => {});
    example.port = Number(port);
    return example;
  }

  /**
   * @param {Runtime} runtime
   * @param {string} name
   * @param {Record<string, string>} env
   */
  constructor({ program, flags }, name, env) {
    this.#child = spawn(program, [...flags, path.join(folder, name, "server.js")], {
      env: { ...process.env, NODE_ENV: "production", PORT: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#watch.changed();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.#errors += text;
    });
  }

  /** What it wrote to standard error. */
  get errors() {
    return this.#errors;
  }

  /**
   * The first line of output that matches.
   * @param {RegExp} pattern
   * @param {number} [ms]
   * @returns {Promise<RegExpMatchArray>}
   */
  async line(pattern, ms) {
    const find = () => this.lines.map((line) => line.match(pattern)).find((match) => match !== null);
    await this.#watch.until(
      () => find() !== undefined,
      () => `a line like ${pattern}; seen: ${this.lines.join(" | ")} ${this.#errors}`,
      ms,
    );
    return /** @type {RegExpMatchArray} */ (find());
  }

  /** @param {string} [target] */
  url(target = "/") {
    return `http://localhost:${this.port}${target}`;
  }

  /**
   * @param {string} [target]
   * @param {{ origin?: string, headers?: Record<string, string> }} [options]
   */
  async connect(target = "/", options) {
    const client = new Client(`ws://localhost:${this.port}${target}`, options);
    this.#clients.push(client);
    await client.opened;
    return client;
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.#child.kill(name);
  }

  /** @param {NodeJS.Signals} [name] */
  async end(name = "SIGKILL") {
    for (const client of this.#clients) client.terminate();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal(name);
    return within(this.exited, "the example to end");
  }
}

/** A WebSocket that keeps what arrives until it is asked for, in order. */
export class Client {
  #socket;
  /** @type {(string | Buffer)[]} */
  #received = [];
  #watch = new Watch();
  /** @type {Promise<void>} */
  opened;
  /** @type {Promise<{ code: number, reason: string }>} */
  closed;

  /**
   * @param {string} url
   * @param {{ origin?: string, headers?: Record<string, string> }} [options]
   */
  constructor(url, options) {
    this.#socket = new WebSocket(url, options);
    this.#socket.on("message", (/** @type {Buffer} */ data, /** @type {boolean} */ isBinary) => {
      this.#received.push(isBinary ? data : data.toString());
      this.#watch.changed();
    });
    const opened = new Promise((resolve, reject) => {
      this.#socket.once("open", () => resolve(undefined));
      this.#socket.once("error", reject);
    });
    this.opened = within(opened, "the socket to open");
    this.closed = new Promise((resolve) => {
      this.#socket.once("close", (/** @type {number} */ code, /** @type {Buffer} */ reason) => {
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** @param {string | Uint8Array} data */
  send(data) {
    this.#socket.send(data);
  }

  /** @param {object} frame */
  sendJson(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** The next message. */
  async next() {
    await this.#watch.until(() => this.#received.length > 0, "a message");
    return /** @type {string | Buffer} */ (this.#received.shift());
  }

  /** The next message as JSON. @returns {Promise<any>} */
  async nextJson() {
    return JSON.parse(String(await this.next()));
  }

  /**
   * The next JSON message of this type; others before it are dropped.
   * @param {string} type
   * @returns {Promise<any>}
   */
  async nextOf(type) {
    for (;;) {
      const frame = await this.nextJson();
      if (frame.type === type) return frame;
    }
  }

  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  async close(code = 1000, reason = "") {
    this.#socket.close(code, reason);
    return within(this.closed, "the socket to close");
  }

  terminate() {
    this.#socket.terminate();
  }
}
