// @ts-check
// Ends without cutting anybody off: on SIGINT or SIGTERM it takes no new connections, lets requests and sockets
// finish, and closes what is left after a deadline.
//
//   node examples/graceful-shutdown/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/graceful-shutdown/server.js
//
// PORT is the port (default 3000, 0 for a free one), DEADLINE_MS the patience (default 10000). Open
// http://localhost:3000/slow and a WebSocket, then press Ctrl+C; a second Ctrl+C does not wait.

import process from "node:process";
import { serve } from "../../index.js";

const deadlineMs = Number(process.env.DEADLINE_MS || 10_000);

const server = serve({
  port: Number(process.env.PORT || 3000),

  async fetch(request, server) {
    if (server.upgrade(request)) return;
    if (new URL(request.url).pathname === "/slow") {
      console.log("slow request");
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return new Response("That took a second\n");
    }
    return new Response("Try /slow, or a WebSocket\n");
  },

  websocket: {
    open: (ws) => void ws.subscribe("everybody"),
    message: (ws, message) => void ws.send(message),
    close: (_ws, code) => console.log(`socket closed with ${code}`),
  },
});

console.log(`listening on http://localhost:${server.port}`);

process.on("SIGINT", shutDown);
process.on("SIGTERM", shutDown);

let stopping = false;

async function shutDown() {
  if (stopping) process.exit(1);
  stopping = true;
  console.log("shutting down");

  // New connections are refused from here on. Sockets stay usable: tell them, so that they can finish.
  const finished = server.stop();
  server.publish("everybody", JSON.stringify({ type: "shutdown", deadlineMs }));

  // Who is still there then gets 1001, and the promise above resolves.
  const timer = setTimeout(() => server.stop(true), deadlineMs);
  await finished;
  clearTimeout(timer);
  console.log("finished");
  process.exit(0);
}
