// @ts-check
// The one place that decides which `serve` the suite judges: Bun's own under Bun (the oracle), ours elsewhere.

const host = /** @type {any} */ (globalThis);

/** @type {"bun" | "deno" | "node"} */
export const runtime = host.Bun ? "bun" : host.Deno ? "deno" : "node";

/** True when the suite runs against Bun itself. */
export const isBun = runtime === "bun";

/** @type {(options: any) => any} */
export const serve = isBun ? host.Bun.serve : (await import("../../index.js")).serve;
