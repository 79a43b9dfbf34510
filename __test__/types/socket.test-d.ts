import type { BinaryType, ServerWebSocket, ServerWebSocketSendStatus, WebSocketReadyState } from "ferrows";
import { same, typed } from "./support.js";

declare const ws: ServerWebSocket;
declare const bytes: Uint8Array;
declare const blob: Blob;

// what may be sent
typed<number>()(ws.send("text"));
same<ServerWebSocketSendStatus, number>();
ws.send(bytes);
ws.send(Buffer.from("x"));
ws.send(new DataView(new ArrayBuffer(1)));
ws.send(new ArrayBuffer(1), true);
ws.send(new SharedArrayBuffer(1), false);
ws.send(blob);
ws.sendText("text", true);
ws.sendBinary(bytes);
ws.sendBinary(blob, true);
// @ts-expect-error sent as "1" at run time, surely not what was meant
ws.send(1);
// @ts-expect-error an object becomes "[object Object]"
ws.send({ type: "hello" });
// @ts-expect-error
ws.send(null);
// @ts-expect-error
ws.send();
// @ts-expect-error a promise is not data
ws.send(blob.arrayBuffer());
// @ts-expect-error the flag is a boolean
ws.send("text", 1);
// @ts-expect-error text only
ws.sendText(bytes);
// @ts-expect-error bytes only
ws.sendBinary("text");

typed<number>()(ws.ping());
typed<number>()(ws.pong("x"));
ws.ping(bytes);
// @ts-expect-error neither text nor bytes
ws.ping(1);

// topics
typed<boolean>()(ws.subscribe("a"));
typed<boolean>()(ws.unsubscribe("a"));
typed<boolean>()(ws.isSubscribed("a"));
typed<string[]>()(ws.subscriptions);
typed<number>()(ws.publish("a", "text", true));
ws.publish("a", bytes);
ws.publish("a", blob);
typed<number>()(ws.publishText("a", "text"));
typed<number>()(ws.publishBinary("a", bytes));
// @ts-expect-error a topic is a string
ws.subscribe(1);
// @ts-expect-error the message is missing
ws.publish("a");
// @ts-expect-error text only
ws.publishText("a", bytes);
// @ts-expect-error bytes only
ws.publishBinary("a", "text");
// @ts-expect-error read only
ws.subscriptions = [];

// state: open or closed, nothing between
typed<1 | 3>()(ws.readyState);
same<WebSocketReadyState, 1 | 3>();
// @ts-expect-error never 2
ws.readyState === 2;
// @ts-expect-error read only
ws.readyState = 3;
typed<string>()(ws.remoteAddress);
typed<number>()(ws.getBufferedAmount());
typed<boolean>()(ws.isPaused);
typed<void>()(ws.pause());
typed<void>()(ws.resume());

typed<BinaryType>()(ws.binaryType);
ws.binaryType = "arraybuffer";
// @ts-expect-error no such form
ws.binaryType = "text";

// the end
typed<void>()(ws.close());
ws.close(1000);
ws.close(4000, "bye");
ws.close(undefined, "bye");
typed<void>()(ws.terminate());
// @ts-expect-error throws at run time
ws.close("1000");
// @ts-expect-error throws at run time
ws.close(null);

// cork gives back what the function gives
typed<number>()(ws.cork((ws) => ws.send("x")));
typed<Promise<string>>()(ws.cork(async () => "x"));
// @ts-expect-error a function is needed
ws.cork();
