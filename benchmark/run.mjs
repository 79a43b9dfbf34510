#!/usr/bin/env node
// @ts-check
// The benchmark: servers side by side under one load. `npm run bench -- --help` lists the options; README.md explains.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { cases, smokeLoads } from "./lib/cases.js";
import { chart } from "./lib/chart.js";
import { build, run } from "./lib/load.js";
import { chooseCores, Distance, describeMachine } from "./lib/machine.js";
import { caseTable, report } from "./lib/markdown.js";
import { here, Peers, servers, start, takesPart } from "./lib/servers.js";
import { summarise } from "./lib/summary.js";

/**
 * Percent of one of the cores that other programs may seem to have in a round that counts. Going to sleep and waking is
 * on nobody's account, which makes 15 with one lone connection; a program that computes takes half of a core.
 */
const MOST_OTHERS = 25;

const HELP = `npm run bench -- [options]

  --only LIST        servers: ${servers.map(({ id }) => id).join(",")}
  --case LIST        cases: ${cases.map(({ id }) => id).join(",")}
  --base SERVER      what ratios refer to (default node-http for HTTP and bun, else the first server)
  --rounds N         rounds that count, per case and server (default 5)
  --seconds S        measured time of a round (default 1)
  --quick            one round of 0.4 s and fewer idle connections: to see that it works, not to quote
  --free             bind no process to a core
  --near NS          longest hand-over between the cores in which a round counts (default 60)
  --peers DIR        folder whose node_modules has the compared packages (default benchmark/)
  --no-install       do not install missing packages; leave out the servers that need them
  --latest           also write results/latest.json, .md and .svg
  --smoke            two seconds on each of our own servers, nothing written: does the benchmark work?
  --help
`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    case: { type: "string", multiple: true },
    base: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    quick: { type: "boolean", default: false },
    free: { type: "boolean", default: false },
    near: { type: "string", default: "60" },
    peers: { type: "string", default: here },
    "no-install": { type: "boolean", default: false },
    latest: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(message);
  process.exit(1);
}

/**
 * @template {{ id: string }} T
 * @param {string} what
 * @param {T[]} all
 * @param {string | undefined} list
 */
function select(what, all, list) {
  if (list === undefined) return all;
  return list.split(",").map((id) => {
    return (
      all.find((one) => one.id === id) ??
      fail(`no ${what} ${id}; there are ${all.map(({ id }) => id).join(", ")}`)
    );
  });
}

/** @param {string} name @param {string | undefined} text @param {number} usual */
function positive(name, text, usual) {
  const number = Number(text ?? usual);
  return number > 0 ? number : fail(`--${name} must be a number above 0`);
}

/**
 * One round: a fresh server, one run of the load against it.
 *
 * @param {string[]} command
 * @param {import("./lib/cases.js").Case} kase
 * @param {{ generator: string, cores: { server: number, load: number } | undefined, seconds: number, quick: boolean }} how
 */
async function round(command, kase, { generator, cores, seconds, quick }) {
  const bind = (/** @type {number | undefined} */ cpu) =>
    cpu === undefined ? [] : ["taskset", "-c", String(cpu)];
  const bound = kase.free ? undefined : cores;
  const server = await start([...bind(bound?.server), ...command, ...(kase.server ?? [])]);
  try {
    const load = [
      ...bind(bound?.load),
      generator,
      ...((quick && kase.quick) || kase.load),
      ...["--port", String(server.port), "--pid", String(server.pid), "--seconds", String(seconds)],
      ...(bound ? ["--spin"] : []),
    ];
    return await run(load, 60_000 + seconds * 1000);
  } finally {
    await server.stop();
  }
}

/** @param {Peers} peers */
async function smoke(peers) {
  const generator = build();
  const selected = select("server", servers, options.only).filter(({ ours }) => options.only || ours);
  let passed = 0;
  for (const server of selected) {
    const missing = peers.missing(server);
    if (missing.length > 0) {
      console.log(`benchmark smoke: ${server.title} not run: ${missing.join(", ")} not installed`);
      continue;
    }
    try {
      await smokeServer(server, peers, generator);
    } catch (error) {
      fail(`benchmark smoke: ${server.title}: ${error instanceof Error ? error.message : error}`);
    }
    passed++;
    console.log(`benchmark smoke: ${server.title} ok`);
  }
  if (passed === 0) fail("benchmark smoke: no server was run");
}

/** @param {import("./lib/servers.js").ServerKind} server @param {Peers} peers @param {string} generator */
async function smokeServer(server, peers, generator) {
  const times = ["--seconds", "0.1", "--warm-up", "0.02"];
  /** @type {{ args: string, running: Awaited<ReturnType<typeof start>> } | undefined} */
  let started;
  /** @type {import("./lib/summary.js").CaseResult[]} */
  const caseResults = [];
  try {
    for (const { of, load } of smokeLoads) {
      const kase = /** @type {import("./lib/cases.js").Case} */ (cases.find(({ id }) => id === of));
      if (!takesPart(server, kase)) continue;
      const args = kase.server ?? [];
      if (started?.args !== args.join(" ")) {
        await started?.running.stop();
        started = { args: args.join(" "), running: await start([...peers.command(server), ...args]) };
      }
      const { pid, port } = started.running;
      const answer = await run(
        [generator, ...load, ...times, "--port", String(port), "--pid", String(pid)],
        30_000,
      );
      if (!(answer.verified > 0)) throw new Error(`${load.join(" ")}: nothing was verified`);
      if (caseResults.some(({ id }) => id === of)) continue;
      const lacking = kase.metrics.find(({ key }) => !(key in answer));
      if (lacking) throw new Error(`${of}: no ${lacking.key} in the report`);
      const measured = new Map([[server.id, { rounds: [{ near: true, report: answer }] }]]);
      caseResults.push(summarise(kase, measured, server.id));
    }
  } finally {
    await started?.running.stop();
  }
  const all = results(peers, [server], caseResults, { rounds: 1, seconds: 0.1, cores: undefined });
  const [table, svg] = [report(all), chart(all)];
  for (const { id, title } of caseResults) {
    if (!table.includes(title) || !svg.includes(title)) throw new Error(`${id}: no table or chart`);
  }
}

/**
 * @param {Peers} peers
 * @param {import("./lib/servers.js").ServerKind[]} selected
 * @param {import("./lib/summary.js").CaseResult[]} caseResults
 * @param {Record<string, any>} settings
 * @returns {import("./lib/markdown.js").Results}
 */
function results(peers, selected, caseResults, settings) {
  const described = selected.map((server) => {
    const { id, title, ours } = server;
    return [id, { title, ours, versions: peers.describe(server) }];
  });
  return {
    date: new Date().toISOString(),
    machine: describeMachine(),
    settings,
    servers: Object.fromEntries(described),
    cases: caseResults,
  };
}

/** The selected servers that can run here. @param {Peers} peers */
function available(peers) {
  const selected = select("server", servers, options.only);
  const lacking = () => selected.filter((server) => peers.missing(server).length > 0);
  if (lacking().length > 0 && !options["no-install"] && peers.folder === here) {
    console.error("installing the compared packages in benchmark/ ...");
    if (!peers.install()) console.error("npm install failed");
  }
  for (const server of lacking()) {
    console.error(`left out: ${server.title}, because ${peers.missing(server).join(", ")} is not installed`);
  }
  const able = selected.filter((server) => !lacking().includes(server));
  return able.length > 0 ? able : fail("no server to measure");
}

/**
 * All rounds of one case. The servers take turns, a different one first each time, so that a slow minute of the
 * machine falls on all of them.
 *
 * @param {import("./lib/cases.js").Case} kase
 * @param {import("./lib/servers.js").ServerKind[]} selected
 * @param {Peers} peers
 * @param {Parameters<typeof round>[2] & { rounds: number, distance: Distance }} how
 */
async function measure(kase, selected, peers, { rounds, distance, ...how }) {
  /** @type {Map<string, { rounds: import("./lib/summary.js").Round[], failed?: string, failures: number }>} */
  const measured = new Map(selected.map(({ id }) => [id, { rounds: [], failures: 0 }]));
  const done = (/** @type {string} */ id) => {
    const state = measured.get(id);
    return !state || state.failures >= 2 || state.rounds.filter(({ near }) => near).length >= rounds;
  };
  // A round in the machine's bad state is made up for, but not for ever.
  for (let turn = 0; turn < 2 * rounds && !selected.every(({ id }) => done(id)); turn++) {
    const first = turn % selected.length;
    for (const server of [...selected.slice(first), ...selected.slice(0, first)]) {
      const state = measured.get(server.id);
      if (!state || done(server.id)) continue;
      const before = kase.free ? undefined : await distance.waitUntilNear();
      try {
        const answer = await round(peers.command(server), kase, how);
        const after = kase.free ? undefined : await distance.measure();
        const near =
          distance.isNear(before) && distance.isNear(after) && !(answer.others_percent > MOST_OTHERS);
        state.rounds.push({ near, report: { ...answer, distance_ns: [before, after] } });
      } catch (error) {
        state.failures++;
        state.failed = error instanceof Error ? error.message : String(error);
        console.error(`${server.title}, ${kase.id}: ${state.failed}`);
      }
    }
  }
  return measured;
}

async function main() {
  if (options.help) return void process.stdout.write(HELP);
  const peers = new Peers(options.peers);
  if (options.smoke) return smoke(peers);

  const selectedCases = select("case", cases, options.case?.join(","));
  const rounds = Math.ceil(positive("rounds", options.rounds, options.quick ? 1 : 5));
  const usualSeconds = positive("seconds", options.seconds, options.quick ? 0.4 : 1);
  const selected = available(peers);
  if (options.base && !selected.some(({ id }) => id === options.base))
    fail(`the base ${options.base} is not among the servers`);
  const generator = build();
  const cores = options.free ? undefined : chooseCores();
  const distance = new Distance(generator, cores, positive("near", options.near, 60));

  const settings = { rounds, seconds: usualSeconds, cores, quick: options.quick, nearNs: distance.nearNs };
  const all = results(peers, selected, [], settings);
  /** @type {Record<string, Record<string, any>>} */
  const raw = {};
  for (const kase of selectedCases) {
    const seconds = kase.seconds ? kase.seconds * (options.quick ? 0.5 : 1) : usualSeconds;
    const how = { generator, cores, seconds, quick: options.quick, rounds, distance };
    const able = selected.filter((server) => takesPart(server, kase));
    if (able.length === 0) {
      console.log(`${kase.title}: none of these servers can do it\n`);
      continue;
    }
    const measured = await measure(kase, able, peers, how);
    const bases = [options.base, kase.base, "bun", able[0].id];
    const base = bases.find((id) => id !== undefined && measured.has(id)) ?? able[0].id;
    const result = summarise(kase, measured, base);
    all.cases.push(result);
    raw[kase.id] = Object.fromEntries([...measured].map(([id, state]) => [id, state.rounds]));
    console.log(`${caseTable(result, all)}\n`);
  }
  write(all, raw);
  const ours = new Set(servers.filter((server) => server.ours).map(({ id }) => id));
  if (all.cases.some(({ rows }) => rows.some((row) => row.failed && ours.has(row.server))))
    process.exitCode = 1;
}

/** @param {import("./lib/markdown.js").Results} all @param {Record<string, Record<string, any>>} raw */
function write(all, raw) {
  const folder = path.join(here, "results");
  mkdirSync(folder, { recursive: true });
  const day = all.date.slice(0, 10);
  const taken = new Set(readdirSync(folder));
  let stem = day;
  for (let number = 2; taken.has(`${stem}.json`); number++) stem = `${day}-${number}`;
  for (const name of options.latest ? [stem, "latest"] : [stem]) {
    const file = (/** @type {string} */ type) => path.join(folder, `${name}.${type}`);
    writeFileSync(file("json"), `${JSON.stringify({ ...all, rounds: raw }, null, 2)}\n`);
    writeFileSync(file("md"), report(all));
    writeFileSync(file("svg"), chart(all));
  }
  console.log(`written: benchmark/results/${stem}.json, .md, .svg${options.latest ? ", and latest.*" : ""}`);
}

await main().catch((error) => fail(error instanceof Error ? error.message : String(error)));
