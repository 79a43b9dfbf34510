// @ts-check
// The chat itself: people, rooms, and what each frame does. It knows sockets only through `send`, `publish`,
// `subscribe` and `close`; server.js connects it to the network.

import { createHash, randomUUID } from "node:crypto";
import { cleanName, cleanRoom, cleanText, defaultRoom, limits } from "./public/protocol.js";
import { RateLimit } from "./rate-limit.js";

/**
 * @typedef {import("./public/protocol.js").Person} Person
 * @typedef {import("./public/protocol.js").Message} Message
 *
 * What the chat keeps for one connection, in `ws.data`.
 * @typedef {object} SocketData
 * @property {Member | null} member null until the hello frame
 * @property {Room | null} room
 * @property {RateLimit} frames every frame counts
 * @property {RateLimit} messages only messages count
 *
 * @typedef {import("../../index.js").ServerWebSocket<SocketData>} Socket
 *
 * One person, however many tabs are open.
 * @typedef {object} Member
 * @property {string} id
 * @property {string} name
 * @property {Set<Socket>} sockets
 *
 * @typedef {object} Presence
 * @property {Member} member
 * @property {number} tabs sockets of this person in the room; 0 while we wait whether they come back
 * @property {ReturnType<typeof setTimeout> | undefined} leaving
 *
 * @typedef {object} Room
 * @property {string} name
 * @property {Map<string, Presence>} present by person
 * @property {Message[]} messages oldest first
 * @property {Set<string>} known `person/nonce` of the messages above
 * @property {number} used when somebody last entered or wrote
 */

/** Rooms kept in memory. Past it, the empty room that was used longest ago makes way. */
const maxRooms = 100;

/** A reload or a short loss of the network is not worth a "left" and a "joined" line. */
const leaveGraceMs = 4000;

/** The room list goes to everybody, so changes are gathered this long. */
const roomListDelayMs = 150;

const everybody = "everybody";

export class Chat {
  /** Names this run of the server, see protocol.js. */
  epoch = randomUUID();
  #publish;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Map<string, Member>} */
  #members = new Map();
  /** @type {Map<string, Member>} lower-cased name to its owner */
  #names = new Map();
  #lastId = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #roomListTimer;
  #stopped = false;

  /** @param {(topic: string, text: string) => unknown} publish the server's publish */
  constructor(publish) {
    this.#publish = publish;
    this.#room(defaultRoom);
  }

  /**
   * The `ws.data` of a new connection.
   * @returns {SocketData}
   */
  newSocketData() {
    return { member: null, room: null, frames: new RateLimit(60, 15), messages: new RateLimit(8, 2) };
  }

  /** @param {Socket} ws */
  open(ws) {
    ws.subscribe(everybody);
  }

  /**
   * @param {Socket} ws
   * @param {string | Uint8Array} data
   */
  message(ws, data) {
    if (ws.data.frames.take() > 0) {
      ws.close(1008, "Too many frames");
      return;
    }
    const frame = parse(data);
    if (frame === null) {
      refuse(ws, "bad-frame", "Expected a text frame with a JSON object that has a type.");
      return;
    }
    if (frame.type === "ping") {
      send(ws, { type: "pong" });
      return;
    }
    if (frame.type === "hello") {
      this.#hello(ws, frame);
      return;
    }
    const { member } = ws.data;
    if (member === null) {
      refuse(ws, "hello-first", "Say hello before anything else.");
      return;
    }
    switch (frame.type) {
      case "join":
        return this.#join(ws, member, frame);
      case "message":
        return this.#post(ws, member, frame);
      case "typing":
        return this.#typing(ws, member, frame);
      case "rename":
        return this.#rename(ws, member, frame);
      default:
        refuse(ws, "unknown-type", "There is no frame of this type.");
    }
  }

  /** @param {Socket} ws */
  close(ws) {
    const { member } = ws.data;
    if (member === null || this.#stopped) return;
    member.sockets.delete(ws);
    this.#leave(ws, member, leaveGraceMs);
    this.#forget(member);
  }

  /** No timers and no more news: the server is going away. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#roomListTimer);
    for (const room of this.#rooms.values()) {
      for (const presence of room.present.values()) clearTimeout(presence.leaving);
    }
  }

  /**
   * @param {Socket} ws
   * @param {Record<string, unknown>} frame
   */
  #hello(ws, frame) {
    const { client } = frame;
    if (ws.data.member !== null) return refuse(ws, "hello-twice", "You said hello already.");
    if (typeof client !== "string" || client.length < 16 || client.length > 64) {
      return refuse(ws, "bad-client", "The client id must have 16 to 64 characters.");
    }
    const id = publicId(client);
    const name = this.#freeName(ws, id, frame.name);
    if (name === null) return;
    let member = this.#members.get(id);
    if (member === undefined) {
      member = { id, name, sockets: new Set() };
      this.#members.set(id, member);
      this.#names.set(name.toLowerCase(), member);
    } else {
      this.#setName(member, name);
    }
    member.sockets.add(ws);
    ws.data.member = member;
    send(ws, { type: "welcome", epoch: this.epoch, you: person(member), rooms: this.#roomList() });
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {Record<string, unknown>} frame
   */
  #join(ws, member, frame) {
    const name = cleanRoom(frame.room);
    if (name === null) {
      return refuse(ws, "bad-room", `A room's name has 1 to ${limits.room} letters, digits or dashes.`);
    }
    const room = this.#room(name);
    if (room === null) return refuse(ws, "too-many-rooms", "There are too many rooms; join one of those.");
    if (ws.data.room !== room) {
      this.#leave(ws, member, 0);
      this.#enter(ws, member, room);
    }
    const { messages, gap } = since(room, frame.epoch === this.epoch ? frame.after : undefined);
    const people = Array.from(room.present.values(), (presence) => person(presence.member));
    send(ws, { type: "joined", room: room.name, people, messages, gap });
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {Record<string, unknown>} frame
   */
  #post(ws, member, frame) {
    const { nonce } = frame;
    if (typeof nonce !== "string" || nonce.length === 0 || nonce.length > limits.nonce) {
      return refuse(ws, "bad-nonce", `A message needs a nonce of 1 to ${limits.nonce} characters.`);
    }
    const name = cleanRoom(frame.room);
    const room = name === null ? null : this.#room(name);
    if (room === null) return refuse(ws, "bad-room", "There is no such room.", { nonce });
    if (typeof frame.text !== "string") return refuse(ws, "bad-text", "A message needs a text.", { nonce });
    const text = cleanText(frame.text);
    if (text === "") return refuse(ws, "empty", "The message is empty.", { nonce });
    if (text.length > limits.text) {
      const message = `The message has ${text.length} characters; ${limits.text} are allowed.`;
      return refuse(ws, "too-long", message, { nonce });
    }
    const key = `${member.id}/${nonce}`;
    if (room.known.has(key)) {
      // Sent again because the connection broke before the page saw it come back.
      send(ws, { type: "ack", room: room.name, nonce });
      return;
    }
    const retryAfter = ws.data.messages.take();
    if (retryAfter > 0) {
      return refuse(ws, "rate-limited", "You are sending too fast.", { nonce, retryAfter });
    }

    this.#lastId += 1;
    const message = { id: this.#lastId, nonce, from: person(member), text, at: Date.now() };
    room.messages.push(message);
    room.known.add(key);
    room.used = message.at;
    if (room.messages.length > limits.history) {
      const oldest = /** @type {Message} */ (room.messages.shift());
      room.known.delete(`${oldest.from.id}/${oldest.nonce}`);
    }
    // Everybody in the room, the sender included: one order for all.
    this.#say(room, { type: "message", room: room.name, message });
    if (ws.data.room !== room) send(ws, { type: "ack", room: room.name, nonce });
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {Record<string, unknown>} frame
   */
  #typing(ws, member, frame) {
    const { room } = ws.data;
    if (room === null) return refuse(ws, "join-first", "Join a room first.");
    // ws.publish leaves out the socket that calls it.
    ws.publish(topic(room), JSON.stringify({ type: "typing", ...person(member), on: frame.on === true }));
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {Record<string, unknown>} frame
   */
  #rename(ws, member, frame) {
    const name = this.#freeName(ws, member.id, frame.name);
    if (name !== null) this.#setName(member, name);
  }

  /**
   * The cleaned name if this person may have it; otherwise says why not.
   * @param {Socket} ws
   * @param {string} id
   * @param {unknown} wanted
   */
  #freeName(ws, id, wanted) {
    const name = cleanName(wanted);
    if (name === null) {
      refuse(ws, "bad-name", `A name has 1 to ${limits.name} characters.`);
      return null;
    }
    const owner = this.#names.get(name.toLowerCase());
    if (owner !== undefined && owner.id !== id) {
      refuse(ws, "name-taken", `Somebody here is called ${name} already.`);
      return null;
    }
    return name;
  }

  /**
   * @param {Member} member
   * @param {string} name
   */
  #setName(member, name) {
    const before = member.name;
    if (before === name) return;
    this.#names.delete(before.toLowerCase());
    this.#names.set(name.toLowerCase(), member);
    member.name = name;
    const frame = { type: "renamed", id: member.id, name, before };
    for (const room of this.#rooms.values()) {
      if (room.present.has(member.id)) this.#say(room, frame);
    }
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {Room} room
   */
  #enter(ws, member, room) {
    ws.data.room = room;
    room.used = Date.now();
    let presence = room.present.get(member.id);
    if (presence === undefined) {
      presence = { member, tabs: 0, leaving: undefined };
      room.present.set(member.id, presence);
      // Before subscribing: the newcomer is told by the joined frame.
      this.#say(room, { type: "entered", person: person(member) });
      this.#roomsChanged();
    }
    clearTimeout(presence.leaving);
    presence.leaving = undefined;
    presence.tabs += 1;
    ws.subscribe(topic(room));
  }

  /**
   * @param {Socket} ws
   * @param {Member} member
   * @param {number} graceMs
   */
  #leave(ws, member, graceMs) {
    const { room } = ws.data;
    if (room === null) return;
    ws.data.room = null;
    // A closed socket is unsubscribed already, then this answers false.
    ws.unsubscribe(topic(room));
    const presence = room.present.get(member.id);
    if (presence === undefined) return;
    presence.tabs -= 1;
    if (presence.tabs > 0) return;
    const gone = () => {
      room.present.delete(member.id);
      this.#say(room, { type: "left", person: person(member) });
      if (room.present.size === 0 && room.messages.length === 0 && room.name !== defaultRoom) {
        this.#rooms.delete(room.name);
      }
      this.#roomsChanged();
      this.#forget(member);
    };
    if (graceMs === 0) gone();
    else presence.leaving = setTimeout(gone, graceMs);
  }

  /**
   * Drops a person, and frees the name, when neither a socket nor a room holds on to them.
   * @param {Member} member
   */
  #forget(member) {
    if (member.sockets.size > 0) return;
    for (const room of this.#rooms.values()) if (room.present.has(member.id)) return;
    this.#members.delete(member.id);
    if (this.#names.get(member.name.toLowerCase()) === member) this.#names.delete(member.name.toLowerCase());
  }

  /**
   * Finds or makes a room; null if there is no place for another one.
   * @param {string} name
   * @returns {Room | null}
   */
  #room(name) {
    const known = this.#rooms.get(name);
    if (known !== undefined) return known;
    if (this.#rooms.size >= maxRooms && !this.#dropEmptyRoom()) return null;
    const room = { name, present: new Map(), messages: [], known: new Set(), used: Date.now() };
    this.#rooms.set(name, room);
    return room;
  }

  #dropEmptyRoom() {
    let oldest;
    for (const room of this.#rooms.values()) {
      if (room.present.size > 0 || room.name === defaultRoom) continue;
      if (oldest === undefined || room.used < oldest.used) oldest = room;
    }
    return oldest !== undefined && this.#rooms.delete(oldest.name);
  }

  #roomList() {
    const rooms = Array.from(this.#rooms.values(), ({ name, present }) => ({ name, count: present.size }));
    return rooms.sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
  }

  #roomsChanged() {
    if (this.#stopped || this.#roomListTimer !== undefined) return;
    this.#roomListTimer = setTimeout(() => {
      this.#roomListTimer = undefined;
      this.#publish(everybody, JSON.stringify({ type: "rooms", rooms: this.#roomList() }));
    }, roomListDelayMs);
  }

  /**
   * @param {Room} room
   * @param {object} frame
   */
  #say(room, frame) {
    this.#publish(topic(room), JSON.stringify(frame));
  }
}

/**
 * @param {string | Uint8Array} data
 * @returns {Record<string, unknown> | null}
 */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const frame = JSON.parse(data);
    return typeof frame === "object" && frame !== null && typeof frame.type === "string" ? frame : null;
  } catch {
    return null;
  }
}

/**
 * @param {Socket} ws
 * @param {object} frame
 */
function send(ws, frame) {
  // Nothing to do for -1 (queued). At 0 the socket is closed or fell behind by more than backpressureLimit;
  // then closeOnBackpressureLimit ends it, the page reconnects and asks for what it missed.
  ws.send(JSON.stringify(frame));
}

/**
 * @param {Socket} ws
 * @param {string} code for programs
 * @param {string} message for people
 * @param {{ nonce?: string, retryAfter?: number }} [facts]
 */
function refuse(ws, code, message, facts) {
  send(ws, { type: "error", code, message, ...facts });
}

/**
 * The messages after an id of this epoch, or all there are.
 * @param {Room} room
 * @param {unknown} after
 */
function since(room, after) {
  if (typeof after !== "number") return { messages: room.messages, gap: false };
  const messages = room.messages.filter((message) => message.id > after);
  // A full history of which every message is new: older ones may have been dropped meanwhile.
  return { messages, gap: messages.length === limits.history };
}

/** @param {Room} room */
function topic(room) {
  return `room:${room.name}`;
}

/**
 * @param {Member} member
 * @returns {Person}
 */
function person({ id, name }) {
  return { id, name };
}

/**
 * The same for a browser after a reload, another tab or a restart of the server, but tells nobody its secret.
 * @param {string} client
 */
function publicId(client) {
  return createHash("sha256").update(client).digest("base64url").slice(0, 16);
}
