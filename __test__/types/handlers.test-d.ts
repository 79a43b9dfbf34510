import type { WebSocketHandler } from "ferrows";

// nothing is required
({}) satisfies WebSocketHandler;

// every option
({
  open() {},
  message() {},
  close() {},
  drain() {},
  ping() {},
  pong() {},
  error() {},
  maxPayloadLength: 1024,
  backpressureLimit: 1024,
  closeOnBackpressureLimit: true,
  idleTimeout: 30,
  publishToSelf: true,
  sendPings: false,
  perMessageDeflate: { compress: "shared", decompress: "3KB" },
}) satisfies WebSocketHandler;
({ perMessageDeflate: true }) satisfies WebSocketHandler;
({ perMessageDeflate: { compress: false } }) satisfies WebSocketHandler;

// handlers may be async
({
  async open() {},
  async message() {},
  async close() {},
}) satisfies WebSocketHandler;

// a message may be taken for text where the clients send nothing else
({
  message(_ws, message: string) {
    message.toUpperCase();
  },
}) satisfies WebSocketHandler;

// @ts-expect-error a number of seconds
({ idleTimeout: "30" }) satisfies WebSocketHandler;
// @ts-expect-error a boolean
({ sendPings: 1 }) satisfies WebSocketHandler;
// @ts-expect-error no such size
({ perMessageDeflate: { compress: "5KB" } }) satisfies WebSocketHandler;
// @ts-expect-error a function
({ open: true }) satisfies WebSocketHandler;
// @ts-expect-error no such handler
({ onmessage() {} }) satisfies WebSocketHandler;

// without a narrower type, a message may be bytes
({
  message(_ws, message) {
    // @ts-expect-error a Buffer has no toUpperCase
    message.toUpperCase();
  },
}) satisfies WebSocketHandler;
