// @ts-check
// Bun's own server.
import { start } from "./bun-style.js";

// @ts-expect-error Bun is a global of Bun
start(Bun.serve, Response);
