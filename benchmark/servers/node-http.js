// @ts-check
// node:http, which has no WebSockets and no static routes: every request is answered by the handler.
import { createServer } from "node:http";
import { HELLO, ready } from "./options.js";

const server = createServer((_request, response) => response.end(HELLO));
server.listen(0, "127.0.0.1", () => ready(/** @type {any} */ (server.address()).port));
