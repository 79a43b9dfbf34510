// @ts-check
// The load generator: building it and running it.
import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { here, own } from "./servers.js";

/** Builds the load generator where it is out of date. @returns {string} the program */
export function build() {
  const crate = path.join(here, "load");
  const target = path.resolve(process.env.CARGO_TARGET_DIR ?? path.join(crate, "target"));
  const args = ["build", "--release", "--locked", "--quiet", "--target-dir", target];
  const { status, error } = spawnSync("cargo", args, { cwd: crate, stdio: "inherit" });
  if (error) throw new Error(`the load generator needs cargo (https://rustup.rs): ${error.message}`);
  if (status !== 0) throw new Error("the load generator does not build");
  const suffix = process.platform === "win32" ? ".exe" : "";
  return path.join(target, "release", `ferrows-load${suffix}`);
}

/**
 * @param {string[]} command
 * @param {number} limitMs
 * @returns {Promise<Record<string, any>>} its report
 */
export function run(command, limitMs) {
  return new Promise((resolve, reject) => {
    const options = { timeout: limitMs, killSignal: /** @type {const} */ ("SIGKILL") };
    const child = execFile(command[0], command.slice(1), options, (error, stdout, stderr) => {
      if (!error) return resolve(JSON.parse(stdout));
      const why = error.killed ? "the load generator took too long" : stderr.trim() || error.message;
      reject(new Error(why.split("\n")[0]));
    });
    own(child);
  });
}
