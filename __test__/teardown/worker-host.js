// @ts-check
// A process that serves, and starts and terminates workers that serve too. It is told what to do through its own
// server, so that each command shows that this server still works.

import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { serve } from "../../index.js";
import { COUNTER_BYTES } from "./program.js";

/** @typedef {{ worker: Worker, shared: SharedArrayBuffer, port: Promise<number>, exited: Promise<number>, errors: string[] }} Started */

const file = new URL("./worker-child.js", import.meta.url);

/** @type {Started[]} */
let started = [];

/** @param {Record<string, any>} order @returns {Started} */
function start(order) {
  const shared = new SharedArrayBuffer(COUNTER_BYTES);
  const worker = new Worker(file, { workerData: { ...order, shared } });
  /** @type {string[]} */
  const errors = [];
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  const port = new Promise((resolve) => worker.once("message", resolve));
  worker.on("error", (/** @type {Error} */ error) => errors.push(String(error?.message ?? error)));
  return { worker, shared, port, exited, errors };
}

/** @type {Record<string, (order: any) => unknown>} */
const ORDERS = {
  async start(order) {
    started = Array.from({ length: order.workers }, () => start(order));
    return { ports: await Promise.all(started.map(({ port }) => port)) };
  },
  async startAndTerminate(order) {
    started = [start(order)];
    await sleep(order.ms);
    return ORDERS.terminate(order);
  },
  async terminate() {
    const before = performance.now();
    await Promise.all(started.map(({ worker }) => worker.terminate()));
    return outcome(performance.now() - before);
  },
  async wait() {
    await Promise.all(started.map(({ exited }) => exited));
    return outcome(0);
  },
  count: () => ({ counters: started.map(({ shared }) => [...new Int32Array(shared)]) }),
  stop: () => void server.stop(true),
};

/** @param {number} ms */
async function outcome(ms) {
  const workers = await Promise.all(
    started.map(async ({ exited, errors }) => ({ code: await exited, errors })),
  );
  return { ms, workers };
}

let echoed = 0;
const server = serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch(request, self) {
    /** @type {any} */ (self).upgrade(request, { data: new URL(request.url).pathname });
    return undefined;
  },
  websocket: {
    open: (ws) => void ws.subscribe("everybody"),
    async message(ws, text) {
      if (ws.data === "/echo") {
        ws.send(`e${echoed++}`);
        return;
      }
      const order = JSON.parse(String(text));
      const answer = await ORDERS[order.name](order);
      if (answer) ws.send(JSON.stringify(answer));
    },
  },
});
writeSync(1, `${JSON.stringify({ port: server.port })}\n`);
process.on("exit", () => writeSync(1, `${JSON.stringify({ counters: [echoed] })}\n`));
