// @ts-check
// Ordinary HTTP beside a socket: strings, bytes, a stream out, a stream in, and the progress of uploads live.
//
//   node examples/http/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/http/server.js
//
// PORT is the port (default 3000, 0 for a free one). Connect a WebSocket to ws://localhost:3000/progress, then:
//   curl http://localhost:3000/            text
//   curl http://localhost:3000/bytes       binary
//   curl -N http://localhost:3000/stream   a line every 200 ms
//   curl -T some-file http://localhost:3000/upload

import { createHash } from "node:crypto";
import process from "node:process";
import { serve } from "../../index.js";

let uploads = 0;

const server = serve({
  port: Number(process.env.PORT || 3000),

  fetch(request, server) {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response("Hello over HTTP\n");
      case "/bytes":
        return new Response(
          Uint8Array.from({ length: 256 }, (_, value) => value),
          {
            headers: { "content-type": "application/octet-stream" },
          },
        );
      case "/stream":
        return new Response(lines(request.signal), {
          headers: { "content-type": "text/plain; charset=utf-8" },
        });
      case "/upload":
        return upload(request);
      case "/progress":
        if (server.upgrade(request)) return;
        return new Response("This address is for WebSockets.\n", {
          status: 426,
          headers: { upgrade: "websocket" },
        });
      default:
        return new Response("Not found\n", { status: 404 });
    }
  },

  // Without `fetch` answering it, this is what a client gets; the details stay here.
  error(error) {
    console.error(error);
    return new Response("Something went wrong\n", { status: 500 });
  },

  websocket: {
    open: (ws) => void ws.subscribe("progress"),
    message: (ws, message) => void ws.send(message),
  },
});

console.log(`listening on http://localhost:${server.port}`);

/**
 * Five lines, one at a time. Produced only as fast as the client reads; ends early when the client leaves.
 * @param {AbortSignal} signal
 */
function lines(signal) {
  let line = 0;
  return new ReadableStream({
    async pull(controller) {
      if (line > 0) await new Promise((resolve) => setTimeout(resolve, 200));
      if (signal.aborted) return controller.close();
      line += 1;
      controller.enqueue(new TextEncoder().encode(`line ${line}\n`));
      if (line === 5) controller.close();
    },
  });
}

/**
 * Reads the body as it comes, without ever holding all of it, and tells the sockets how far it is.
 * @param {Request} request
 */
async function upload(request) {
  if (request.method !== "PUT" && request.method !== "POST") {
    return new Response("Send a body with PUT or POST\n", { status: 405, headers: { allow: "PUT, POST" } });
  }
  uploads += 1;
  const id = uploads;
  const hash = createHash("sha256");
  let bytes = 0;
  if (request.body !== null) {
    for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (
      /** @type {unknown} */ (request.body)
    )) {
      bytes += chunk.byteLength;
      hash.update(chunk);
      server.publish("progress", JSON.stringify({ upload: id, bytes, done: false }));
    }
  }
  const sha256 = hash.digest("hex");
  server.publish("progress", JSON.stringify({ upload: id, bytes, done: true }));
  return Response.json({ upload: id, bytes, sha256 });
}
