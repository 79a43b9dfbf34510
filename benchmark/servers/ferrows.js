// @ts-check
// ferrows, on Node and on Deno. With --platform-response its answers are the platform's Response, not ferrows' own.
import process from "node:process";
import { Response, serve } from "../../index.js";
import { start } from "./bun-style.js";

start(serve, process.argv.includes("--platform-response") ? globalThis.Response : Response);
