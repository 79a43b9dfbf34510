// @ts-check
// The ways in which a serving worker ends. `worker` runs in it, `drive` in the suite, with the clients. Nothing is
// imported for the latter alone: thousands of workers load this.

/**
 * @typedef {import("./program.js").Program} Program
 * @typedef {import("./client.js").Client} Client
 *
 * @typedef {object} End
 * @property {string} title
 * @property {(tools: { program: Program, round: number, clients: number }) => number} worker   returns its port
 * @property {(tools: Pick<import("./exits.js").DriveTools, "clients" | "request">) => unknown} [drive]   by default the
 *   clients keep messages under way; a promise that it returns must be settled when the worker has ended
 * @property {number} [workers]   at the same time, by default 1
 * @property {number} [clients]   of each worker, by default 4
 * @property {number} [weight]   of the rounds that each of the others has, by default 1
 * @property {boolean} [isFlood]   its clients leave no processor time to others
 * @property {boolean} [isEarly]   terminated while it starts: it may have no server yet
 * @property {boolean} [isUnheard]   clients may miss messages
 * @property {string} [notOnDeno]   why not
 * @property {boolean} [endsItself]   not terminated
 * @property {number} [code]   exit code of a worker that ends itself
 * @property {string} [error]   the exception that ends it
 */

const WINDOW = 32;

/** @type {End[]} */
export const TERMINATIONS = [
  {
    title: "while it answers messages",
    worker: ({ program }) => program.serve({ message: (ws) => program.send(ws) }),
  },
  {
    title: "while it answers clients that send without pause",
    isFlood: true,
    // An end takes as long as its clients need to read what they have asked for, up to a second.
    weight: 0.25,
    isUnheard: true,
    worker: ({ program }) => program.serve({ message: (ws) => program.send(ws) }),
    drive({ clients }) {
      for (const client of clients) client.flood();
    },
  },
  {
    title: "in a publish storm",
    clients: 12,
    worker({ program, clients }) {
      const storm = () => {
        program.publish(5);
        setTimeout(storm, 1);
      };
      return program.serve({
        open() {
          if (program.sockets.size === clients) setTimeout(storm, 1);
        },
      });
    },
    drive() {},
  },
  {
    title: "inside corks",
    worker: ({ program }) =>
      program.serve({
        message: (ws) =>
          ws.cork(() => {
            for (let i = 0; i < 4; i++) program.send(ws);
          }),
      }),
    drive({ clients }) {
      // Each message brings four, so that a window would grow without end.
      for (const client of clients) client.send(200);
    },
  },
  {
    title: "while JavaScript computes and messages wait",
    notOnDeno: "there terminate() does not interrupt JavaScript, with or without a server",
    worker: ({ program, clients }) =>
      program.serve({
        message(ws) {
          program.send(ws);
          while (program.received > clients);
        },
      }),
  },
  {
    title: "with requests in flight",
    worker({ program }) {
      const stream = () =>
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(1000)),
        });
      return program.serve({
        fetch: ({ url }) => (url.endsWith("/stream") ? new Response(stream()) : new Promise(() => {})),
        message: (ws) => program.send(ws),
      });
    },
    drive({ clients, request }) {
      for (const client of clients) client.load(WINDOW);
      return Promise.all(["/stream", "/never", "/stream", "/never"].map(request));
    },
  },
  {
    title: "with a client that does not read",
    isUnheard: true,
    worker({ program }) {
      const bytes = new Uint8Array(64 << 10);
      return program.serve({
        message(ws) {
          program.send(ws);
          for (let i = 0; ws.data.id === 0 && i < 20; i++) ws.send(bytes);
        },
      });
    },
    drive({ clients }) {
      clients[0].pause();
      for (const client of clients) client.load(WINDOW);
    },
  },
  {
    title: "while connections come and go",
    isUnheard: true,
    worker: ({ program }) => program.serve({ message: (ws) => program.send(ws) }),
    drive({ clients, request }) {
      for (const client of clients.slice(1)) client.load(WINDOW);
      clients[0].close();
      return Promise.all(Array.from({ length: 20 }, () => request("/")));
    },
  },
  {
    title: "three at once, each with a server",
    workers: 3,
    worker: ({ program }) => program.serve({ message: (ws) => program.send(ws) }),
  },
  {
    title: "while it starts",
    isEarly: true,
    worker: ({ program }) => program.serve({}),
  },
];

/** @type {End[]} */
export const OWN_ENDS = [
  {
    title: "process.exit() in message",
    endsItself: true,
    code: 5,
    worker: ({ program, round }) =>
      program.serve({
        message(ws) {
          program.send(ws);
          if (program.received > round * 20) process.exit(5);
        },
      }),
  },
  {
    title: "an exception in message that nobody catches",
    endsItself: true,
    code: 1,
    error: "nobody catches this",
    worker: ({ program, round }) =>
      program.serve({
        message(ws) {
          program.send(ws);
          if (program.received > round * 20) throw new Error("nobody catches this");
        },
      }),
  },
  {
    title: "the natural end after stop(true)",
    endsItself: true,
    code: 0,
    worker: ({ program, round }) =>
      program.serve({
        message(ws) {
          program.send(ws);
          if (program.received === 1 + round * 20) program.server.stop(true);
        },
      }),
  },
];

/** @param {{ clients: Client[] }} tools */
export function keepBusy({ clients }) {
  for (const client of clients) client.load(WINDOW);
}
