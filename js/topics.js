// @ts-check
// Which socket is subscribed to what. JavaScript's answers (counts, subscriptions) come from here at once; the addon
// keeps the same table for its fan-out, by number.
//
// A socket's subscriptions are `undefined`, one Topic, or a Set of them in order of subscription: most sockets are in
// no topic or in one, and a Set costs some 200 bytes.
import { N } from "./native.js";

export class Topic {
  /** @param {number} id @param {string} name */
  constructor(id, name) {
    this.id = id;
    this.name = name;
    /** Subscribed sockets. */
    this.count = 0;
  }
}

/** @typedef {undefined | Topic | Set<Topic>} Subscriptions */

/** Numbers that dropped topics gave back; the addon's table stays dense. @type {number[]} */
const freeIds = [];
let nextId = 0;

/** The topics of one server. */
export class TopicTable {
  /** Names are well-formed strings. @type {Map<string, Topic>} */
  byName = new Map();

  /** Two spellings of a name that differ in lone surrogates are one topic. @param {string} name */
  find(name) {
    return this.byName.get(name) ?? (name.isWellFormed() ? undefined : this.byName.get(name.toWellFormed()));
  }

  /** @param {string} name */
  #findOrAdd(name) {
    let topic = this.find(name);
    if (topic === undefined) {
      topic = new Topic(freeIds.pop() ?? nextId++, name.toWellFormed());
      this.byName.set(topic.name, topic);
    }
    return topic;
  }

  /**
   * @param {number} socketId
   * @param {Subscriptions} current
   * @param {string} name
   * @returns {Subscriptions} the socket's subscriptions from now on
   */
  subscribe(socketId, current, name) {
    const topic = this.#findOrAdd(name);
    if (contains(current, topic)) return current;
    topic.count++;
    N.subscribe(socketId, topic.id);
    if (current === undefined) return topic;
    return current instanceof Topic ? new Set([current, topic]) : current.add(topic);
  }

  /**
   * @param {number} socketId
   * @param {Subscriptions} current contains the topic
   * @param {Topic} topic
   * @returns {Subscriptions}
   */
  unsubscribe(socketId, current, topic) {
    N.unsubscribe(socketId, topic.id);
    this.#leave(topic);
    if (!(current instanceof Set)) return undefined;
    current.delete(topic);
    return current.size === 0 ? undefined : current;
  }

  /** The socket has closed: the addon removes its memberships itself. @param {Subscriptions} subscriptions */
  removeAll(subscriptions) {
    if (subscriptions === undefined) return;
    if (subscriptions instanceof Topic) this.#leave(subscriptions);
    else for (const topic of subscriptions) this.#leave(topic);
  }

  /** @param {Topic} topic */
  #leave(topic) {
    if (--topic.count > 0) return;
    this.byName.delete(topic.name);
    // Free at once: commands are applied in order, and a topic without members owns nothing over there.
    freeIds.push(topic.id);
  }
}

/** @param {Subscriptions} subscriptions @param {Topic} topic */
export function contains(subscriptions, topic) {
  return subscriptions === topic || (subscriptions instanceof Set && subscriptions.has(topic));
}

/** @param {Subscriptions} subscriptions @returns {string[]} a new array */
export function names(subscriptions) {
  if (subscriptions === undefined) return [];
  if (subscriptions instanceof Topic) return [subscriptions.name];
  return Array.from(subscriptions, (topic) => topic.name);
}
