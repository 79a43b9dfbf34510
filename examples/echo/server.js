// @ts-check
// Sends every message back: the smallest server.
//
//   node examples/echo/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/echo/server.js
//
// PORT is the port (default 3000, 0 for a free one).

import process from "node:process";
import { serve } from "../../index.js";

const server = serve({
  port: Number(process.env.PORT || 3000),
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("This server speaks WebSocket.", { status: 426, headers: { upgrade: "websocket" } });
  },
  websocket: {
    message: (ws, message) => void ws.send(message),
  },
});

console.log(`listening on http://localhost:${server.port}`);
