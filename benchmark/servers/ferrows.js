// @ts-check
// ferrows, on Node and on Deno.
import { serve } from "../../index.js";
import { start } from "./bun-style.js";

start(serve);
