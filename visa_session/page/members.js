// Who is in, who asks to join, and what changes about oneself.

import { isAside, putAside } from "../labextensions/visa-session/static/aside.js";
import { follow } from "../labextensions/visa-session/static/news.js";
import { Banner, element, People, Requests } from "../labextensions/visa-session/static/people.js";
import * as words from "../labextensions/visa-session/static/words.js";
import * as notice from "./notice.js";
import { call, open as openCall, refresh, warn } from "./session.js";

const { role, sharing, extend } = document.body.dataset;
/** Where JupyterLab shows the desktop as a tab, JupyterLab itself shows all of this. */
const inTab = window.parent !== window;
const SAID_FOR = 9000;
const KEPT = "visa-desktop-said";
/** Milliseconds between two reloads because of one's role: should server and page ever disagree. */
const RELOAD_EVERY = 5000;
/** Pixels of pointer movement that are no accident. */
const MOVED = 400;

const said = document.getElementById("said");
const button = document.getElementById("people");
const count = document.getElementById("people-count");
let last = null;
let over = false;
let requests = null;
let ending = null;
let reason;
let out = false;
let again = () => location.reload();
let timer = null;

/** Words that go away by themselves. */
function say(text) {
  clearTimeout(timer);
  said.textContent = text;
  said.hidden = text === "";
  timer = setTimeout(() => say(""), SAID_FOR);
}

async function make(path, method, body) {
  const { status, body: answer } = await call(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (status >= 200 && status < 300) return "";
  return answer?.message ?? "The session does not answer. Try again in a few seconds.";
}

/** Whether this person is not in any more: then nothing of this page asks by itself. */
export const isOver = () => over;

/** This person is not in any more; `refusal` is what the news say of it, which the end of the picture does not know. */
export function ended(refusal = {}) {
  over = true;
  reason = refusal.why ?? reason; // the picture may end before the news have said why
  again = refusal.again ?? again;
  out = refusal.out ?? out;
  for (const said of ["sign", "bar"]) document.getElementById(said).hidden = true; // they would go on saying that one is in
  notice.say(words.ENDED, { detail: words.endedOf(last, reason, out), still: true, retry: () => again() });
}

/** Bring the keyboard to a request to join, or to the warning before the end; whether there is one. */
export const focusRequest = () => requests?.focus() || ending?.focus() || false;

/** The toolbar is another for each role: the page is loaded anew, and says why. */
function becomeAnother(change) {
  try {
    const before = Number(sessionStorage.getItem(`${KEPT}-at`));
    if (Date.now() - before < RELOAD_EVERY && last === null) return;
    sessionStorage.setItem(`${KEPT}-at`, String(Date.now()));
    sessionStorage.setItem(KEPT, change);
  } catch {
    // a browser that keeps nothing: the words are lost, the page is right
  }
  location.reload();
}

function sayWhatWasKept() {
  try {
    const kept = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    if (kept) say(kept);
  } catch {
    // nothing kept
  }
}

/** Messages and announcements, one card each until it is put away. */
class Notices {
  constructor(root) {
    this.box = element("section", { class: "visa-notices", "aria-label": "Messages" });
    root.append(this.box);
    this.cards = new Map();
  }

  show(notices) {
    for (const [id, card] of this.cards) {
      if (notices.some((one) => one.id === id)) continue;
      card.remove();
      this.cards.delete(id);
    }
    for (const one of notices) {
      if (this.cards.has(one.id) || isAside(one)) continue;
      const away = element("button", { type: "button", class: "visa-button" }, "Dismiss");
      const title = one.kind === "message" ? "Message from the facility" : "Announcement";
      const card = element(
        "div",
        { class: "visa-card", role: "status" },
        element("h2", {}, title),
        element("p", {}, element("bdi", {}, one.words)),
        element("div", { class: "visa-row" }, away),
      );
      away.addEventListener("click", async () => {
        card.hidden = true;
        if (one.kind !== "message") return putAside(one);
        if (await make(`visa/notices/${encodeURIComponent(one.id)}/seen`, "POST")) card.hidden = false;
      });
      this.cards.set(one.id, card);
      this.box.append(card);
    }
  }
}

/** The warning before the end: a card that takes no focus, for whoever may be typing. */
class EndCard {
  constructor(root) {
    this.said = element("p", { class: "visa-hidden", role: "status" });
    this.title = element("h2", { id: "visa-ends" });
    this.away = element("button", { type: "button", class: "visa-button" }, "Dismiss");
    this.away.addEventListener("click", () => this.clear());
    this.more = element("a", { class: "visa-button visa-main", href: extend, target: "_blank", rel: "noopener" }, "Extend…");
    this.more.hidden = true;
    this.card = element(
      "div",
      { class: "visa-card", role: "group", "aria-labelledby": "visa-ends" },
      this.title,
      element("p", {}, words.SAVE),
      element("div", { class: "visa-row" }, this.more, this.away),
    );
    this.card.hidden = true;
    root.append(this.said, element("section", { "aria-label": "Time left" }, this.card));
  }

  warn(text) {
    this.title.textContent = text;
    this.said.textContent = `${text} ${words.SAVE} Control, Alt, Shift and M leads there.`;
    this.card.hidden = false;
  }

  clear() {
    this.card.hidden = true;
    this.said.textContent = "";
  }

  /** Whether the owner may have it end later. */
  mayExtend(may) {
    this.more.hidden = !(may && extend);
  }

  focus() {
    if (this.card.hidden) return false;
    (this.more.hidden ? this.away : this.more).focus();
    return true;
  }
}

/** Say once that this is for watching, when somebody tries more than that. */
function watchOnly() {
  let moved = 0;
  const screen = document.getElementById("screen");
  const tried = new AbortController();
  const once = () => {
    tried.abort();
    say(words.onlyWatching(last));
  };
  const on = { capture: true, signal: tried.signal };
  screen.addEventListener("pointerdown", once, on);
  screen.addEventListener("wheel", once, on);
  screen.addEventListener(
    "pointermove",
    (event) => {
      moved += Math.abs(event.movementX) + Math.abs(event.movementY);
      if (moved > MOVED) once();
    },
    on,
  );
  window.addEventListener(
    "keydown",
    (event) => {
      const forPage = event.target.closest?.("#bar, .visa-card, #notice");
      if (!forPage && !event.ctrlKey && !event.altKey && !event.metaKey && event.key !== "Tab") once();
    },
    on,
  );
}

export function setUp() {
  button.hidden = inTab;
  if (inTab) return;
  sayWhatWasKept();
  if (role === "viewer") watchOnly();
  const stack = element("div", { class: "visa-stack" });
  document.body.append(stack);
  const banner = new Banner(document.getElementById("sign"));
  requests = new Requests(stack, (request, answer) => make("visa/answers", "POST", { request, answer }));
  ending = new EndCard(stack);
  warn({ warn: (text) => ending.warn(text), clear: () => ending.clear() });
  const notices = new Notices(stack);
  const people = new People(document.getElementById("people-panel"), {
    end: (name) => make(`visa/members/${encodeURIComponent(name)}`, "DELETE"),
    endAll: () => make("visa/members", "DELETE"),
    sharing,
  });
  follow(
    (options) => openCall("visa/news", options),
    (news) => {
      if (over) return location.reload();
      if (news.role !== role) becomeAnother(words.changeOf(last ?? { role }, news));
      else if (last === null && words.awayOf(news)) say(words.awayOf(news));
      if (last !== null && last.ends !== news.ends) refresh();
      const out = words.newlyOut(last, news);
      if (out.length > 0) say(words.putOut(out));
      ending.mayExtend(news.may_extend > 0);
      last = news;
      requests.show(news.requests ?? []);
      notices.show(news.notices ?? []);
      banner.show(news);
      people.show(news);
      const here = People.count(news);
      count.textContent = String(here);
      button.setAttribute("aria-label", here === 1 ? "Members: 1 other is here" : `Members: ${here} others are here`);
    },
    ended,
  );
}
