// @ts-check
// A worker that serves until it ends or is terminated.

import { parentPort, workerData } from "node:worker_threads";
import { Program } from "./program.js";
import { OWN_ENDS, TERMINATIONS } from "./workers.js";

const { title, round, clients, shared } = workerData;
const end = [...TERMINATIONS, ...OWN_ENDS].find((one) => one.title === title);
const program = new Program(new Int32Array(shared));
parentPort?.postMessage(end?.worker({ program, round, clients }));
// A message port would keep the worker alive for nothing.
parentPort?.unref?.();
