// On every page: times in the browser's zone, and the notices on top. New ones appear by themselves, a message
// goes when it is dismissed.
import { announce, ask, nodes, showTimes } from "./page.js";
import { isTold, told } from "./pulse.js";

// Milliseconds between two looks where nobody tells, and where what changes is told: support may ask to join, wherever
// one is.
const OFTEN = 5000;
const SELDOM = 300000;
// A page that has the requests themselves needs no notice of them.
const path = document.querySelector("#sessions, #share") ? "notices?answering=1" : "notices";
const place = () => document.getElementById("notices");
let etag = "";
let lookedAt = performance.now();

const words = (notice) => notice.querySelector("p").textContent.trim();

async function look() {
  if (document.hidden) return;
  lookedAt = performance.now();
  try {
    const response = await ask(path, { headers: etag ? { "If-None-Match": etag } : {} });
    if (response.status !== 200) return;
    etag = response.headers.get("ETag") || "";
    show(nodes(await response.text()).querySelector("#notices"));
  } catch {
    // The page says by itself when there is no connection; the next look tries again.
  }
}

/** Put in what is new and take out what is over; whoever is on a button stays on it. */
function show(fresh) {
  const ids = new Set([...fresh.children].map((notice) => notice.dataset.notice));
  const known = new Set();
  for (const notice of [...place().children]) {
    if (ids.has(notice.dataset.notice)) known.add(notice.dataset.notice);
    else notice.remove();
  }
  const added = [...fresh.children].filter((notice) => !known.has(notice.dataset.notice));
  place().prepend(...added);
  showTimes(place());
  if (added.length) announce(added.map(words).join(" "));
}

document.addEventListener("submit", async (event) => {
  const notice = event.target.closest("#notices [data-notice]");
  if (!notice) return;
  event.preventDefault();
  event.submitter?.setAttribute("aria-busy", "true");
  const path = new URL(event.target.action).pathname.slice(document.body.dataset.prefix.length);
  try {
    const response = await ask(path, { method: "POST" });
    if (!response.ok) throw new Error(await response.text());
    notice.remove();
    document.getElementById("main").focus();
    announce("Dismissed");
  } catch {
    event.target.submit(); // the page that answers says what is wrong
  }
});

showTimes();
told(look);
setInterval(() => {
  if (!isTold() || performance.now() - lookedAt > SELDOM) look();
}, OFTEN);
document.addEventListener("visibilitychange", look);
