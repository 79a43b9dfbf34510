// @ts-check
// `npm start`: builds what is missing or older than its sources, then serves the chat example.
// PORT chooses the port (3000). Needs Node and cargo; installs the rest.
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { buildAddon } from "./build.mjs";
import { buildBundle } from "./bundle.mjs";
import { fail, inRoot, requireNode } from "./support.mjs";

requireNode();
buildAddon({ ifStale: true });
await buildBundle({ ifStale: true });

const server = inRoot("examples", "chat", "server.js");
if (!existsSync(server)) {
  fail("examples/chat/server.js is not there: is this clone complete?");
}
await import(pathToFileURL(server).href);
