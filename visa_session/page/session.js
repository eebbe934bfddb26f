// What the session's server says about the session, and the time it has left.

import { Ending } from "../labextensions/visa-session/static/ending.js";

const { base, xsrf, secondsLeft } = document.body.dataset;
const time = document.getElementById("time");
const timeWords = document.getElementById("time-words");
const SHORT = 15 * 60;

let ends = secondsLeft === "" ? null : Date.now() + 1000 * Number(secondsLeft);
let ending = null;

/** Warn before the end, by what is given to `Ending`. */
export function warn(tell) {
  ending = new Ending(tell);
  ending.set(document.body.dataset.ends, secondsLeft === "" ? null : (ends - Date.now()) / 1000);
}

/** A request to the session's server, with what proves that it comes from this page. */
export function open(path, options = {}) {
  return fetch(base + path, { ...options, headers: { "X-XSRFToken": xsrf, "Content-Type": "application/json" } });
}

/** Ask the session's server; `{status, body}`, status 0 when nothing answers, 302 when the hub does instead. */
export async function call(path, options = {}) {
  try {
    const answer = await open(path, { ...options, redirect: "manual", signal: AbortSignal.timeout(10000) });
    if (answer.type === "opaqueredirect") return { status: 302, body: null };
    const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    return { status: answer.status, body: isJson ? await answer.json() : null };
  } catch {
    return { status: 0, body: null };
  }
}

/** The session as it is now; keeps the time left up to date. */
export async function refresh() {
  const { status, body } = await call("visa/session");
  if (status === 200 && body) {
    ends = body.seconds_left === null ? null : Date.now() + 1000 * body.seconds_left;
    ending?.set(body.ends, body.seconds_left);
    showData(body.experiments);
    showTime();
  }
  return { status, body };
}

/** The experiments whose data came or went since the page was loaded. */
function showData(experiments) {
  const ids = document.querySelector("#about .ids");
  if (ids) ids.textContent = experiments.map((one) => one.id).join(", ");
}

function inWords(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (seconds <= 0) return "Time is up";
  if (minutes < 1) return "Less than a minute left";
  if (minutes < 60) return `${minutes} min left`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min left` : `${Math.floor(hours / 24)} days left`;
}

export function showTime() {
  time.hidden = ends === null;
  if (ends === null) return;
  const seconds = Math.round((ends - Date.now()) / 1000);
  timeWords.textContent = inWords(seconds);
  time.classList.toggle("short", seconds < SHORT);
}
