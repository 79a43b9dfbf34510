// @ts-check
// A process that serves until it ends in the way that its arguments name. It writes two lines: its port, and at the
// end what it has sent.

import { writeSync } from "node:fs";
import { EXITS } from "./exits.js";
import { COUNTER_BYTES, Program } from "./program.js";

const { title, round, clients } = JSON.parse(process.argv[2]);
const counters = new Int32Array(COUNTER_BYTES / 4);
const program = new Program(counters);

let isReported = false;
const report = () => {
  if (isReported) return;
  isReported = true;
  writeSync(1, `${JSON.stringify({ counters: [...counters] })}\n`);
};
process.on("exit", report);

// Outside of the module's evaluation, so that exceptions meet the runtime's normal fate for uncaught ones.
setTimeout(() => {
  const port = EXITS.find((exit) => exit.title === title)?.child({ program, round, clients, report });
  writeSync(1, `${JSON.stringify({ port })}\n`);
}, 0);
