// @ts-check
// Two people with real browser windows use examples/chat.

import assert from "node:assert/strict";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Example, node } from "../examples/example.js";
import { findChromium, launch } from "./chromium.js";
import { TcpProxy } from "./tcp-proxy.js";

/**
 * @typedef {import("playwright-core").Page} Page
 * @typedef {import("playwright-core").Browser} Browser
 */

/** Milliseconds a wait may take. */
const limit = 15_000;

const program = findChromium();
if (program === undefined) {
  const missing = "not run: no Chromium on this machine (install it or set CHROMIUM_PATH)";
  const skip = process.env.CI ? false : missing; // CI must not go without
  test("the chat in Chromium", { skip }, () => assert.fail(missing));
} else {
  describe("the chat in Chromium", () => suite(program));
}

/** @param {string} program */
function suite(program) {
  /** @type {Browser} */
  let browser;
  /** @type {Example} */
  let server;
  /** @type {(() => Promise<unknown>)[]} */
  let cleanups = [];
  /** @type {string[]} */
  let mistakes = [];

  before(async () => {
    browser = await launch(program);
  });
  after(() => browser?.close());
  beforeEach(async () => {
    cleanups = [];
    mistakes = [];
    server = await Example.start(node, "chat");
  });
  afterEach(async () => {
    for (const cleanup of cleanups) await cleanup();
    await server.end();
    assert.deepEqual(mistakes, [], "exceptions in the page");
  });

  /**
   * A window of its own, with its own memory: another person.
   * @param {string} url
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async function openWindow(url, options) {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(limit);
    cleanups.push(() => context.close());
    const page = await context.newPage();
    page.on("pageerror", (error) => mistakes.push(String(error.stack)));
    page.on("dialog", (dialog) => mistakes.push(`dialog: ${dialog.message()}`));
    await page.goto(url);
    return page;
  }

  /**
   * @param {string} name
   * @param {string} [url]
   */
  async function enter(name, url = server.url()) {
    const page = await openWindow(url);
    await page.getByLabel("Your name").fill(name);
    await page.keyboard.press("Enter");
    await connected(page);
    return page;
  }

  test("two people talk both ways", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    await ann.getByText("Bob joined").waitFor();
    await say(ann, "Hello Bob");
    await shown(bob, ["Hello Bob"]);
    await say(bob, "Hello Ann");
    await shown(ann, ["Hello Bob", "Hello Ann"]);
    await shown(bob, ["Hello Bob", "Hello Ann"]);
    assert.equal(await ann.locator(".message.own").count(), 1);
    assert.equal(await bob.locator(".message:not(.own) .from").textContent(), "Ann");
    assert.equal(await bob.locator(".message time").count(), 2);
  });

  test("a message is text, whatever is in it", async () => {
    const ann = await enter("<i>Ann</i>");
    const bob = await enter("Bob");
    const text = `<img src=x onerror="alert(1)"> & <script>alert(2)</script>\nhttps://example.org/?a=1&b=2.`;
    await bob.getByLabel("Message", { exact: true }).pressSequentially("two\n", { delay: 0 });
    await ann.getByLabel("Message", { exact: true }).fill(text);
    await ann.keyboard.press("Enter");
    await shown(bob, ["two", text]);
    assert.equal(await bob.locator("#messages :is(img, script, i)").count(), 0);
    const link = bob.locator(".message a");
    assert.equal(await link.getAttribute("href"), "https://example.org/?a=1&b=2");
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
    assert.equal(await bob.locator(".message:not(.own) .from").textContent(), "<i>Ann</i>");
  });

  test("names are unique, can be changed, and are remembered", async () => {
    const ann = await enter("Ann");
    const bob = await openWindow(server.url());
    await bob.keyboard.press("Escape"); // does not let one in without a name
    await bob.getByLabel("Your name").fill("ann");
    await bob.keyboard.press("Enter");
    await bob.getByText("Somebody here is called ann already.").waitFor();
    await bob.getByLabel("Your name").fill("Bob");
    await bob.keyboard.press("Enter");
    await connected(bob);

    await bob.getByRole("button", { name: "Change name" }).click();
    await bob.getByLabel("Your name").fill("Robert");
    await bob.getByRole("button", { name: "Use this name" }).click();
    await ann.getByText("Bob is called Robert now").waitFor();
    await people(ann, ["Ann", "Robert"]);
    await bob.reload();
    await connected(bob);
    await people(bob, ["Robert", "Ann"]);
  });

  test("shows who is here and who is typing", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    await people(ann, ["Ann", "Bob"]);
    await people(bob, ["Bob", "Ann"]);
    await bob.getByLabel("Message", { exact: true }).pressSequentially("hm");
    await ann.getByText("Bob is typing").waitFor();
    await bob.keyboard.press("Enter");
    await ann.getByText("Bob is typing").waitFor({ state: "hidden" });
    await shown(ann, ["hm"]);
    await bob.close();
    await ann.getByText("Bob left").waitFor();
    await people(ann, ["Ann"]);
  });

  test("two tabs of one person are one person", async () => {
    const ann = await enter("Ann");
    const tab = await ann.context().newPage();
    await tab.goto(server.url());
    await connected(tab);
    const bob = await enter("Bob");
    await people(bob, ["Bob", "Ann"]);
    await say(tab, "from the second tab");
    await shown(ann, ["from the second tab"]);
    assert.equal(await ann.locator(".message.own").count(), 1);
    await ann.close();
    await say(bob, "still there?");
    await shown(tab, ["from the second tab", "still there?"]);
    await people(bob, ["Bob", "Ann"]);
  });

  test("rooms are separate, counted, and named by the address", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob", server.url("/#Tea%20Room"));
    await bob.getByRole("heading", { name: "tea-room" }).waitFor();
    await rooms(ann, { lobby: 1, "tea-room": 1 });
    await say(ann, "only in the lobby");
    await say(bob, "only at tea");
    await shown(bob, ["only at tea"]);
    await shown(ann, ["only in the lobby"]);

    await ann.getByRole("link", { name: "tea-room" }).click();
    await shown(ann, ["only at tea"]);
    await people(ann, ["Ann", "Bob"]);
    await rooms(bob, { "tea-room": 2, lobby: 0 });
    await bob.getByLabel("Name of a room to open or create").fill("Garden!");
    await bob.keyboard.press("Enter");
    await bob.getByRole("heading", { name: "garden" }).waitFor();
    await ann.getByText("Bob left").waitFor();
    await rooms(ann, { garden: 1, "tea-room": 1, lobby: 0 });
    await ann.goBack();
    await shown(ann, ["only in the lobby"]);
  });

  test("a reload keeps the history and is no goodbye", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    await say(ann, "one");
    await shown(bob, ["one"]);
    await say(bob, "two");
    await shown(ann, ["one", "two"]);
    await ann.reload();
    await connected(ann);
    await shown(ann, ["one", "two"]);
    assert.equal(await ann.locator(".message.own").count(), 1);
    await say(ann, "three");
    await shown(bob, ["one", "two", "three"]);
    assert.equal(await bob.getByText("Ann left").count(), 0);
  });

  test("counts what came while nobody was looking in the title", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    await ann.evaluate(() => {
      document.hasFocus = () => false;
    });
    await say(bob, "one");
    await say(bob, "two");
    await ann.waitForFunction(() => document.title === "(2) #lobby · ferrows chat");
    await ann.evaluate(() => {
      document.hasFocus = () => true;
      dispatchEvent(new Event("focus"));
    });
    await ann.waitForFunction(() => document.title === "#lobby · ferrows chat");
  });

  test("counts characters and does not send too many", async () => {
    const ann = await enter("Ann");
    const box = ann.getByLabel("Message", { exact: true });
    await box.fill("x".repeat(1001));
    await ann.getByText("1001 / 1000").waitFor();
    assert.ok(await ann.getByRole("button", { name: "Send" }).isDisabled());
    await box.press("Enter");
    await box.press("Backspace");
    await ann.getByText("1000 / 1000").waitFor();
    await box.press("Enter");
    await shown(ann, ["x".repeat(1000)]);
  });

  test("many messages at once all arrive, in order, at the pace the server allows", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    const texts = Array.from({ length: 11 }, (_, index) => `message ${index}`);
    for (const text of texts) await say(ann, text);
    await shown(bob, texts);
    await shown(ann, texts);
  });

  test("a lost connection: catches up without repeating, and sends once what was written meanwhile", async () => {
    const wire = await TcpProxy.start(server.port);
    cleanups.push(() => wire.end());
    const ann = await enter("Ann", `http://localhost:${wire.port}/`);
    const bob = await enter("Bob");
    await say(ann, "before");
    await shown(bob, ["before"]);
    await ann.clock.install();

    wire.cut();
    await ann.locator("#state[data-state=waiting]").waitFor();
    await ann.getByText("The connection is lost.").waitFor();
    await say(ann, "written without a connection");
    await say(ann, "and another");
    await ann.locator(".draft.late").nth(1).waitFor();
    await say(bob, "meanwhile");
    await shown(bob, ["before", "meanwhile"]);

    // The page would try again by itself, and the button be gone before it is pressed: its time stands still.
    await ann.clock.pauseAt(Date.now() + 60_000);
    await ann.locator("#state[data-state=waiting]").waitFor();
    wire.mend();
    await ann.getByRole("button", { name: "Try now" }).click();
    await connected(ann);
    await ann.clock.resume();
    const all = ["before", "meanwhile", "written without a connection", "and another"];
    await shown(bob, all);
    await shown(ann, all);
    assert.equal(await ann.locator(".draft").count(), 0);
    assert.equal(await bob.getByText("Ann left").count(), await bob.getByText("Ann joined").count());
  });

  test("the server is killed and comes back: everybody reconnects, waiting messages arrive once", async () => {
    const ann = await enter("Ann");
    const bob = await enter("Bob");
    await say(ann, "before");
    await shown(bob, ["before"]);

    const { port } = server;
    await server.end("SIGKILL");
    await ann.locator("#state[data-state=waiting]").waitFor();
    await bob.locator("#state[data-state=waiting]").waitFor();
    await say(ann, "sent into the void");
    await ann.locator(".draft.late").waitFor();

    server = await Example.start(node, "chat", { PORT: String(port) });
    await connected(ann);
    await connected(bob);
    await shown(ann, ["before", "sent into the void"]);
    // Bob was either there or finds it in the new history.
    await shown(bob, ["before", "sent into the void"]);
    await say(bob, "after");
    await shown(ann, ["before", "sent into the void", "after"]);
    await people(ann, ["Ann", "Bob"]);
  });

  test("works with the keyboard alone, and on a phone", async () => {
    const page = await openWindow(server.url(), {
      viewport: { width: 360, height: 640 },
      hasTouch: true,
      colorScheme: "dark",
    });
    assert.equal(await focused(page), "name");
    await page.keyboard.type("Ann");
    await page.keyboard.press("Enter");
    await connected(page);
    assert.equal(await focused(page), "text");
    await page.keyboard.type("first");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("second");
    await page.keyboard.press("Enter");
    await shown(page, ["first\nsecond"]);

    const menu = page.getByRole("button", { name: "Rooms and people", exact: true });
    await menu.focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "close-sidebar");
    await page.getByRole("link", { name: "lobby" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "lobby" }).waitFor({ state: "hidden" });
    assert.equal(await focused(page), "open-sidebar");
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `the page is ${width} pixels wide`);
  });
}

/** @param {Page} page */
async function connected(page) {
  await page.locator("#state[data-state=open]").waitFor();
}

/**
 * @param {Page} page
 * @param {string} text
 */
async function say(page, text) {
  const box = page.getByLabel("Message", { exact: true });
  await box.fill(text);
  await box.press("Enter");
}

/**
 * Waits until exactly these messages are shown, confirmed by the server.
 * @param {Page} page
 * @param {string[]} texts
 */
async function shown(page, texts) {
  await becomes(
    page,
    () =>
      Array.from(document.querySelectorAll(".message:not(.draft) .text"), (line) => line.textContent ?? ""),
    texts,
  );
}

/**
 * @param {Page} page
 * @param {string[]} names
 */
async function people(page, names) {
  await becomes(
    page,
    () => Array.from(document.querySelectorAll("#people .person"), (line) => line.textContent ?? ""),
    names,
  );
}

/**
 * @param {Page} page
 * @param {Record<string, number>} counts
 */
async function rooms(page, counts) {
  const read = () =>
    Object.fromEntries(
      Array.from(document.querySelectorAll("#rooms a"), (link) => [
        link.querySelector(".room")?.textContent,
        Number.parseInt(link.querySelector(".count")?.textContent ?? "", 10),
      ]),
    );
  await becomes(page, read, counts);
}

/**
 * Waits until the page shows what is expected; if it never does, fails with what it shows instead.
 * @template T
 * @param {Page} page
 * @param {() => T} read runs in the page
 * @param {T} expected
 */
async function becomes(page, read, expected) {
  const end = Date.now() + limit;
  for (;;) {
    const actual = await page.evaluate(read);
    if (isDeepStrictEqual(actual, expected)) return;
    if (Date.now() > end) assert.deepEqual(actual, expected);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
}

/** @param {Page} page */
function focused(page) {
  return page.evaluate(() => document.activeElement?.id);
}
