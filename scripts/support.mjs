// @ts-check
// What several scripts need: running commands, finding files, printing times.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository, without a trailing separator. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** @param {...string} parts */
export const inRoot = (...parts) => path.join(root, ...parts);

/** Whether a module is the script that was started. @param {string} url its import.meta.url */
export function isMain(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(url));
}

/**
 * Stops the script with one sentence and without a stack.
 *
 * @param {string} message
 * @param {number} [exitCode]
 * @returns {never}
 */
export function fail(message, exitCode = 1) {
  console.error(message);
  process.exit(exitCode);
}

/** Stops on a Node that is older than `engines` allows. */
export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`ferrows needs Node 20.19 or newer; this is ${process.versions.node}.`);
  }
}

/**
 * For the processes of a test. Certificates that only this machine trusts have no part in one, and Node 20 reads them
 * all at each start, which takes longer than the rest of it. Installations need them.
 */
export const TEST_ENV = { NODE_EXTRA_CA_CERTS: "" };

/** @param {string} command @param {string[]} [args] */
export function answers(command, args = ["--version"]) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/**
 * Every file below a folder that passes the test, sorted; an absent folder has none.
 *
 * @param {string} folder relative to the root
 * @param {(file: string) => boolean} [test] gets the path relative to the root
 * @returns {string[]} paths relative to the root
 */
export function filesBelow(folder, test = () => true) {
  if (!existsSync(inRoot(folder))) {
    return [];
  }
  return readdirSync(inRoot(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.split(path.sep).includes("node_modules") && test(file))
    .sort();
}

/** @param {string} file absolute @returns {number} milliseconds since the epoch; 0 when it is not there */
export function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** How to kill each command that runs: a script that is interrupted meanwhile takes them along. @type {Set<() => void>} */
const running = new Set();

function interrupted() {
  for (const kill of running) kill();
  process.exit(130);
}

/** With nothing to kill, signals are left to whoever else listens, such as the server of `npm start`. */
function heedSignals() {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.off(signal, interrupted);
    if (running.size > 0) process.once(signal, interrupted);
  }
}

/**
 * Runs a command, optionally under a time limit and with its output kept. At the limit its whole process group is
 * killed, so that servers started by a test do not outlive it.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, seconds?: number, capture?: boolean, quiet?: boolean }} [options]
 *   `capture` keeps stdout and stderr in `output`, stdout alone in `stdout`; `quiet` also stops them from being printed
 * @returns {Promise<{ code: number, output: string, stdout: string, timedOut: boolean, ms: number }>}
 */
export function run(command, args, { cwd = root, env = {}, seconds, capture = false, quiet = false } = {}) {
  const started = performance.now();
  return new Promise((resolve) => {
    // Inside a suite the runner's group is enough, and a group of our own would escape it.
    const group = process.platform !== "win32" && !process.env.FERROWS_SUITE;
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", capture ? "pipe" : "inherit", capture ? "pipe" : "inherit"],
      detached: group,
    });
    const kill = () => {
      try {
        if (group && child.pid) {
          process.kill(-child.pid, "SIGKILL");
        } else {
          child.kill("SIGKILL");
        }
      } catch {
        // Already gone.
      }
    };
    running.add(kill);
    heedSignals();

    let timedOut = false;
    const limit =
      seconds === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            kill();
          }, seconds * 1000);

    let output = "";
    let stdout = "";
    for (const [from, to] of /** @type {const} */ ([
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])) {
      from?.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (to === process.stdout) {
          stdout += text;
        }
        if (!quiet) {
          to.write(text);
        }
      });
    }
    /** @param {number} code */
    const done = (code) => {
      clearTimeout(limit);
      running.delete(kill);
      heedSignals();
      resolve({ code, output, stdout, timedOut, ms: performance.now() - started });
    };
    child.once("error", (error) => {
      output += `${error.message}\n`;
      done(127);
    });
    // "close" also waits for grandchildren that hold the pipes; those are killed with the group.
    child.once("exit", () => group && capture && setTimeout(kill, 2000).unref());
    child.once("close", (code) => done(code ?? 1));
  });
}

/**
 * Runs `npm ci` when node_modules does not come from the lockfile as it is now.
 *
 * @param {string} [closing] printed before a failure ends the script
 * @returns {Promise<void>}
 */
export async function installTools(closing) {
  const mark = inRoot("node_modules", ".ferrows-lock");
  const lock = createHash("sha256")
    .update(readFileSync(inRoot("package-lock.json")))
    .digest("hex");
  if (existsSync(mark) && readFileSync(mark, "utf8") === lock) return;
  console.log("Installing the development tools (npm ci).");
  const npm = process.env.npm_execpath;
  const [program, ...args] = npm?.endsWith("js") ? [process.execPath, npm] : ["npm"];
  const { code } = await run(program, [...args, "ci", "--no-audit", "--no-fund"], { seconds: 600 });
  if (code !== 0) {
    if (closing) console.log(closing);
    fail("npm ci failed; its messages are above.");
  }
  writeFileSync(mark, lock);
}

/** @param {number} ms */
export function time(ms) {
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
