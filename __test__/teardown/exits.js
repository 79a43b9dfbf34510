// @ts-check
// The ways in which a serving process ends. `child` runs in that process, `drive` in the suite, with the clients.
// Nothing is imported for the latter alone: thousands of processes load this.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * @typedef {import("./program.js").Program} Program
 * @typedef {import("./client.js").Client} Client
 *
 * @typedef {object} ChildTools
 * @property {Program} program
 * @property {number} round   from 0
 * @property {number} clients
 * @property {() => void} report   to be called before an end of which no "exit" event tells
 *
 * @typedef {object} DriveTools
 * @property {Client[]} clients
 * @property {(target: string) => Promise<string>} request   sends one that is no handshake, and gives all that came until the end
 * @property {number} round
 * @property {(signal: NodeJS.Signals) => void} kill
 *
 * @typedef {object} Exit
 * @property {string} title
 * @property {(tools: ChildTools) => number} child   returns the port of its server
 * @property {(tools: DriveTools) => unknown} [drive]   by default the clients keep messages under way
 * @property {number} [code]   exit code, by default 3
 * @property {NodeJS.Signals} [signal]   instead of the exit code
 * @property {number} [clients]   by default 4
 * @property {boolean} [isUnheard]   some clients may miss messages: they do not read, or the process is killed
 * @property {boolean} [endsWithHandshake]   it is the last client's handshake that ends the process
 * @property {number} [binary]   bytes of binary messages that every client must get
 * @property {number} [closeCode]   of the close frame that every client must get
 * @property {string} [expectsError]   what stderr must contain
 */

const CODE = 3;
const WINDOW = 32;
/** More than is written in one go, and less than the kernel takes. */
const LARGE = 256 << 10;

/** When to end, in messages received: another moment each round. @param {number} round */
const after = (round) => 1 + ((round * 97) % 1500);

/** @param {Pick<DriveTools, "clients">} tools */
const load = ({ clients }) => {
  for (const client of clients) client.load(WINDOW);
};

/** Runs `end` when as many messages as this round wants have been answered. @param {ChildTools} tools @param {(ws: import("./program.js").Socket) => any} end */
function echoUntil({ program, round }, end) {
  return program.serve({
    message(ws) {
      program.send(ws);
      if (program.received === after(round)) return end(ws);
    },
  });
}

/** @type {Exit[]} */
export const EXITS = [
  {
    title: "process.exit() behind a send in message",
    child: (tools) => echoUntil(tools, () => process.exit(CODE)),
  },
  {
    title: "process.exit() behind an await in message",
    child: (tools) =>
      echoUntil(tools, async (ws) => {
        await undefined;
        tools.program.send(ws);
        process.exit(CODE);
      }),
  },
  {
    title: "process.exit() in open",
    endsWithHandshake: true,
    child: ({ program, clients }) =>
      program.serve({
        open(ws) {
          program.send(ws);
          if (program.sockets.size < clients) return;
          program.sendToAll();
          process.exit(CODE);
        },
        message: (ws) => program.send(ws),
      }),
    // Those already there are busy when the last one comes.
    drive: () => {},
  },
  {
    title: "process.exit() in close",
    child: ({ program }) =>
      program.serve({
        message: (ws) => program.send(ws),
        close() {
          program.sendToAll();
          process.exit(CODE);
        },
      }),
    async drive({ clients, round }) {
      load({ clients: clients.slice(1) });
      await sleep(round % 10);
      if (round % 2) clients[0].close();
      else clients[0].destroy();
    },
  },
  {
    title: "process.exit() in fetch",
    child: ({ program }) =>
      program.serve({
        fetch() {
          program.sendToAll();
          process.exit(CODE);
        },
        message: (ws) => program.send(ws),
      }),
    async drive({ clients, request, round }) {
      load({ clients });
      await sleep(round % 10);
      const answer = await request("/exit");
      if (answer !== "") throw new Error(`an answer to the request: ${answer}`);
    },
  },
  {
    title: "process.exit() in a timer during a publish storm",
    clients: 12,
    child({ program, round, clients }) {
      const storm = () => {
        program.publish(150);
        if (++ticks > round % 8) process.exit(CODE);
      };
      let ticks = 0;
      return program.serve({
        open() {
          if (program.sockets.size === clients) setInterval(storm, 1);
        },
        message: (ws) => program.send(ws),
      });
    },
  },
  {
    title: "process.exit() inside a cork",
    child: (tools) =>
      echoUntil(tools, (ws) =>
        ws.cork(() => {
          for (let i = 0; i < 20; i++) tools.program.send(ws);
          process.exit(CODE);
        }),
      ),
  },
  {
    title: "process.exit() behind 256 KiB to each client",
    binary: LARGE,
    child: ({ program, clients }) =>
      program.serve({
        message() {
          if (program.received < clients) return;
          const bytes = new Uint8Array(LARGE);
          for (const socket of program.sockets.values()) {
            socket.send(bytes);
            program.send(socket);
          }
          process.exit(CODE);
        },
      }),
    // No more than one message each: a socket that is closed with something unread drops what it was sending.
    drive({ clients }) {
      for (const client of clients) client.send(1);
    },
  },
  {
    title: "process.exit() with requests in flight",
    child({ program, round }) {
      const stream = () =>
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(1000)),
        });
      return program.serve({
        fetch: ({ url }) => (url.endsWith("/stream") ? new Response(stream()) : new Promise(() => {})),
        message(ws) {
          program.send(ws);
          if (program.received > 200 + after(round)) process.exit(CODE);
        },
      });
    },
    async drive({ clients, request }) {
      const answers = ["/stream", "/never", "/stream", "/never"].map(request);
      load({ clients });
      await Promise.all(answers);
    },
  },
  {
    title: "process.exit() with 300 connections",
    clients: 300,
    child: ({ program, clients, round }) =>
      program.serve({
        message(ws) {
          program.send(ws);
          if (program.received < clients + after(round)) return;
          program.sendToAll();
          program.publish(3);
          process.exit(CODE);
        },
      }),
    drive({ clients }) {
      for (const client of clients) client.load(2);
    },
  },
  {
    title: "process.exit() with a client that does not read",
    isUnheard: true,
    child({ program, round }) {
      const bytes = new Uint8Array(64 << 10);
      return program.serve({
        message(ws) {
          program.send(ws);
          // Far more than the kernel takes, and below the limit at which it would be dropped.
          for (let i = 0; ws.data.id === 0 && i < 200; i++) ws.send(bytes);
          if (program.received > after(round)) process.exit(CODE);
        },
      });
    },
    drive({ clients }) {
      clients[0].pause();
      load({ clients });
    },
  },
  {
    title: "an exception in message that nobody catches",
    code: 1,
    expectsError: "nobody catches this",
    child: (tools) =>
      echoUntil(tools, (ws) => {
        tools.program.send(ws);
        tools.report();
        throw new Error("nobody catches this");
      }),
  },
  {
    title: "an exception in a timer that nobody catches",
    code: 1,
    expectsError: "nobody catches this",
    child: (tools) =>
      echoUntil(tools, () => {
        setTimeout(() => {
          tools.program.sendToAll();
          tools.report();
          throw new Error("nobody catches this");
        }, 1);
      }),
  },
  {
    title: "SIGTERM under load",
    signal: "SIGTERM",
    isUnheard: true,
    child: ({ program }) => program.serve({ message: (ws) => program.send(ws) }),
    async drive({ clients, round, kill }) {
      load({ clients });
      await sleep(round % 20);
      kill("SIGTERM");
    },
  },
  {
    title: "the natural end after stop() and the last close",
    code: 0,
    child: (tools) =>
      echoUntil(tools, () => {
        tools.program.server.stop();
        for (const ws of tools.program.sockets.values()) {
          tools.program.send(ws);
          ws.close(4001, "enough");
        }
      }),
    closeCode: 4001,
  },
  {
    title: "the natural end after stop(true)",
    code: 0,
    child: (tools) =>
      echoUntil(tools, () => {
        tools.program.sendToAll();
        tools.program.server.stop(true);
      }),
    closeCode: 1001,
  },
  {
    title: "the natural end after unref() with open connections",
    code: 0,
    child: (tools) =>
      echoUntil(tools, () => {
        tools.program.sendToAll();
        tools.program.server.unref();
      }),
  },
];
