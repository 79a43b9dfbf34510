// @ts-check
// What the probe judges. It asks for everything within the evaluation of its main module, where Bun reports a rejection
// that nobody handles and goes on; Node and Deno would end, and take the other answers with them.

export * from "../../index.js";

// Scenarios that are about the end of a process have one of their own.
if (!process.argv.includes("--child")) process.on("unhandledRejection", (error) => console.error(error));
