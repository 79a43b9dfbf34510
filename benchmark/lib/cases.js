// @ts-check
// What is measured: the cases, and the figures that the load generator reports for each.

/**
 * @typedef {object} Metric
 * @property {string} key field of the load generator's report
 * @property {string} label heading in tables
 * @property {string} axis label of the chart's axis
 * @property {"lower" | "higher"} better
 * @property {number} digits
 * @property {number} [scale] multiplies the reported figure
 * @property {Metric} [part] the part of it that the JavaScript thread has
 */

/**
 * CPU time and rate of what a case counts.
 *
 * @param {string} one
 * @param {string} axis what it is called on the chart's axis
 * @returns {Record<"cpu" | "js" | "rate", Metric>}
 */
function perUnit(one, axis) {
  const js = /** @satisfies {Metric} */ ({
    key: `js_us_per_${one}`,
    label: `JS thread µs/${one}`,
    axis: `JavaScript thread's time per ${axis}, µs`,
    better: "lower",
    digits: 3,
  });
  return {
    js,
    cpu: {
      key: `cpu_us_per_${one}`,
      label: `CPU µs/${one}`,
      axis: `CPU time per ${axis}, µs`,
      better: "lower",
      digits: 3,
      part: js,
    },
    rate: {
      key: `${one}s_per_s`,
      label: `thousand ${one}s/s`,
      axis: `thousand ${one}s per second`,
      better: "higher",
      digits: 1,
      scale: 1e-3,
    },
  };
}

const message = perUnit("message", "message delivered");
const request = perUnit("request", "request");
const upgrade = perUnit("upgrade", "upgrade");

/** @satisfies {Record<string, Metric>} */
const metrics = {
  p50: { key: "p50_us", label: "p50 µs", axis: "median latency, µs", better: "lower", digits: 1 },
  p99: { key: "p99_us", label: "p99 µs", axis: "99th percentile of latency, µs", better: "lower", digits: 0 },
  pongP50: { key: "p50_us", label: "p50 ms", axis: "median, ms", better: "lower", digits: 3, scale: 1e-3 },
  pongP99: {
    key: "p99_us",
    label: "p99 ms",
    axis: "99th percentile of pong latency, ms",
    better: "lower",
    digits: 3,
    scale: 1e-3,
  },
  pongMax: { key: "max_us", label: "max ms", axis: "longest, ms", better: "lower", digits: 3, scale: 1e-3 },
  bytes: {
    key: "bytes_per_connection",
    label: "bytes/connection",
    axis: "resident bytes per idle connection",
    better: "lower",
    digits: 0,
  },
  connects: {
    key: "connects_per_s",
    label: "connections/s",
    axis: "connections opened per second",
    better: "higher",
    digits: 0,
  },
  idleCpu: { key: "idle_cpu_percent", label: "idle CPU %", axis: "idle CPU, %", better: "lower", digits: 2 },
};

/**
 * @typedef {object} Case
 * @property {string} id
 * @property {string} title
 * @property {string[]} load arguments of the load generator
 * @property {string[]} [quick] arguments that take their place with --quick
 * @property {string[]} [server] arguments of the server
 * @property {string[]} [only] the servers that can do it, where not all can
 * @property {string} [base] the server that ratios refer to, where it is not the usual one
 * @property {boolean} [free] neither side is bound to a core, and the load sleeps while it waits
 * @property {number} [seconds] measured time, when it is not the usual one
 * @property {Metric[]} metrics the first is the one that charts and summaries show
 */

const { p50, p99, pongP50, pongP99, pongMax, bytes, connects, idleCpu } = metrics;
const { cpu, js, rate } = message;
const messages = [cpu, js, rate, p50, p99];
const requests = [request.rate, request.cpu, request.js, p50, p99];
const upgrades = [upgrade.cpu, upgrade.js, upgrade.rate, p50, p99];

/** Servers with Bun's interface. */
const bunStyle = ["ferrows-node", "ferrows-deno", "bun"];

/** @type {Case[]} */
export const cases = [
  {
    id: "echo",
    title: "Echo: 64 connections, 20 bytes of text",
    load: ["echo", "--connections", "64", "--size", "20"],
    metrics: messages,
  },
  {
    id: "echo-deep",
    title: "Echo, 16 in flight: 64 connections, 20 bytes of text",
    load: ["echo", "--connections", "64", "--size", "20", "--depth", "16"],
    metrics: messages,
  },
  {
    id: "echo-16k",
    title: "Echo: 64 connections, 16 KiB of text",
    load: ["echo", "--connections", "64", "--size", "16384"],
    metrics: messages,
  },
  {
    id: "echo-binary",
    title: "Echo: 64 connections, 20 bytes of binary",
    load: ["echo", "--connections", "64", "--size", "20", "--binary"],
    metrics: messages,
  },
  {
    id: "echo-tls",
    title: "Echo over TLS 1.3: 64 connections, 20 bytes of text",
    load: ["echo", "--connections", "64", "--size", "20", "--tls"],
    server: ["--tls"],
    only: bunStyle,
    metrics: messages,
  },
  {
    id: "echo-tls-16k",
    title: "Echo over TLS 1.3: 64 connections, 16 KiB of text",
    load: ["echo", "--connections", "64", "--size", "16384", "--tls"],
    server: ["--tls"],
    only: bunStyle,
    metrics: messages,
  },
  {
    id: "fanout",
    title: "Fan-out: 32 publishers to 32 subscribers, 20 bytes",
    load: ["fanout", "--connections", "32", "--size", "20"],
    metrics: messages,
  },
  {
    id: "fanout-1000",
    title: "Fan-out: 1 publisher to 1000 subscribers, 64 bytes",
    load: ["fanout", "--connections", "1000", "--publishers", "1", "--size", "64"],
    metrics: messages,
  },
  {
    id: "echo-one",
    title: "Latency: echo on 1 connection, 20 bytes of text",
    load: ["echo", "--connections", "1", "--size", "20"],
    metrics: [p50, p99, cpu, js],
  },
  {
    id: "echo-work",
    title: "Echo, 5 µs of work a message: 64 connections, 20 bytes",
    load: ["echo", "--connections", "64", "--size", "20"],
    server: ["--work", "5"],
    free: true,
    metrics: [rate, cpu, js, p50, p99],
  },
  {
    id: "http-hello",
    title: "HTTP: 64 connections, a handler answers Hello World",
    load: ["http", "--connections", "64"],
    server: ["--http", "handler"],
    only: [...bunStyle, "ferrows-node-platform", "node-http", "deno"],
    base: "node-http",
    metrics: requests,
  },
  {
    id: "http-static",
    title: "HTTP: 64 connections, a static route of Hello World",
    load: ["http", "--connections", "64", "--path", "/static"],
    server: ["--http", "static"],
    only: [...bunStyle, "node-http", "deno"],
    base: "node-http",
    metrics: requests,
  },
  {
    id: "upgrades",
    title: "Upgrades: 64 connections at a time open and end",
    load: ["upgrade", "--connections", "64"],
    metrics: upgrades,
  },
  {
    id: "idle",
    title: "Idle connections",
    load: ["idle", "--connections", "10000"],
    quick: ["idle", "--connections", "2000"],
    metrics: [bytes, connects, idleCpu],
  },
  {
    id: "idle-tls",
    title: "Idle connections over TLS 1.3",
    load: ["idle", "--connections", "5000", "--tls"],
    quick: ["idle", "--connections", "1000", "--tls"],
    server: ["--tls"],
    only: bunStyle,
    metrics: [bytes, connects, idleCpu],
  },
  {
    id: "ping-blocked",
    title: "Pongs while JavaScript is busy for 200 of every 250 ms",
    load: ["ping"],
    server: ["--block"],
    free: true,
    seconds: 2,
    metrics: [pongP99, pongP50, pongMax],
  },
];

/**
 * The load of `npm run bench -- --smoke`: each part of the generator once, as short as it can be, in the place of that
 * of a case. Those that want the same server follow each other.
 *
 * @type {{ of: string, load: string[] }[]}
 */
export const smokeLoads = [
  { of: "echo", load: ["echo", "--connections", "4"] },
  { of: "echo", load: ["echo", "--connections", "2", "--size", "70000", "--depth", "4", "--binary"] },
  { of: "fanout", load: ["fanout", "--connections", "8", "--publishers", "4"] },
  { of: "upgrades", load: ["upgrade", "--connections", "4"] },
  { of: "idle", load: ["idle", "--connections", "50"] },
  { of: "echo", load: ["ping"] },
  { of: "http-hello", load: ["http", "--connections", "4"] },
  { of: "http-static", load: ["http", "--connections", "4", "--path", "/static"] },
  { of: "echo-tls", load: ["echo", "--connections", "4", "--tls"] },
];
