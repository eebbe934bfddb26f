// Parts of a page that follow what happens. Each has an id and `data-part`; what has not changed stays as it
// is, and so does whoever is on a button or writing in a field.
import { announce, ask, nodes, showTimes } from "./page.js";

const SOON = 2000; // while something moves or somebody waits
const CALM = 8000;
const connection = document.getElementById("connection");
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** How long something has been running, beside the times that page.js shows. */
function showSince() {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const minutes = Math.max(0, Math.floor((Date.now() - new Date(time.dateTime)) / 60000));
    const hours = Math.floor(minutes / 60);
    time.textContent =
      minutes < 60 ? `${minutes} min` : hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
    time.title = `Since ${moment.format(new Date(time.dateTime))}`;
  }
}

function tidy() {
  showTimes();
  showSince();
  for (const log of document.querySelectorAll("[data-tail]")) log.scrollTop = log.scrollHeight;
}

/** Whether somebody is writing in this part: it is left alone until they have finished. */
function busy(part) {
  const field = part.contains(document.activeElement) && document.activeElement;
  const written = [...part.querySelectorAll("input:not([type=hidden]), textarea")].some(
    (one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked,
  );
  return written || (field && field.matches("input:not([type=radio]), textarea"));
}

/** Follow `place.dataset.live`, a path of the portal; `query()` is added to it. Returns "look now". */
export function follow(place, query = () => "") {
  const served = new Map([...place.querySelectorAll("[data-part]")].map((part) => [part.id, part.outerHTML]));
  let etag = "";
  let timer = 0;
  let failures = 0;
  let asked = 0;

  const moving = () =>
    place.querySelector('.state:is([data-state="starting"],[data-state="stopping"]), .ask-card[data-state="open"], #join[data-state="open"]');

  function plan() {
    clearTimeout(timer);
    const pause = failures ? Math.min(30000, SOON * 2 ** failures) : moving() ? SOON : CALM;
    timer = setTimeout(look, document.hidden ? 4 * pause : pause);
  }

  async function look() {
    const number = (asked += 1);
    try {
      const response = await ask(place.dataset.live + query(), { headers: etag ? { "If-None-Match": etag } : {} });
      const html = response.status === 200 ? await response.text() : "";
      if (number !== asked) return; // somebody has typed on: that answer comes later
      if (response.status === 200) {
        if (show(nodes(html))) etag = response.headers.get("ETag") || "";
      } else if (response.status !== 304) {
        throw new Error(await response.text());
      }
      if (failures) announce("The page is up to date again.");
      failures = 0;
      connection.hidden = true;
    } catch (error) {
      if (number !== asked) return;
      failures = Math.min(failures + 1, 4);
      connection.textContent =
        (error instanceof TypeError ? "No connection. " : `${error.message} `) +
        "What you see may be out of date. This page tries again by itself.";
      connection.hidden = false;
    }
    plan();
  }

  /** Put in the parts that have changed; whether all could be. */
  function show(fresh) {
    let all = true;
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = document.getElementById(part.id);
      if (!old || served.get(part.id) === part.outerHTML) continue;
      if (busy(old)) {
        all = false;
        continue;
      }
      const key = old.contains(document.activeElement) && document.activeElement.dataset.key;
      if (part.dataset.say && part.dataset.say !== old.dataset.say) announce(part.dataset.say);
      served.set(part.id, part.outerHTML);
      old.replaceWith(part);
      if (key) (part.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? part.querySelector("[data-key]"))?.focus();
    }
    tidy();
    return all;
  }

  tidy();
  setInterval(() => (showTimes(), showSince()), 20000);
  document.addEventListener("visibilitychange", () => document.hidden || look());
  window.addEventListener("pageshow", (event) => event.persisted && look());
  plan();
  return look;
}

/** The search form: looks as one types, and keeps the address in step. */
export function finder(form, look) {
  let timer = 0;
  const now = () => {
    const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
    look();
  };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(now, event.target.matches("select") ? 0 : 250);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    now();
  });
}

document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) event.submitter?.setAttribute("aria-busy", "true");
});
