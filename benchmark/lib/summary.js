// @ts-check
// From rounds to figures: medians, spread, ratios to the base.

/**
 * @typedef {object} Round
 * @property {boolean} near whether the two cores shared a cache before and after, and nobody else used them much
 * @property {Record<string, any>} report of the load generator
 */
/**
 * @typedef {object} Row
 * @property {string} server
 * @property {string} [failed] why there are no figures
 * @property {number} [rounds]
 * @property {Record<string, Figure>} figures by the metric's key
 */
/**
 * @typedef {object} Figure
 * @property {number} median
 * @property {number} spread half the range between the lowest and the highest round, as a share of the median
 * @property {number} [ratio] to the base server
 */
/**
 * @typedef {object} CaseResult
 * @property {string} id
 * @property {string} title
 * @property {string} base the server that ratios refer to
 * @property {"near" | "far"} state "far": the rounds were not all made in the machine's good state
 * @property {Row[]} rows
 */

/** @param {number[]} values not empty */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @param {import("./cases.js").Case} kase
 * @param {Map<string, { rounds: Round[], failed?: string }>} measured by server
 * @param {string} base
 * @returns {CaseResult}
 */
export function summarise(kase, measured, base) {
  const working = [...measured.values()].filter(({ rounds }) => rounds.length > 0);
  const state = working.every(({ rounds }) => rounds.some(({ near }) => near)) ? "near" : "far";
  const rows = [...measured].map(([server, { rounds, failed }]) => {
    const counted = state === "near" ? rounds.filter(({ near }) => near) : rounds;
    /** @type {Row} */
    const row = { server, figures: {} };
    if (counted.length === 0) return { ...row, failed: failed ?? "no round" };
    row.rounds = counted.length;
    for (const { key } of kase.metrics) {
      const values = counted.map(({ report }) => report[key]).filter((value) => typeof value === "number");
      if (values.length === 0) continue;
      const middle = median(values);
      const spread = middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(middle);
      row.figures[key] = { median: middle, spread };
    }
    return row;
  });
  const reference = rows.find(({ server }) => server === base);
  for (const { figures } of rows) {
    for (const [key, figure] of Object.entries(figures)) {
      const divisor = reference?.figures[key]?.median;
      if (divisor !== undefined && divisor > 0) figure.ratio = figure.median / divisor;
    }
  }
  return { id: kase.id, title: kase.title, base, state, rows };
}
