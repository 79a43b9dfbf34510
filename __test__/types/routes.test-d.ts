import { type BunRequest, Cookie, CookieMap, type RouteParams, type Server, serve } from "ferrows";
import { same, typed } from "./support.js";

same<RouteParams<"/">, Record<never, string>>();
same<BunRequest<"/a/:id">["params"], { id: string }>();
same<BunRequest<"/a/:id/b/:other">["params"], { id: string; other: string }>();
same<BunRequest["params"], { [x: string]: string }>();
same<ReturnType<BunRequest<"/a/:id">["clone"]>, BunRequest<"/a/:id">>();

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

serve({
  routes: {
    "/users/:id": {
      GET: (request) => {
        same<typeof request.params, { id: string }>();
        typed<CookieMap>()(request.cookies);
        typed<string | null>()(request.cookies.get("a"));
        request.cookies.set("a", "b", { httpOnly: true, sameSite: "strict", expires: new Date() });
        request.cookies.set({ name: "a", maxAge: 5 });
        request.cookies.set(new Cookie("a", "b"));
        request.cookies.delete("a", { path: "/x" });
        // @ts-expect-error no such value
        request.cookies.set("a", "b", { sameSite: "Strict" });
        // @ts-expect-error a name is needed
        request.cookies.delete({ path: "/" });
        return new Response(request.params.id);
      },
    },
    "/any": { CONNECT: () => new Response("x"), TRACE: new Response("x") },
  },
  // @ts-expect-error only requests of routes have cookies
  fetch: (request) => new Response(request.cookies.get("a")),
});

typed<IterableIterator<[string, string]>>()(new CookieMap("a=b")[Symbol.iterator]());
typed<Record<string, string>>()(new CookieMap({ a: "b" }).toJSON());
typed<string[]>()(new CookieMap([["a", "b"]]).toSetCookieHeaders());
const cookie = Cookie.parse("a=b; Path=/");
cookie.expires = 5;
typed<Date | undefined>()(cookie.expires);
// @ts-expect-error the name is fixed
cookie.name = "b";
// @ts-expect-error neither a header nor pairs
new CookieMap(5);
