import { type ErrorLike, type ServeOptions, type Server, serve } from "ferrows";
import { typed } from "./support.js";

// without a data type, `data` is undefined and `upgrade` takes none
typed<Server<undefined>>()(
  serve({
    fetch(request, server) {
      typed<Request>()(request);
      typed<Server<undefined>>()(server);
      typed<Server<undefined>>()(this);
      typed<boolean>()(server.upgrade(request));
      server.upgrade(request, { headers: { "x-a": "1" } });
      server.upgrade(request, null);
      // @ts-expect-error the server has no data type
      server.upgrade(request, { data: { name: "ada" } });
      return undefined;
    },
    websocket: {
      open(ws) {
        typed<undefined>()(ws.data);
      },
    },
  }),
);

// a fetch handler may be async, an arrow, and return nothing after an upgrade
serve({ fetch: () => new Response("x") });
serve({ fetch: async () => new Response("x") });
serve({ fetch: async (request, server) => (server.upgrade(request) ? undefined : new Response("x")) });
serve({
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("x");
  },
});

// TLS, one certificate or several
serve({ fetch: () => new Response("x"), tls: { key: "k", cert: new Uint8Array(), passphrase: "p" } });
serve({
  fetch: () => new Response("x"),
  tls: [
    { keyFile: "k", certFile: "c" },
    { key: ["k"], cert: ["c"], serverName: "a" },
  ],
});
serve({ fetch: () => new Response("x"), tls: null }).reload({ tls: { key: "k", cert: "c" } });
// @ts-expect-error a version is a number
serve({ fetch: () => new Response("x"), tls: { key: "k", cert: "c", minVersion: "TLSv1.3" } });

// every other option
serve({
  port: "3000",
  hostname: "127.0.0.1",
  idleTimeout: 10,
  maxRequestBodySize: 1024,
  development: false,
  reusePort: true,
  ipv6Only: false,
  id: "main",
  error(error) {
    typed<ErrorLike>()(error);
    typed<Server<undefined>>()(this);
    return new Response(error.message, { status: 500 });
  },
  fetch: () => new Response("x"),
});
serve({ unix: "/tmp/x.sock", fetch: () => new Response("x") });
serve({ port: null, hostname: null, unix: null, id: null, fetch: () => new Response("x") });

// @ts-expect-error neither fetch nor routes
serve({});
// @ts-expect-error an object is needed
serve();
// @ts-expect-error a WebSocket handler does not answer requests
serve({ websocket: { message() {} } });
// @ts-expect-error fetch answers with a Response
serve({ fetch: () => "x" });
// @ts-expect-error a port is a number or a numeric string
serve({ port: true, fetch: () => new Response("x") });
// @ts-expect-error no such option
serve({ prot: 3000, fetch: () => new Response("x") });
// @ts-expect-error a function is needed
serve({ fetch: 5 });

// the options type stands alone
const options: ServeOptions<{ id: number }> = {
  fetch(request, server) {
    server.upgrade(request, { data: { id: 1 } });
    return undefined;
  },
  websocket: {
    open(ws) {
      typed<number>()(ws.data.id);
    },
  },
};
typed<Server<{ id: number }>>()(serve(options));
