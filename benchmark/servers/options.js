// @ts-check
// What every server of the benchmark understands.
//
//   --peers DIR  where node_modules with the compared packages is (default: benchmark/)
//   --work US    each message handler computes for about US microseconds, as an application's own code would
//   --tls        speaks TLS; only servers with Bun's interface know it
//   --block      the JavaScript thread is busy for 200 of every 250 ms
//   --http KIND  no WebSockets: a handler answers Hello World (KIND handler), or a static route /static (KIND static);
//                only the servers of the HTTP cases know it
//
// A server listens on a free port of 127.0.0.1 and prints {"port":N} when it is ready. /echo answers each message
// with itself; on /room each message goes to every connection of the room, the sender included. No compression, no
// idle timeout.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

/** @param {string} name */
function value(name) {
  const index = process.argv.indexOf(`--${name}`);
  return index < 0 ? undefined : process.argv[index + 1];
}

const microseconds = Number(value("work") ?? 0);
const peers = value("peers");

/** Loads a compared package. @param {string} name */
export function loadPeer(name) {
  const from = peers === undefined ? import.meta.url : `${peers.replace(/\/+$/, "")}/package.json`;
  return createRequire(from)(name);
}

/** The `tls` option; undefined without `--tls`. An EC key, as most certificates have today. */
export const tls = process.argv.includes("--tls")
  ? { key: certificate("b.test.key"), cert: certificate("b.test.crt") }
  : undefined;

/** @param {string} name one of the tests' files */
function certificate(name) {
  return readFileSync(new URL(`../../__test__/support/certificates/${name}`, import.meta.url), "utf8");
}

/** Who answers HTTP requests; "none": they are to be upgraded. */
export const http = /** @type {"none" | "handler" | "static"} */ (value("http") ?? "none");
export const HELLO = "Hello World";

/** The application's own work for one message. */
export const work = microseconds > 0 ? () => computeFor(microseconds / 1000) : () => {};

/** @param {number} ms */
function computeFor(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** @param {number} port */
export function ready(port) {
  console.log(JSON.stringify({ port }));
  if (process.argv.includes("--block")) setInterval(() => computeFor(200), 250);
}
