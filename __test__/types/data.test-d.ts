// The data type reaches upgrade and every handler.
import { type Server, type ServerWebSocket, serve, type WebSocketHandler } from "ferrows";
import { typed } from "./support.js";

type User = { name: string };

// from the type argument
typed<Server<User>>()(
  serve<User>({
    fetch(request, server) {
      typed<Server<User>>()(server);
      server.upgrade(request, { data: { name: "ada" } });
      server.upgrade(request, { data: { name: "ada" }, headers: new Headers() });
      // @ts-expect-error data is required
      server.upgrade(request);
      // @ts-expect-error data is required
      server.upgrade(request, { headers: {} });
      // @ts-expect-error a name is a string
      server.upgrade(request, { data: { name: 1 } });
      // @ts-expect-error no such member
      server.upgrade(request, { data: { name: "ada", age: 36 } });
      return undefined;
    },
    websocket: {
      open: (ws) => typed<ServerWebSocket<User>>()(ws),
      message: (ws, message) => {
        typed<string>()(ws.data.name);
        typed<string | Buffer<ArrayBuffer>>()(message);
      },
      close(ws, code, reason) {
        typed<ServerWebSocket<User>>()(ws);
        typed<number>()(code);
        typed<string>()(reason);
      },
      drain: (ws) => typed<ServerWebSocket<User>>()(ws),
      ping(ws, data) {
        typed<ServerWebSocket<User>>()(ws);
        typed<Buffer<ArrayBuffer>>()(data);
      },
      pong(ws, data) {
        typed<ServerWebSocket<User>>()(ws);
        typed<Buffer<ArrayBuffer>>()(data);
      },
      error(error, ws) {
        typed<Error>()(error);
        typed<ServerWebSocket<User>>()(ws);
      },
    },
  }),
);

// from websocket.data
typed<Server<User>>()(
  serve({
    fetch(request, server) {
      server.upgrade(request, { data: { name: "ada" } });
      // @ts-expect-error a name is a string
      server.upgrade(request, { data: { name: 1 } });
      return undefined;
    },
    websocket: {
      data: {} as User,
      message(ws) {
        typed<string>()(ws.data.name);
      },
    },
  }),
);

// from an arrow function whose parameters are all annotated
typed<Server<User>>()(
  serve({
    fetch(request, server) {
      server.upgrade(request, { data: { name: "ada" } });
      return undefined;
    },
    websocket: {
      message: (ws: ServerWebSocket<User>, message: string | Buffer) => {
        ws.send(`${ws.data.name}: ${message}`);
      },
    },
  }),
);

// from handlers declared elsewhere
const handlers: WebSocketHandler<User> = { open: (ws) => void ws.send(ws.data.name) };
typed<Server<User>>()(serve({ fetch: () => new Response("x"), websocket: handlers }));

// data that may be undefined may be left out
serve<User | undefined>({
  fetch(request, server) {
    server.upgrade(request);
    server.upgrade(request, { data: { name: "ada" } });
    server.upgrade(request, { data: undefined });
    return undefined;
  },
  websocket: {
    open(ws) {
      typed<User | undefined>()(ws.data);
      // @ts-expect-error data may be undefined
      ws.data.name;
    },
  },
});

// data is writable, with its type
function rename(ws: ServerWebSocket<User>): void {
  ws.data = { name: "grace" };
  ws.data.name = "grace";
  // @ts-expect-error a name is a string
  ws.data = { name: 1 };
}
rename satisfies (ws: ServerWebSocket<User>) => void;
