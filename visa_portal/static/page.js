// What the pages' modules share: asking for a fragment, telling a screen reader, showing times.

export const prefix = document.body.dataset.prefix;
const xsrf = document.body.dataset.xsrf;

/** Ask the portal. A login that has ended reloads the page, which leads to a new one. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const response = await fetch(prefix + path, {
    credentials: "same-origin",
    cache: "no-store",
    headers: { "X-XSRFToken": xsrf, ...headers },
    ...options,
  });
  if (response.status === 401) logInAgain();
  return response;
}

function logInAgain() {
  const last = Number(sessionStorage.getItem("visa-login") || 0);
  if (Date.now() - last < 60000) return; // once a minute, so that a fault is no endless reload
  sessionStorage.setItem("visa-login", String(Date.now()));
  location.reload();
}

/** HTML that our own server escaped, as nodes. */
export function nodes(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

export function announce(words) {
  document.getElementById("announce").textContent = words;
}

export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** Day and time as the reader's language writes them. */
export const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hours = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function left(until) {
  const minutes = Math.floor((until - Date.now()) / 60000);
  return minutes < 0 ? "at its end" : duration(minutes);
}

/** Minutes as words: "3 h 12 min". */
export function duration(minutes) {
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} days ${hours % 24} h` : `${hours / 24} days`;
}

/** A time of today as one says it; with the day when it is another. */
function clock(when) {
  const today = when.toDateString() === new Date().toDateString();
  return today ? hours.format(when) : `${days.format(when)}, ${hours.format(when)}`;
}

/** Every time in the browser's own zone, and what is left counted anew. */
export function showTimes(root = document) {
  for (const told of root.querySelectorAll("[data-told]")) {
    const words = localised(told.dataset.told);
    if (told.textContent !== words) told.textContent = words;
  }
  for (const time of root.querySelectorAll("time[data-clock]")) {
    time.textContent = clock(new Date(time.dateTime));
  }
  for (const time of root.querySelectorAll("time[data-moment]")) {
    time.textContent = moment.format(new Date(time.dateTime));
  }
  for (const time of root.querySelectorAll("time[data-left]")) {
    time.textContent = left(new Date(time.dateTime));
    time.title = `Until ${moment.format(new Date(time.dateTime))}`;
  }
}

const UTC = /(?:\b(\d{1,2} [A-Z][a-z]{2} \d{4}), )?\b(\d{2}:\d{2}) UTC\b/g;

/** Words of the hub's with its times in the browser's own zone: it says "14:05 UTC" of today, and else the day too. */
export function localised(words) {
  const today = new Date().toISOString().slice(0, 10);
  return words.replace(UTC, (said, day, time) => {
    const when = new Date(day ? `${day} ${time} UTC` : `${today}T${time}:00Z`);
    return Number.isNaN(when.getTime()) ? said : clock(when);
  });
}

/** A part as the server sent it: without what scripts and people have changed on it, to be compared. */
export function plain(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) {
    time.textContent = "";
    time.removeAttribute("title");
  }
  for (const told of copy.querySelectorAll("[data-told]")) told.textContent = told.dataset.told;
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  for (const busy of copy.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  copy.querySelector("#refused")?.remove();
  return copy.outerHTML.replace(/\s+/g, " ");
}
