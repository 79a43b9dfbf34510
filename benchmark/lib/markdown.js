// @ts-check
// Results as Markdown.
import { cases } from "./cases.js";

/** @typedef {import("./summary.js").CaseResult} CaseResult */
/**
 * @typedef {object} Results
 * @property {string} date
 * @property {Record<string, any>} machine
 * @property {Record<string, any>} settings
 * @property {Record<string, { title: string, ours: boolean, versions: Record<string, string> }>} servers
 * @property {CaseResult[]} cases
 */

/** @param {number | undefined} value @param {import("./cases.js").Metric} metric */
export function format(value, metric) {
  if (value === undefined) return "–";
  const scaled = value * (metric.scale ?? 1);
  return scaled.toLocaleString("en-US", {
    minimumFractionDigits: metric.digits,
    maximumFractionDigits: metric.digits,
  });
}

/** @param {string[]} cells */
const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** @param {string[]} heading @param {string[][]} rows */
function table(heading, rows) {
  const rule = heading.map((_, index) => (index === 0 ? "---" : "---:"));
  return [heading, rule, ...rows].map(line).join("\n");
}

/** @param {string} id */
const caseOf = (id) => /** @type {import("./cases.js").Case} */ (cases.find((kase) => kase.id === id));

/** @param {Results} results @param {string} server */
const titleOf = (results, server) => results.servers[server]?.title ?? server;

/** @param {CaseResult} result @param {Results} results */
export function caseTable(result, results) {
  const kase = caseOf(result.id);
  const heading = ["server", ...kase.metrics.flatMap(({ label }) => [label, "×"]), "± %", "rounds"];
  const rows = result.rows.map((row) => {
    const title = titleOf(results, row.server);
    if (row.failed) return [title, `failed: ${row.failed.split("\n")[0]}`, ...heading.slice(2).map(() => "")];
    const figures = kase.metrics.flatMap((metric) => {
      const figure = row.figures[metric.key];
      return [format(figure?.median, metric), figure?.ratio?.toFixed(2) ?? "–"];
    });
    const spread = row.figures[kase.metrics[0].key]?.spread;
    return [title, ...figures, spread === undefined ? "–" : (spread * 100).toFixed(0), String(row.rounds)];
  });
  const warning =
    result.state === "far"
      ? "\n\nThe two cores were far from each other in some rounds, or busy with other programs: do not quote these figures."
      : "";
  const bound = kase.free || !results.settings.cores ? "cores free" : "server and load on one core each";
  const ratio = `× is the ratio to ${titleOf(results, result.base)}`;
  return `### ${result.title}\n\n${bound}; ${ratio}\n\n${table(heading, rows)}${warning}`;
}

/** One line per case, ratios only. @param {Results} results */
function overview(results) {
  const ids = Object.keys(results.servers);
  const rows = results.cases.map((result) => {
    const [primary] = caseOf(result.id).metrics;
    const cells = ids.map((id) => {
      const figures = result.rows.find((row) => row.server === id)?.figures ?? {};
      const ratio = figures[primary.key]?.ratio;
      if (ratio === undefined) return "–";
      const part = primary.part && figures[primary.part.key];
      if (!part) return ratio.toFixed(2);
      return `${ratio.toFixed(2)} (${((part.median / figures[primary.key].median) * ratio).toFixed(2)})`;
    });
    const figure = `${primary.label}, ${primary.better} is better`;
    return [result.title, figure, titleOf(results, result.base), ...cells];
  });
  return table(["case", "figure", "ratio to", ...ids.map((id) => titleOf(results, id))], rows);
}

/** @param {Results} results */
export function report(results) {
  const { machine, settings, servers } = results;
  const versions = Object.values(servers).map(({ title, versions }) => {
    const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    return [title, parts.join(", ")];
  });
  const place = settings.cores
    ? `server on core ${settings.cores.server}, load on core ${settings.cores.load}`
    : "no process bound to a core";
  return [
    "# Benchmark results",
    `${results.date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; ${place}; median of ${settings.rounds} round${settings.rounds === 1 ? "" : "s"} of ${settings.seconds} s.`,
    ...(settings.quick ? ["A quick run, to see that the benchmark works: do not quote these figures."] : []),
    "How this is measured and how to read it: [benchmark/README.md](../README.md).",
    "## Ratios",
    "In parentheses: the part of it that the JavaScript thread spends.",
    overview(results),
    "## Figures",
    "± is the spread of the first figure over the rounds.",
    ...results.cases.map((result) => caseTable(result, results)),
    "## Versions",
    table(["server", "made of"], versions),
    "",
  ].join("\n\n");
}
