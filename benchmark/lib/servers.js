// @ts-check
// The servers: which there are, how each is started, and installing the compared packages.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const here = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const START_LIMIT_MS = 15_000;

/**
 * @typedef {object} ServerKind
 * @property {string} id
 * @property {string} title
 * @property {boolean} ours
 * @property {string} script
 * @property {"node" | "bun" | "deno"} runtime
 * @property {string[]} [args] of the script
 * @property {string[]} needs packages besides the runtime's
 * @property {string[]} [cases] those it takes part in, where not in all that it can do
 */

/** @type {ServerKind[]} */
export const servers = [
  {
    id: "ferrows-node",
    title: "ferrows (Node)",
    ours: true,
    script: "ferrows.js",
    runtime: "node",
    needs: [],
  },
  {
    id: "ferrows-deno",
    title: "ferrows (Deno)",
    ours: true,
    script: "ferrows.js",
    runtime: "deno",
    needs: [],
  },
  {
    id: "ferrows-node-platform",
    title: "ferrows, Node's Response",
    ours: true,
    script: "ferrows.js",
    args: ["--platform-response"],
    runtime: "node",
    needs: [],
    cases: ["http-hello"],
  },
  { id: "bun", title: "Bun", ours: false, script: "bun.js", runtime: "bun", needs: [] },
  {
    id: "uws",
    title: "uWebSockets.js (Node)",
    ours: false,
    script: "uws.js",
    runtime: "node",
    needs: ["uwebsockets"],
  },
  {
    id: "ws",
    title: "ws (Node)",
    ours: false,
    script: "ws.js",
    runtime: "node",
    needs: ["ws", "bufferutil"],
  },
  { id: "deno", title: "Deno", ours: false, script: "deno.js", runtime: "deno", needs: [] },
  {
    id: "node-http",
    title: "node:http",
    ours: false,
    script: "node-http.js",
    runtime: "node",
    needs: [],
    cases: ["http-hello", "http-static"],
  },
];

/** @param {ServerKind} server @param {import("./cases.js").Case} kase */
export const takesPart = (server, kase) =>
  (kase.only?.includes(server.id) ?? true) && (server.cases?.includes(kase.id) ?? true);

/** Where the compared packages and runtimes are. */
export class Peers {
  /** @param {string} folder the one that holds node_modules */
  constructor(folder) {
    this.folder = path.resolve(folder);
  }

  /** @param {string} name @returns {string | undefined} */
  version(name) {
    const file = path.join(this.folder, "node_modules", name, "package.json");
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
  }

  /** @param {ServerKind} server @returns {string[]} packages that are not there */
  missing(server) {
    const runtime = server.runtime === "node" ? [] : [server.runtime];
    return [...runtime, ...server.needs].filter((name) => this.version(name) === undefined);
  }

  /** Installs what benchmark/package.json names. */
  install() {
    // Not `npm ci`: a lock file can name packages for other platforms that a registry does not have.
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const shell = process.platform === "win32";
    const options = { cwd: this.folder, stdio: /** @type {const} */ ("inherit"), shell };
    return spawnSync(npm, ["install", "--no-save"], options).status === 0;
  }

  /** @param {ServerKind} server @returns {string[]} */
  command(server) {
    const script = path.join(here, "servers", server.script);
    const own = ["--peers", this.folder, ...(server.args ?? [])];
    switch (server.runtime) {
      case "node":
        return [process.execPath, script, ...own];
      case "bun":
        return [this.binary("bun"), script, ...own];
      case "deno":
        return [this.binary("deno"), "run", "--allow-all", "--quiet", script, ...own];
    }
  }

  /** @param {string} name */
  binary(name) {
    const suffix = process.platform === "win32" ? ".cmd" : "";
    return path.join(this.folder, "node_modules", ".bin", name + suffix);
  }

  /** What a server is made of, with versions. @param {ServerKind} server @returns {Record<string, string>} */
  describe(server) {
    /** @type {Record<string, string>} */
    const parts = {};
    if (server.ours) {
      parts.ferrows = JSON.parse(readFileSync(path.join(here, "..", "package.json"), "utf8")).version;
    }
    parts[server.runtime] =
      server.runtime === "node" ? process.versions.node : (this.version(server.runtime) ?? "unknown");
    for (const name of server.needs) parts[name] = this.version(name) ?? "unknown";
    return parts;
  }
}

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const [signal, code] of /** @type {const} */ ([
  ["SIGINT", 130],
  ["SIGTERM", 143],
])) {
  process.on(signal, () => process.exit(code));
}

/** Keeps a child from outliving this process. @param {import("node:child_process").ChildProcess} child */
export function own(child) {
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/**
 * Starts a server and waits until it listens.
 *
 * @param {string[]} command
 * @returns {Promise<{ pid: number, port: number, stop: () => Promise<void> }>}
 */
export async function start(command) {
  const child = own(spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"] }));
  const exited = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-2000);
  });
  try {
    const port = await new Promise((resolve, reject) => {
      let output = "";
      const timer = setTimeout(() => reject(new Error("did not start in time")), START_LIMIT_MS);
      child.stdout?.setEncoding("utf8").on("data", (text) => {
        output += text;
        const match = /\{"port":(\d+)\}/.exec(output);
        if (match) {
          clearTimeout(timer);
          resolve(Number(match[1]));
        }
      });
      child.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.once("close", (code) => {
        clearTimeout(timer);
        reject(new Error(`ended with ${code} before it listened\n${errors.trim()}`));
      });
    });
    return { pid: /** @type {number} */ (child.pid), port, stop };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}
