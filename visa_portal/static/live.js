// Parts of a page that follow what happens. Each has an id and `data-part`; what has not changed stays as it
// is, and so does whoever is on a button or writing in a field.
import { follow } from "./follow.js";
import { announce, moment, showTimes } from "./page.js";

// Milliseconds between two looks: at one session, and at lists, which cost the hub more. Soon is while something
// moves or somebody waits.
const ONE = { soon: 2000, calm: 8000 };
const MANY = { soon: 5000, calm: 20000 };

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

/** Follow `place.dataset.live`, a path of the portal, with the query of the address; returns "look now". */
export function live(place) {
  const served = new Map([...place.querySelectorAll("[data-part]")].map((part) => [part.id, part.outerHTML]));
  const [pauses, moves] = place.querySelector("#join, #facts")
    ? [ONE, '.state:is([data-state="starting"],[data-state="stopping"]), #join[data-state="open"]']
    : [MANY, '.ask-card:is([data-state="open"],[data-state="accepted"])'];

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
      document.querySelector("main > .notice.good")?.remove(); // what was done has had its effect
      if (key) (part.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? part.querySelector("[data-key]"))?.focus();
    }
    tidy();
    return all;
  }

  tidy();
  setInterval(() => (showTimes(), showSince()), 20000);
  return follow(
    () => place.dataset.live + location.search,
    show,
    () => (place.querySelector(moves) ? pauses.soon : pauses.calm),
  );
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
