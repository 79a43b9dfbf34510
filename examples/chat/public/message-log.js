// @ts-check
// The list of messages. Text of others only ever becomes text nodes; nothing here parses HTML.

/**
 * @typedef {import("./protocol.js").Person} Person
 * @typedef {import("./protocol.js").Message} Message
 * @typedef {import("./outbox.js").Draft} Draft
 */

/** Older lines leave the page, so that a window left open for days does not grow. */
const longestLog = 500;

/** Messages of one person within this time stand together under one name. */
const groupMs = 5 * 60_000;

/** A message that takes this long is shown as not sent yet. */
const lateMs = 600;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullDate = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class MessageLog {
  #frame;
  #list;
  #latest;
  /** @type {Set<string>} `person/nonce` of what is shown */
  #shown = new Set();
  /** @type {Map<string, HTMLElement>} drafts by nonce, always below the messages */
  #drafts = new Map();
  /** @type {{ from: string, at: number } | null} the last line, if it is a message */
  #last = null;
  #day = "";
  #below = 0;
  #atEnd = true;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.frame scrolls
   * @param {HTMLElement} elements.list
   * @param {HTMLElement} elements.latest button that leads to the newest message
   */
  constructor({ frame, list, latest }) {
    this.#frame = frame;
    this.#list = list;
    this.#latest = latest;
    frame.addEventListener("scroll", () => {
      this.#atEnd = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 48;
      if (this.#atEnd) this.#below = 0;
      this.#showLatest();
    });
    // A keyboard that opens or a growing message box must not push the newest message out of sight.
    new ResizeObserver(() => {
      if (this.#atEnd) this.scrollToEnd();
    }).observe(frame);
    latest.addEventListener("click", () => {
      this.scrollToEnd();
      frame.focus();
    });
  }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#drafts.clear();
    this.#last = null;
    this.#day = "";
    this.#below = 0;
    this.scrollToEnd();
  }

  /**
   * @param {Message} message
   * @param {Person} me
   * @returns {boolean} false if it is shown already
   */
  add(message, me) {
    const key = `${message.from.id}/${message.nonce}`;
    if (this.#shown.has(key)) return false;
    this.#shown.add(key);
    const own = message.from.id === me.id;
    const at = new Date(message.at);
    this.#addDay(at);
    const last = this.#last;
    const follows = last !== null && last.from === message.from.id && message.at - last.at < groupMs;
    this.#last = { from: message.from.id, at: message.at };

    const time = element("time", "", clock.format(at));
    time.dateTime = at.toISOString();
    time.title = fullDate.format(at);
    const item = messageItem(message.from, own, follows, message.text, time);
    item.dataset.id = String(message.id);
    this.#append(item, own);
    return true;
  }

  /** @param {string} text */
  addSystemLine(text) {
    this.#last = null;
    this.#append(element("li", "system", text), false);
  }

  /**
   * @param {Draft} draft
   * @param {Person} me
   */
  addDraft(draft, me) {
    const note = element("span", "note", "Sending");
    const item = messageItem(me, true, true, draft.text, note);
    item.classList.add("draft");
    this.#drafts.set(draft.nonce, item);
    setTimeout(() => {
      if (item.classList.contains("failed")) return;
      item.classList.add("late");
      note.textContent = "Waiting to be sent";
    }, lateMs);
    this.#list.append(item);
    this.scrollToEnd();
  }

  /** @param {string} nonce */
  removeDraft(nonce) {
    this.#drafts.get(nonce)?.remove();
    this.#drafts.delete(nonce);
  }

  /**
   * @param {string} nonce
   * @param {string} reason
   * @param {() => void} edit puts the text back into the message box
   */
  failDraft(nonce, reason, edit) {
    const item = this.#drafts.get(nonce);
    if (item === undefined) return;
    item.classList.add("failed");
    const button = element("button", "quiet", "Edit");
    button.type = "button";
    button.addEventListener("click", () => {
      this.removeDraft(nonce);
      edit();
    });
    item.querySelector(".note")?.replaceChildren(`Not sent: ${reason} `, button);
  }

  /**
   * Adds many lines without having each read out by a screen reader.
   * @param {() => void} addLines
   */
  quietly(addLines) {
    this.#frame.setAttribute("aria-live", "off");
    addLines();
    this.scrollToEnd();
    requestAnimationFrame(() => this.#frame.setAttribute("aria-live", "polite"));
  }

  scrollToEnd() {
    this.#frame.scrollTop = this.#frame.scrollHeight;
    this.#atEnd = true;
    this.#below = 0;
    this.#showLatest();
  }

  /** @param {Date} at */
  #addDay(at) {
    const day = at.toDateString();
    if (day === this.#day) return;
    this.#day = day;
    this.#last = null;
    const today = new Date();
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    let name = dayName.format(at);
    if (day === today.toDateString()) name = "Today";
    else if (day === yesterday.toDateString()) name = "Yesterday";
    this.#append(element("li", "day", name), false);
  }

  /**
   * @param {HTMLElement} item
   * @param {boolean} own
   */
  #append(item, own) {
    const [firstDraft] = this.#drafts.values();
    this.#list.insertBefore(item, firstDraft ?? null);
    while (this.#list.childElementCount > longestLog) this.#list.firstElementChild?.remove();
    if (this.#atEnd || own) {
      this.scrollToEnd();
    } else {
      if (item.classList.contains("message")) this.#below += 1;
      this.#showLatest();
    }
  }

  #showLatest() {
    this.#latest.hidden = this.#atEnd;
    const count = this.#below;
    this.#latest.textContent =
      count === 0 ? "Newest messages" : `${count} new ${count === 1 ? "message" : "messages"}`;
  }
}

/**
 * @param {Person} from
 * @param {boolean} own
 * @param {boolean} follows stands under the message above
 * @param {string} text
 * @param {HTMLElement} note
 */
function messageItem(from, own, follows, text, note) {
  const item = element("li", "message");
  item.classList.toggle("own", own);
  item.classList.toggle("follows", follows);
  const name = element("span", "from", own ? "You" : from.name);
  colour(name, from.id);
  const bubble = element("div", "bubble");
  const words = element("p", "text");
  words.dir = "auto";
  words.append(...withLinks(text));
  bubble.append(words, note);
  item.append(avatar(from), name, bubble);
  return item;
}

/**
 * A circle with the first letter, in a colour that stays with the person.
 * @param {Person} who
 */
export function avatar(who) {
  const circle = element("span", "avatar");
  circle.setAttribute("aria-hidden", "true");
  fillAvatar(circle, who);
  return circle;
}

/**
 * @param {HTMLElement} circle
 * @param {Person} who
 */
export function fillAvatar(circle, { id, name }) {
  const [first = "?"] = new Intl.Segmenter().segment(name);
  circle.textContent = typeof first === "string" ? first : first.segment.toLocaleUpperCase();
  colour(circle, id);
}

/**
 * @param {HTMLElement} target
 * @param {string} id
 */
function colour(target, id) {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  target.style.setProperty("--hue", String((sum % 12) * 30));
}

/**
 * The text, with web addresses as links.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function withLinks(text) {
  return text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,:;!?()[\]{}])/gu).map((part, index) => {
    if (index % 2 === 0 || !URL.canParse(part)) return part;
    const link = element("a", "", part);
    link.href = part;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    return link;
  });
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}
