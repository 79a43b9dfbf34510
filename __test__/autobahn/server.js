// @ts-check
// Echo server for the Autobahn cases. Runs on Node and Deno with ferrows; on Bun with Bun's own serve, for comparison.
// Prints its port; ends with its standard input.
const { serve } = globalThis.Bun ?? (await import("../../index.js"));

const server = serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSocket only", { status: 400 });
  },
  websocket: {
    // The largest case sends 16 MiB.
    maxPayloadLength: 64 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    idleTimeout: 0,
    // For the cases 12 and 13; a client that offers no compression gets none.
    perMessageDeflate: true,
    message(socket, message) {
      socket.send(message, true);
    },
  },
});
console.log(server.port);

process.stdin.resume().once("end", () => process.exit(0));
