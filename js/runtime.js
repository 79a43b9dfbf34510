// @ts-check
// What differs between Node and Deno, in one place.
import process from "node:process";
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

/**
 * Runs `callback` once the promises that can settle now have settled. Not by `nextTick`: in a callback of the addon's
 * its queue comes before the promises.
 * @param {() => void} callback
 */
export function afterMicrotasks(callback) {
  setImmediate(callback);
}

/** @param {() => void} callback may run more than once */
export function onExit(callback) {
  process.on("exit", callback);
  // Deno.exit() tells only the web's event.
  if (isDeno) /** @type {any} */ (globalThis).addEventListener("unload", callback);
}
