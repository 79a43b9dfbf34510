// @ts-check
// Joins the parts: connection, outbox, and what is on the page.

import { Connection } from "./connection.js";
import { avatar, element, fillAvatar, MessageLog } from "./message-log.js";
import { newId, Outbox } from "./outbox.js";
import { cleanName, cleanRoom, cleanText, defaultRoom, limits } from "./protocol.js";

/**
 * @typedef {import("./protocol.js").Person} Person
 * @typedef {import("./protocol.js").RoomSummary} RoomSummary
 * @typedef {import("./connection.js").ConnectionState} ConnectionState
 * @typedef {import("./connection.js").Frame} Frame
 */

const page = {
  change: button("change-name"),
  closeSidebar: button("close-sidebar"),
  composer: /** @type {HTMLFormElement} */ (byId("composer")),
  countdown: byId("countdown"),
  counter: byId("counter"),
  latest: byId("latest"),
  log: byId("log"),
  main: /** @type {HTMLElement} */ (document.querySelector("main")),
  messages: byId("messages"),
  myAvatar: byId("my-avatar"),
  myName: byId("my-name"),
  newRoom: /** @type {HTMLFormElement} */ (byId("new-room")),
  notice: byId("notice"),
  offline: byId("offline"),
  openSidebar: button("open-sidebar"),
  people: byId("people"),
  peopleCount: byId("people-count"),
  retry: button("retry"),
  roomName: /** @type {HTMLInputElement} */ (byId("room-name")),
  rooms: byId("rooms"),
  roomTitle: byId("room-title"),
  scrim: byId("scrim"),
  send: button("send"),
  sidebar: byId("sidebar"),
  skip: byId("skip"),
  state: byId("state"),
  stateText: byId("state-text"),
  text: /** @type {HTMLTextAreaElement} */ (byId("text")),
  theme: button("theme"),
  typing: byId("typing"),
};
const dialog = {
  box: /** @type {HTMLDialogElement} */ (byId("name-dialog")),
  cancel: button("name-cancel"),
  error: byId("name-error"),
  form: /** @type {HTMLFormElement} */ (byId("name-form")),
  input: /** @type {HTMLInputElement} */ (byId("name")),
  submit: button("name-submit"),
};

/** Says "I am typing" again after this time; others forget it a little later. */
const typingRepeatMs = 3000;
const typingForgetMs = 5000;

/** This browser's secret, see protocol.js. */
const client = stored("chat.client") ?? store("chat.client", newId());

/** @type {Person} the id is known once the server has said it */
let me = { id: "", name: cleanName(stored("chat.name")) ?? "" };
let epoch = "";
let welcomed = false;
let room = roomInAddress();
/** The newest message seen in `room`, for catching up. */
let lastId = 0;
/** @type {Map<string, Person>} */
let people = new Map();
/** @type {RoomSummary[]} */
let rooms = [];
/** @type {Map<string, { name: string, timer: ReturnType<typeof setTimeout> }>} */
const typing = new Map();
let unread = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;

const log = new MessageLog({ frame: page.log, list: page.messages, latest: page.latest });
const connection = new Connection(
  new URL("socket", location.href.replace(/^http/, "ws").replace(/#.*/, "")).href,
  {
    onState: showState,
    onFrame: receive,
  },
);
const outbox = new Outbox((draft) => connection.send({ type: "message", ...draft }));

// --- what the server says ------------------------------------------------------------------------------------

/** @param {Frame} frame */
function receive(frame) {
  switch (frame.type) {
    case "welcome":
      welcomed = true;
      if (frame.epoch !== epoch) lastId = 0;
      epoch = frame.epoch;
      setMe(frame.you);
      setRooms(frame.rooms);
      closeNameDialog();
      join();
      break;
    case "joined":
      if (frame.room === room) joined(frame);
      break;
    case "message":
      if (frame.room === room) showMessage(frame.message);
      break;
    case "ack":
      log.removeDraft(frame.nonce);
      outbox.remove(frame.nonce);
      break;
    case "typing":
      setTyping(frame.id, frame.on ? frame.name : null);
      break;
    case "entered":
      people.set(frame.person.id, frame.person);
      log.addSystemLine(`${frame.person.name} joined`);
      showPeople();
      break;
    case "left":
      people.delete(frame.person.id);
      setTyping(frame.person.id, null);
      log.addSystemLine(`${frame.person.name} left`);
      showPeople();
      break;
    case "renamed":
      renamed(frame);
      break;
    case "rooms":
      setRooms(frame.rooms);
      break;
    case "error":
      refused(frame);
      break;
  }
}

/** @param {Frame} frame */
function joined(frame) {
  people = new Map(frame.people.map((/** @type {Person} */ person) => [person.id, person]));
  showPeople();
  log.quietly(() => {
    if (frame.gap) log.addSystemLine("Some messages in between are lost");
    for (const message of frame.messages) showMessage(message);
  });
  // After the history: what it contained has left the outbox.
  outbox.start();
  page.state.dataset.state = "open";
  page.stateText.textContent = "Connected";
  page.offline.hidden = true;
}

/** @param {import("./protocol.js").Message} message */
function showMessage(message) {
  lastId = Math.max(lastId, message.id);
  if (message.from.id === me.id) {
    log.removeDraft(message.nonce);
    outbox.remove(message.nonce);
  } else {
    setTyping(message.from.id, null);
  }
  const isNew = log.add(message, me);
  if (isNew && message.from.id !== me.id && !looking()) {
    unread += 1;
    showTitle();
  }
}

/** @param {Frame} frame */
function renamed({ id, name, before }) {
  if (people.has(id)) {
    people.set(id, { id, name });
    log.addSystemLine(id === me.id ? `You are called ${name} now` : `${before} is called ${name} now`);
    showPeople();
  }
  setTyping(id, null);
  if (id === me.id) {
    setMe({ id, name });
    closeNameDialog();
  }
}

/** @param {Frame} frame */
function refused({ code, message, nonce, retryAfter }) {
  if (code === "rate-limited") {
    outbox.pause(retryAfter);
  } else if (nonce !== undefined) {
    const draft = outbox.remove(nonce);
    log.failDraft(nonce, message, () => {
      page.text.value = draft?.text ?? "";
      textChanged();
      page.text.focus();
    });
  } else if (code === "name-taken" || code === "bad-name") {
    askName(message);
  } else {
    notify(message);
    if (code === "too-many-rooms" && room !== defaultRoom) location.hash = defaultRoom;
  }
}

// --- connection ----------------------------------------------------------------------------------------------

/** @param {ConnectionState} now */
function showState(now) {
  if (now.state === "open") {
    hello();
    return;
  }
  welcomed = false;
  outbox.stop();
  for (const id of typing.keys()) setTyping(id, null);
  clearInterval(countdown);
  page.state.dataset.state = now.state;
  page.stateText.textContent = now.state === "waiting" ? "Reconnecting" : "Connecting";
  page.countdown.textContent = "";
  if (now.state === "connecting") return;
  page.offline.hidden = false;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((now.until - Date.now()) / 1000));
    page.countdown.textContent = `Next try in ${seconds} s.`;
  };
  tick();
  countdown = setInterval(tick, 500);
}

function hello() {
  connection.send({ type: "hello", client, name: me.name });
}

function join() {
  // Only the connection that brought us lastId can be continued; in another room everything is new.
  connection.send({ type: "join", room, ...(lastId > 0 && { epoch, after: lastId }) });
}

page.retry.addEventListener("click", () => connection.retryNow());

// --- rooms ---------------------------------------------------------------------------------------------------

function roomInAddress() {
  try {
    return cleanRoom(decodeURIComponent(location.hash)) ?? defaultRoom;
  } catch {
    return defaultRoom;
  }
}

function enterRoom() {
  log.clear();
  lastId = 0;
  people = new Map();
  unread = 0;
  for (const id of typing.keys()) setTyping(id, null);
  for (const draft of outbox.waiting) if (draft.room === room) log.addDraft(draft, me);
  page.notice.hidden = true;
  page.roomTitle.textContent = room;
  page.text.placeholder = `Write to #${room}`;
  showTitle();
  showRooms();
  showPeople();
}

addEventListener("hashchange", () => {
  const wanted = roomInAddress();
  if (wanted === room) return;
  room = wanted;
  enterRoom();
  setSidebar(false);
  if (welcomed) join();
});

page.newRoom.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = cleanRoom(page.roomName.value);
  if (wanted === null) {
    page.roomName.setCustomValidity(`A room's name has 1 to ${limits.room} letters, digits or dashes.`);
    page.roomName.reportValidity();
    return;
  }
  page.roomName.value = "";
  location.hash = wanted;
  setSidebar(false);
  page.text.focus();
});
page.roomName.addEventListener("input", () => page.roomName.setCustomValidity(""));

/** @param {RoomSummary[]} list */
function setRooms(list) {
  rooms = list;
  showRooms();
}

function showRooms() {
  const known = rooms.some(({ name }) => name === room) ? rooms : [{ name: room, count: 0 }, ...rooms];
  const focused = document.activeElement?.getAttribute("href");
  page.rooms.replaceChildren(
    ...known.map(({ name, count }) => {
      const link = element("a");
      link.href = `#${name}`;
      if (name === room) link.setAttribute("aria-current", "page");
      const members = element("span", "count", String(count));
      members.append(element("span", "hidden", count === 1 ? " person" : " people"));
      link.append(element("span", "hash", "#"), element("span", "room", name), members);
      const item = element("li");
      item.append(link);
      return item;
    }),
  );
  // The list is rebuilt under the hands of somebody who moves through it with the keyboard.
  if (focused) page.rooms.querySelector(/** @type {"a"} */ (`a[href="${CSS.escape(focused)}"]`))?.focus();
}

// --- people --------------------------------------------------------------------------------------------------

/** @param {Person} person */
function setMe(person) {
  me = person;
  if (me.name !== "") store("chat.name", me.name);
  page.myName.textContent = me.name;
  fillAvatar(page.myAvatar, me);
}

function showPeople() {
  const sorted = [...people.values()].sort(
    (a, b) => Number(b.id === me.id) - Number(a.id === me.id) || a.name.localeCompare(b.name),
  );
  page.peopleCount.textContent = sorted.length === 0 ? "" : String(sorted.length);
  page.people.replaceChildren(
    ...sorted.map((person) => {
      const item = element("li");
      item.append(avatar(person), element("span", "person", person.name));
      if (person.id === me.id) item.append(element("span", "you", "you"));
      else if (typing.has(person.id)) item.append(element("span", "you", "typing"));
      return item;
    }),
  );
}

/**
 * @param {string} id
 * @param {string | null} name null: not typing any more
 */
function setTyping(id, name) {
  if (name === null && !typing.has(id)) return;
  clearTimeout(typing.get(id)?.timer);
  typing.delete(id);
  if (name !== null && id !== me.id) {
    typing.set(id, { name, timer: setTimeout(() => setTyping(id, null), typingForgetMs) });
  }
  const names = Array.from(typing.values(), (who) => who.name);
  if (names.length === 0) page.typing.textContent = "";
  else if (names.length === 1) page.typing.textContent = `${names[0]} is typing`;
  else if (names.length === 2) page.typing.textContent = `${names[0]} and ${names[1]} are typing`;
  else page.typing.textContent = "Several people are typing";
  showPeople();
}

// --- writing -------------------------------------------------------------------------------------------------

let saidTyping = 0;

function textChanged() {
  const { text } = page;
  const { length } = cleanText(text.value);
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
  const left = limits.text - length;
  page.counter.textContent = length === 0 ? "" : `${length} / ${limits.text}`;
  page.counter.classList.toggle("over", left < 0);
  text.setAttribute("aria-invalid", String(left < 0));
  page.send.disabled = cleanText(text.value).trim() === "" || left < 0;
}

/** @param {boolean} on */
function sayTyping(on) {
  const now = Date.now();
  if (!welcomed || (on ? now - saidTyping < typingRepeatMs : saidTyping === 0)) return;
  saidTyping = on ? now : 0;
  connection.send({ type: "typing", on });
}

function sendText() {
  if (page.send.disabled) return;
  const text = cleanText(page.text.value);
  page.text.value = "";
  textChanged();
  saidTyping = 0; // the message itself ends it for the others
  page.notice.hidden = true;
  const draft = outbox.add(room, text);
  log.addDraft(draft, me);
}

page.text.addEventListener("input", () => {
  textChanged();
  sayTyping(page.text.value !== "");
});
page.text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendText();
});
page.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  sendText();
  page.text.focus();
});
page.skip.addEventListener("click", (event) => {
  event.preventDefault(); // the address names the room
  page.text.focus();
});

/** @param {string} text */
function notify(text) {
  page.notice.textContent = text;
  page.notice.hidden = false;
}

// --- the name ------------------------------------------------------------------------------------------------

/** There is no going on without one; the dialog must not be left any other way. */
let nameRequired = false;

/** @param {string} [error] */
function askName(error = "") {
  dialog.error.textContent = error;
  dialog.input.setAttribute("aria-invalid", String(error !== ""));
  if (!dialog.box.open) {
    dialog.input.value = me.name;
    const first = me.name === "";
    nameRequired = first || !welcomed;
    dialog.cancel.hidden = nameRequired;
    dialog.submit.textContent = first ? "Join the chat" : "Use this name";
    dialog.box.showModal();
  }
  dialog.input.select();
}

function closeNameDialog() {
  nameRequired = false;
  if (!dialog.box.open) return;
  dialog.box.close();
  page.text.focus();
}

dialog.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = cleanName(dialog.input.value);
  if (name === null) {
    askName(`A name has 1 to ${limits.name} characters.`);
  } else if (me.name === "") {
    setMe({ ...me, name });
    closeNameDialog();
    connection.connect();
  } else if (welcomed && name !== me.name) {
    if (!connection.send({ type: "rename", name })) closeNameDialog();
  } else {
    setMe({ ...me, name });
    closeNameDialog();
    // Refused at hello: the connection still waits for a name it can take.
    if (!welcomed) hello();
  }
});
dialog.box.addEventListener("close", () => {
  // Escape, or the back gesture of a phone: browsers do not let a page refuse these.
  if (nameRequired) askName(dialog.error.textContent ?? "");
});
dialog.cancel.addEventListener("click", closeNameDialog);
page.change.addEventListener("click", () => {
  setSidebar(false);
  askName();
});

// --- window --------------------------------------------------------------------------------------------------

function looking() {
  return !document.hidden && document.hasFocus();
}

function showTitle() {
  document.title = `${unread > 0 ? `(${unread}) ` : ""}#${room} · ferrows chat`;
}

function seen() {
  if (!looking() || unread === 0) return;
  unread = 0;
  showTitle();
}
addEventListener("focus", seen);
document.addEventListener("visibilitychange", seen);

const narrow = matchMedia("(max-width: 760px)");

/** @param {boolean} open only matters where there is no room for the sidebar beside the messages */
function setSidebar(open) {
  const wasOpen = page.sidebar.dataset.open === "true";
  page.sidebar.dataset.open = String(open);
  page.openSidebar.setAttribute("aria-expanded", String(open));
  page.sidebar.inert = narrow.matches && !open;
  page.main.inert = narrow.matches && open;
  if (!narrow.matches || open === wasOpen) return;
  if (open) page.closeSidebar.focus();
  else page.openSidebar.focus();
}
narrow.addEventListener("change", () => setSidebar(false));
page.openSidebar.addEventListener("click", () => setSidebar(true));
page.closeSidebar.addEventListener("click", () => setSidebar(false));
page.scrim.addEventListener("click", () => setSidebar(false));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && page.sidebar.dataset.open === "true") setSidebar(false);
});

const themes = ["auto", "light", "dark"];

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "auto";
  const label = `Theme: ${theme === "auto" ? "as the system" : theme}`;
  page.theme.setAttribute("aria-label", label);
  page.theme.title = label;
}
page.theme.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = /** @type {string} */ (themes[(themes.indexOf(now) + 1) % themes.length]);
  store("chat.theme", next);
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  showTheme();
});

// --- start ---------------------------------------------------------------------------------------------------

showTheme();
setSidebar(false);
setMe(me);
enterRoom();
textChanged();
if (me.name === "") askName();
else connection.connect();

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
function button(id) {
  return /** @type {HTMLButtonElement} */ (byId(id));
}

/** @param {string} key */
function stored(key) {
  return localStorage.getItem(key);
}

/**
 * @param {string} key
 * @param {string} value
 */
function store(key, value) {
  localStorage.setItem(key, value);
  return value;
}
