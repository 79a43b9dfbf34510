import type { Server, SocketAddress } from "ferrows";
import { typed } from "./support.js";

declare const server: Server;
declare const request: Request;

typed<Promise<void>>()(server.stop());
server.stop(true);
typed<Server>()(server.reload({}));
server.reload({ fetch: () => new Response("x") });
server.reload({ websocket: { idleTimeout: 30 } });
// @ts-expect-error an object is needed
server.reload();
// @ts-expect-error a function is needed
server.reload({ fetch: 5 });

typed<number>()(server.publish("a", "text"));
server.publish("a", new Uint8Array(1), false);
// @ts-expect-error the message is missing
server.publish("a");
typed<number>()(server.subscriberCount("a"));

typed<SocketAddress | null>()(server.requestIP(request));
// @ts-expect-error a request is needed
server.requestIP({});
typed<void>()(server.timeout(request, 5));
typed<Promise<Response>>()(server.fetch("/path"));
server.fetch(request);
typed<number>()(server.closeIdleConnections());
typed<Server>()(server.ref());
typed<Server>()(server.unref());

typed<SocketAddress | string>()(server.address);
typed<number | undefined>()(server.port);
typed<string | undefined>()(server.hostname);
typed<URL>()(server.url);
typed<"http" | "https" | null>()(server.protocol);
typed<boolean>()(server.development);
typed<string>()(server.id);
typed<number>()(server.pendingRequests);
typed<number>()(server.pendingWebSockets);
// @ts-expect-error read only
server.port = 1;

// a server is disposable
{
  using scoped = server;
  scoped.publish("a", "text");
}
// @ts-expect-error not with await, as in Bun: stop() can be awaited
server[Symbol.asyncDispose];

// any server will do where the data does not matter
declare const users: Server<{ name: string }>;
users satisfies Server<unknown>;
globalThis.brisaServer = users;
