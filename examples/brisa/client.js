// @ts-check
// The browser's side: the standard WebSocket, and nothing else.

const log = /** @type {HTMLElement} */ (document.getElementById("log"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const text = /** @type {HTMLInputElement} */ (document.getElementById("text"));

const url = new URL(location.href.replace(/^http/, "ws"));
url.hash = "";
url.searchParams.set(
  "username",
  url.searchParams.get("username") ?? `visitor ${Math.floor(Math.random() * 1000)}`,
);
url.searchParams.set("channelId", "42");

const ws = new WebSocket(url);
ws.binaryType = "arraybuffer";
let floodBytes = 0;

ws.addEventListener("open", () => print("connected"));
ws.addEventListener("error", () => print("the connection failed"));
ws.addEventListener("close", ({ code, reason }) => print(`closed with ${code} ${reason}`));
ws.addEventListener("message", ({ data }) => {
  if (typeof data === "string") {
    if (data.startsWith("flood is over")) print(`${floodBytes} bytes of flood`);
    print(data.length > 200 ? `${data.slice(0, 60)}… (${data.length} characters)` : data);
  } else if (data.byteLength === 256 * 1024) {
    floodBytes += data.byteLength;
  } else {
    print(
      `${data.byteLength} bytes: ${[...new Uint8Array(data, 0, Math.min(8, data.byteLength))].join(" ")}`,
    );
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (text.value === "" || ws.readyState !== WebSocket.OPEN) return;
  floodBytes = 0;
  ws.send(text.value);
  print(`you: ${text.value}`);
  text.value = "";
});
document.getElementById("hello")?.addEventListener("click", async () => {
  const response = await fetch("api/hello-world");
  print(`over HTTP: ${await response.text()}`);
});
document.getElementById("leave")?.addEventListener("click", () => ws.close(1000, "Bye"));

/** @param {string} line */
function print(line) {
  const paragraph = document.createElement("p");
  paragraph.textContent = line;
  log.append(paragraph);
  log.scrollTop = log.scrollHeight;
}
