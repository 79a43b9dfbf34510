// @ts-check
// What differs between Node and Deno, in one place.
//
// `process` is the global one, here and elsewhere: for the exports of "node:process" Node makes the three standard
// streams.
import { setImmediate } from "node:timers";

/** @type {any} */
const deno = /** @type {any} */ (globalThis).Deno;

export const isDeno = typeof deno === "object" && deno !== null;

/**
 * An environment variable, or undefined where the program may not read it. Deno asks a person at the terminal when it
 * is read without permission, so the permission is looked up first.
 * @param {string} name
 * @returns {string | undefined}
 */
export function environment(name) {
  try {
    if (isDeno && deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
      return undefined;
    }
    return process.env[name];
  } catch {
    return undefined;
  }
}

/** Turns of the event loop that a body made of a Blob takes to come to its end (three on Node 24). */
const SETTLING_TURNS = 4;

/** @typedef {{ isSettled: boolean, turns: number, settle(): void }} Settling */

/** @type {Settling[]} */
let settling = [];

/**
 * Calls `settle` once what can settle without waiting for anybody has had its turns: promises, and reads of memory.
 * Not by `nextTick`: in a callback of the addon's its queue comes before the promises. All share one immediate, and one
 * that has settled meanwhile is forgotten.
 * @param {Settling} task
 */
export function afterSettling(task) {
  if (settling.push(task) === 1) setImmediate(countTurn);
}

function countTurn() {
  const due = settling;
  settling = due.filter((task) => !task.isSettled && ++task.turns < SETTLING_TURNS);
  if (settling.length > 0) setImmediate(countTurn);
  for (const task of due) if (!task.isSettled && task.turns >= SETTLING_TURNS) task.settle();
}

/**
 * Hands an exception that nobody caught to the host. Deno's addon interface loses the value, its global does not.
 * @param {unknown} error
 * @param {(error: unknown) => void} fatal the addon's way
 */
export function uncaught(error, fatal) {
  if (isDeno) /** @type {any} */ (globalThis).reportError(error);
  else fatal(error);
}

/**
 * Not imported: few programs that import ferrows need the module, and loading it takes its time. The first releases of
 * Deno 2 have no `getBuiltinModule`.
 */
export function isMainThread() {
  return process.getBuiltinModule?.("node:worker_threads").isMainThread ?? true;
}

/**
 * A value as the runtime's console shows it, in one line. What does so on Node is not imported either: its exports make
 * Node load workers and more.
 * @param {unknown} value
 * @returns {string}
 */
export function inspect(value) {
  const how = { depth: 1, breakLength: Infinity };
  return isDeno ? deno.inspect(value, how) : process.getBuiltinModule("node:util").inspect(value, how);
}

/** @param {() => void} callback may run more than once */
export function onExit(callback) {
  process.on("exit", callback);
  // Deno.exit() tells only the web's event.
  if (isDeno) /** @type {any} */ (globalThis).addEventListener("unload", callback);
}
