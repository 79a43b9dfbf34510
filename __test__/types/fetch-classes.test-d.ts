import { Request, Response, serve } from "ferrows";
import { typed } from "./support.js";

// values and types of the platform's
typed<globalThis.Response>()(new Response("x", { status: 201, headers: { a: "b" } }));
typed<globalThis.Response>()(Response.json({ a: 1 }));
typed<globalThis.Request>()(new Request("http://a/", { method: "POST", body: "x" }));
const response: Response = new globalThis.Response();
typed<globalThis.Response>()(response);

// handlers return either
serve({ fetch: () => new Response("x") });
serve({ fetch: () => new globalThis.Response("x") });
serve({
  fetch(request) {
    typed<Request>()(request);
    return new Response(new Request(request).body);
  },
});
