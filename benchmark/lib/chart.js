// @ts-check
// Results as an SVG chart: one panel of bars per case, in light and dark colours as the reader's system prefers.
import { cases } from "./cases.js";
import { format } from "./markdown.js";

const WIDTH = 960;
const MARGIN = 24;
const GAP = 36;
const COLUMNS = 2;
const PANEL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS;
const NAMES = 164;
const VALUES = 52;
const BAR = 15;
const STEP = 22;
const PANEL_HEAD = 30;
const PANEL_FOOT = 44;
const HEAD = 86;

const STYLE = `
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; font-size: 12px; fill: #24292f; }
  .background { fill: #ffffff; } .title { font-size: 18px; font-weight: 600; } .panel { font-size: 13px; font-weight: 600; }
  .quiet { fill: #57606a; font-size: 11px; } .grid { stroke: #d0d7de; stroke-width: 1; } .ours-name { font-weight: 600; }
  .ours { fill: #f0a27a; } .ours-js { fill: #b7410e; } .peer { fill: #a9bdd3; } .peer-js { fill: #50708f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .background { fill: #0d1117; } .quiet { fill: #9aa4af; } .grid { stroke: #30363d; }
    .ours { fill: #8f4420; } .ours-js { fill: #f08a52; } .peer { fill: #3d5064; } .peer-js { fill: #8fb0d0; }
  }`;

/** @param {unknown} text */
function escapeXml(text) {
  return String(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {...string} children
 */
function element(name, attributes, ...children) {
  const list = Object.entries(attributes).map(([key, value]) => {
    const text = typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
    return ` ${key}="${escapeXml(text)}"`;
  });
  return children.length === 0
    ? `<${name}${list.join("")}/>`
    : `<${name}${list.join("")}>${children.join("")}</${name}>`;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {Record<string, string>} [attributes]
 */
const label = (x, y, content, attributes = {}) =>
  element("text", { x, y, ...attributes }, escapeXml(content));

/** Round numbers from 0 to at least `max`, three to six of them. @param {number} max */
export function ticks(max) {
  if (!(max > 0)) return [0, 1];
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * /** @type {number} */ ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough));
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/**
 * @param {import("./summary.js").CaseResult} result
 * @param {import("./markdown.js").Results} results
 * @param {number} left
 * @param {number} top
 */
function panel(result, results, left, top) {
  const kase = /** @type {import("./cases.js").Case} */ (cases.find(({ id }) => id === result.id));
  const [primary] = kase.metrics;
  const scale = primary.scale ?? 1;
  const values = result.rows.map((row) => (row.figures[primary.key]?.median ?? 0) * scale);
  const marks = ticks(Math.max(...values, 0));
  const room = PANEL - NAMES - VALUES;
  const zero = left + NAMES;
  const along = (/** @type {number} */ value) => (Math.max(0, value) / marks[marks.length - 1]) * room;
  const bottom = top + PANEL_HEAD + result.rows.length * STEP;
  const parts = [label(left, top + 14, result.title, { class: "panel" })];

  for (const mark of marks) {
    const x = zero + along(mark);
    parts.push(element("line", { class: "grid", x1: x, x2: x, y1: top + PANEL_HEAD - 4, y2: bottom }));
    const text = mark.toLocaleString("en-US", { maximumFractionDigits: 6 });
    parts.push(label(x, bottom + 14, text, { class: "quiet", "text-anchor": "middle" }));
  }
  const axis = `${primary.axis} (${primary.better} is better)`;
  parts.push(label(zero + room / 2, bottom + 30, axis, { class: "quiet", "text-anchor": "middle" }));

  for (const [index, row] of result.rows.entries()) {
    const y = top + PANEL_HEAD + index * STEP;
    const { title = row.server, ours = false } = results.servers[row.server] ?? {};
    const colour = ours ? "ours" : "peer";
    const name = { "text-anchor": "end", ...(ours ? { class: "ours-name" } : {}) };
    parts.push(label(zero - 8, y + 12, title, name));
    const value = row.figures[primary.key]?.median;
    if (value === undefined) {
      parts.push(label(zero + 4, y + 12, row.failed ? "failed" : "no figure", { class: "quiet" }));
      continue;
    }
    const width = along(values[index]);
    const js = primary.part && row.figures[primary.part.key]?.median;
    const dark = js === undefined ? width : Math.min(width, along(js * scale));
    if (dark < width) parts.push(element("rect", { class: colour, x: zero, y, width, height: BAR }));
    parts.push(element("rect", { class: `${colour}-js`, x: zero, y, width: dark, height: BAR }));
    parts.push(label(zero + width + 5, y + 12, format(value, primary)));
  }
  return element("g", {}, ...parts);
}

/** @param {import("./markdown.js").Results} results */
export function chart(results) {
  const { machine, settings } = results;
  const height = (/** @type {import("./summary.js").CaseResult} */ result) =>
    PANEL_HEAD + result.rows.length * STEP + PANEL_FOOT;
  const panels = [];
  let top = HEAD;
  for (let index = 0; index < results.cases.length; index += COLUMNS) {
    const row = results.cases.slice(index, index + COLUMNS);
    panels.push(...row.map((result, column) => panel(result, results, MARGIN + column * (PANEL + GAP), top)));
    top += Math.max(...row.map(height)) + 18;
  }

  const title = "ferrows and other servers, side by side";
  const machineText = `${results.date.slice(0, 10)}, ${machine.cpu}, ${machine.cores} cores; median of ${settings.rounds} round${settings.rounds === 1 ? "" : "s"}`;
  const description = results.cases.map((result) => {
    const kase = /** @type {import("./cases.js").Case} */ (cases.find(({ id }) => id === result.id));
    const [primary] = kase.metrics;
    const figures = result.rows.map((row) => {
      const name = results.servers[row.server]?.title ?? row.server;
      return `${name} ${format(row.figures[primary.key]?.median, primary)}`;
    });
    return `${result.title}, ${primary.axis}, ${primary.better} is better: ${figures.join(", ")}.`;
  });
  const legend = [
    element("rect", { class: "ours-js", x: MARGIN, y: 58, width: 11, height: 11 }),
    element("rect", { class: "peer-js", x: MARGIN + 14, y: 58, width: 11, height: 11 }),
    label(MARGIN + 31, 68, "CPU panels: the JavaScript thread; other panels: the figure", { class: "quiet" }),
    element("rect", { class: "ours", x: MARGIN + 400, y: 58, width: 11, height: 11 }),
    element("rect", { class: "peer", x: MARGIN + 414, y: 58, width: 11, height: 11 }),
    label(MARGIN + 431, 68, "CPU panels: all other threads", { class: "quiet" }),
  ];
  const total = top + 4;
  const children = [
    element("title", { id: "chart-title" }, escapeXml(title)),
    element("desc", { id: "chart-description" }, escapeXml(`${machineText}. ${description.join(" ")}`)),
    `<style>${STYLE}\n</style>`,
    element("rect", { class: "background", x: 0, y: 0, width: WIDTH, height: total }),
    label(MARGIN, 30, title, { class: "title" }),
    label(MARGIN, 48, `${machineText}; ratios are in the table`, { class: "quiet" }),
    ...legend,
    ...panels,
  ];
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    width: WIDTH,
    height: total,
    viewBox: `0 0 ${WIDTH} ${Math.ceil(total)}`,
    role: "img",
    "aria-labelledby": "chart-title chart-description",
  };
  return `${element("svg", attributes, "\n", ...children.map((child) => `${child}\n`))}\n`;
}
