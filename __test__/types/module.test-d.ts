import ferrows, { type Server, type ServerWebSocket, serveModule, type WebSocketModule } from "ferrows";
import { typed } from "./support.js";

type User = { name: string };

// the data type comes from attach
typed<Server<User>>()(
  serveModule({
    attach: (request): User => ({ name: request.url }),
    open(ws) {
      typed<User>()(ws.data);
    },
  }),
);

// also from an async one
typed<Server<User>>()(
  serveModule({
    attach: async (request): Promise<User> => ({ name: request.url }),
    message(ws: ServerWebSocket<User>, message: string) {
      ws.publish("chat", `${ws.data.name}: ${message}`);
    },
    close(ws, code, reason) {
      typed<User>()(ws.data);
      typed<number>()(code);
      typed<string>()(reason);
    },
    drain: (ws) => typed<ServerWebSocket<User>>()(ws),
  }),
);

// pings, pongs and errors have handlers too; attach may refuse with a Response
typed<Server<User>>()(
  serveModule({
    attach: async (request): Promise<User | Response> =>
      request.url ? { name: request.url } : new Response("Who are you?", { status: 401 }),
    ping: (ws) => typed<User>()(ws.data),
    pong: (ws) => typed<User>()(ws.data),
    error: (_error, ws) => typed<User>()(ws.data),
  }),
);

// a default export, and a module that is still being loaded
const users = { attach: (): User => ({ name: "ada" }), open(_ws: ServerWebSocket<User>) {} };
typed<Server<User>>()(serveModule({ default: users }));
typed<Promise<Server<User>>>()(serveModule(Promise.resolve(users)));
typed<Promise<Server<User>>>()(serveModule(Promise.resolve({ default: users })));

// the default export of the package
typed<Server<User>>()(ferrows.serveModule(users));
typed<Server<undefined>>()(ferrows.serve({ fetch: () => new Response("x") }));

// any subset will do
serveModule(users, { path: "/live", global: false, routes: { "/": new Response("x") } });
// @ts-expect-error a name or false
serveModule(users, { global: true });
serveModule({ message: (ws, message) => void ws.send(message) }, { port: 0, websocket: { idleTimeout: 30 } });
typed<Server<undefined>>()(serveModule({ open: (ws) => typed<undefined>()(ws.data) }));

// @ts-expect-error a function is needed
serveModule({ open: true });
// @ts-expect-error a module is needed
serveModule();
// @ts-expect-error no such option
serveModule(users, { prot: 3000 });

const echo: WebSocketModule = { message: (ws, message) => void ws.send(message) };
serveModule(echo);

globalThis.brisaServer?.publish("chat", "x");
// @ts-expect-error the server may not have been started
globalThis.brisaServer.publish("chat", "x");
