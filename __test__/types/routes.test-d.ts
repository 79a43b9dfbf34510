import { type BunRequest, type RouteParams, type Server, serve } from "ferrows";
import { same, typed } from "./support.js";

same<RouteParams<"/">, Record<never, string>>();
same<BunRequest<"/a/:id">["params"], { id: string }>();
same<BunRequest<"/a/:id/b/:other">["params"], { id: string; other: string }>();
same<BunRequest["params"], { [x: string]: string }>();

typed<Server<undefined>>()(
  serve({
    routes: {
      "/": new Response("x"),
      "/off": false,
      "/users/:id": (request) => new Response(request.params.id),
      "/live": (request, server) => (server.upgrade(request) ? undefined : new Response("x")),
      "/methods/:name": {
        GET: (request) => new Response(request.params.name),
        POST: async () => new Response("x"),
        DELETE: new Response("x"),
      },
    },
  }),
);

serve({
  routes: {
    // @ts-expect-error the path has no such parameter
    "/users/:id": (request) => new Response(request.params.name),
  },
});
// @ts-expect-error not a route
serve({ routes: { "/": 5 } });
// @ts-expect-error methods are upper case
serve({ routes: { "/": { get: () => new Response("x") } } });

serve<{ name: string }>({
  routes: {
    "/live": (request, server) => {
      // @ts-expect-error data is required
      server.upgrade(request);
      return server.upgrade(request, { data: { name: "ada" } }) ? undefined : new Response("x");
    },
  },
  websocket: { open: (ws) => typed<string>()(ws.data.name) },
});
