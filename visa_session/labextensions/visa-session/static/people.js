// The people of a session on a page: requests to join, the banner, the list. Plain DOM, for any page.

import * as words from "./words.js";

/** An element with attributes and children; text stays text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const button = (text, click, kind = "") => element("button", { type: "button", class: `visa-button ${kind}`, click }, text);

/** Support's requests to join, as cards over the page. They take no focus: somebody may be typing. */
export class Requests {
  /** `answer(id, answer)` resolves to words where it did not work, else to nothing. */
  constructor(root, answer) {
    this.answer = answer;
    this.cards = new Map();
    this.said = element("p", { class: "visa-hidden", role: "status" });
    this.box = element("section", { class: "visa-requests", "aria-label": "Requests to join" });
    root.append(this.said, this.box);
    this.timer = setInterval(() => this.count(), 1000);
    this.focus = this.focus.bind(this);
  }

  show(requests) {
    for (const [id, card] of this.cards) {
      if (requests.some((request) => request.id === id)) continue;
      card.node.remove();
      this.cards.delete(id);
    }
    for (const request of requests) {
      if (this.cards.has(request.id)) continue;
      const card = this.make(request);
      this.cards.set(request.id, card);
      this.box.append(card.node);
      this.said.textContent = `${words.asked(request)}. Control, Alt, Shift and M leads there.`;
    }
    this.box.hidden = this.cards.size === 0;
    this.count();
  }

  make(request) {
    const title = element("h2", { id: `visa-request-${request.id}` }, words.asked(request));
    const time = element("span", {});
    const trouble = element("p", { class: "visa-trouble", role: "alert" });
    const reply = async (answer, pressed) => {
      for (const other of row.children) other.disabled = true;
      trouble.textContent = "";
      const why = await this.answer(request.id, answer);
      if (!why) return node.remove();
      trouble.textContent = why;
      for (const other of row.children) other.disabled = false;
      if (node.isConnected) pressed.focus();
    };
    const choice = (text, answer, kind) => {
      const made = button(text, () => reply(answer, made), kind);
      return made;
    };
    const row = element(
      "div",
      { class: "visa-row" },
      choice(request.role === "viewer" ? "Let them watch" : "Work together", "as-asked", "visa-main"),
      request.role === "viewer" ? null : choice("Watch only", "watch"),
      choice("Decline", "decline"),
    );
    const message = request.message ? element("blockquote", {}, element("bdi", {}, request.message)) : null;
    // The portal's words: what one agrees to must be known where one agrees.
    const means =
      request.role === "viewer"
        ? null
        : element("p", {}, "Who works together with you does so with your account: your files, your terminal.");
    const note = element("p", { class: "visa-faint" }, "You can answer for ", time, ". Ctrl+Alt+Shift+M leads here.");
    const node = element(
      "div",
      { class: "visa-card", role: "group", "aria-labelledby": title.id },
      title,
      message,
      means,
      row,
      trouble,
      note,
    );
    return { request, node, time };
  }

  count() {
    for (const card of this.cards.values()) {
      const left = words.untilThen(card.request.lapses);
      card.time.textContent = left;
      if (!left) card.node.remove();
    }
  }

  /** Bring the keyboard to the first request; whether there is one. */
  focus() {
    const first = this.box.querySelector("button:not(:disabled)");
    first?.focus();
    return first !== null;
  }

  dispose() {
    clearInterval(this.timer);
    this.said.remove();
    this.box.remove();
  }
}

/** The banner that stands there for as long as support is let in. */
export class Banner {
  constructor(node) {
    this.node = node;
    node.classList.add("visa-banner");
    node.setAttribute("role", "status");
    node.hidden = true;
  }

  show(news) {
    const said = [...words.bannerOf(news), ...(news.support ? [ownSupport(news)] : [])];
    const text = said.join(" · ");
    if (this.node.textContent !== text) this.node.textContent = text;
    this.node.hidden = text === "";
  }
}

/** Staff see the same of themselves. */
function ownSupport(news) {
  const until = news.until ? `, until ${words.clock(news.until)} at the latest` : "";
  return `You are in ${news.owner.full_name}'s session as support${until}`;
}

/** Who is in: for the owner with since when, as what and a way to end it; for members by name. */
export class People {
  /** `end(name)` and `endAll()` resolve to words where it did not work; `sharing` is an address. */
  constructor(node, { end, endAll, sharing }) {
    this.node = node;
    node.tabIndex = -1;
    this.calls = { end, endAll };
    this.list = element("ul", {});
    this.trouble = element("p", { class: "visa-trouble", role: "alert" });
    this.head = element("h2", {}, "Who is in");
    this.all = button("End all", () => this.run(this.all, this.calls.endAll), "visa-danger");
    this.share = element("a", { class: "visa-button visa-main", href: sharing, target: "_top" }, "Share…");
    this.row = element("div", { class: "visa-row" }, this.share, this.all);
    node.append(this.head, this.list, this.trouble, this.row);
  }

  show(news) {
    const owner = news.role === "owner";
    const focused = this.list.contains(document.activeElement);
    const kept = document.activeElement?.dataset?.name;
    const others = news.members.map((person) => (owner ? this.entry(person) : this.line(person)));
    const first = owner
      ? []
      : [element("li", {}, name(news.owner.full_name), detail(news.owner.present ? "owner" : "owner, away"))];
    this.list.replaceChildren(...first, ...others);
    if (owner && others.length === 0) this.list.append(element("li", { class: "visa-faint" }, "Nobody but you."));
    this.row.hidden = !owner;
    this.all.hidden = others.length < 2;
    // The keyboard stays where it was, or in the panel when what it was on is gone.
    if (focused) (this.list.querySelector(`[data-name="${CSS.escape(kept ?? "")}"]`) ?? this.node).focus();
  }

  entry(person) {
    const here = words.isHere(person) ? "here now" : "not here now";
    const since = person.since ? `since ${words.clock(person.since)}` : "";
    const until = person.until ? `until ${words.clock(person.until)}` : "";
    const told = [words.roleOf(person), since, until, here].filter(Boolean).join(", ");
    const ends = button("End", () => this.run(ends, () => this.calls.end(person.name)));
    ends.setAttribute("aria-label", `End what ${person.full_name} may do here`);
    ends.dataset.name = person.name;
    return element("li", {}, name(words.called(person)), detail(told), ends);
  }

  line(person) {
    return element("li", {}, name(words.called(person)), detail(person.role === "viewer" ? "watches" : "works here"));
  }

  /** Make a call once; the button keeps the keyboard meanwhile. */
  async run(pressed, call) {
    if (pressed.getAttribute("aria-disabled")) return;
    pressed.setAttribute("aria-disabled", "true");
    this.trouble.textContent = "";
    this.trouble.textContent = (await call()) ?? "";
    pressed.removeAttribute("aria-disabled");
  }

  /** How many are here beside oneself, for a button. */
  static count(news) {
    const owner = news.role === "owner";
    const here = news.members.filter(words.isHere).length;
    return owner ? here : Math.max(0, here - 1) + (news.owner.present ? 1 : 0);
  }
}

const name = (text) => element("bdi", { class: "visa-name" }, text);
const detail = (text) => element("span", { class: "visa-faint" }, text);

/** The combination that the desktop leaves to the page. */
export const isOurs = (event) => event.ctrlKey && event.altKey && event.shiftKey && event.code === "KeyM";
