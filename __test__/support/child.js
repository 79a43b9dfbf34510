// @ts-check
// Runs one program for `Fixture.child`: its text and its input are the arguments.

import { writeSync } from "node:fs";
import { EMITTED } from "./harness.js";
import * as raw from "./raw-client.js";
import { serve } from "./subject.js";
import * as wait from "./wait.js";

const program = new Function(`return (${process.argv[2]})`)();

const tools = {
  input: JSON.parse(process.argv[3]),
  raw,
  wait,
  serve: (/** @type {any} */ options) =>
    serve({ port: 0, hostname: "127.0.0.1", development: false, ...options }),
  emit: (/** @type {any} */ value) => writeSync(1, `${EMITTED}${JSON.stringify(value)}\n`),
};

// Outside of the module's evaluation, so that errors meet the runtime's normal fate for uncaught ones.
setTimeout(() => program(tools), 0);
