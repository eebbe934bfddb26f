// Being told when anything has changed that a person's pages show, in place of asking for all of it again and again.
//
// One call is held, by one tab of a browser for all of its tabs: it allows a host six connections at a time.
import { ask, sleep } from "./page.js";

const QUICK = 1000; // milliseconds between two calls at least, however soon the first was answered
const EARLY = 15000; // nothing has changed and it is answered sooner: a person holds too many calls, and this one gives way
const LONGEST = 60000;
const looks = new Set();
const tabs = "BroadcastChannel" in window ? new BroadcastChannel("visa-pulse") : null;

// What the page was made of; where its parts were made of different things, it is looked at anew.
const made = new Set([...document.querySelectorAll("[data-pulse]")].map((part) => part.dataset.pulse));
let pulse = made.size === 1 ? [...made][0] : "";
let holds = false;
let heardAt = performance.now();

/** Have `look` called whenever something has changed. */
export function told(look) {
  looks.add(look);
}

/** Whether changes are told; where they are not, one has to ask. */
export const isTold = () => performance.now() - heardAt < 90000;

function lookAnew() {
  for (const look of looks) look();
}

function take(fresh, anew = false) {
  heardAt = performance.now();
  if (fresh === pulse && !anew) return;
  pulse = fresh;
  lookAnew();
}

async function hold() {
  holds = true;
  for (let failures = 0, gaveWay = 0; ; ) {
    const began = performance.now();
    const before = pulse;
    try {
      const response = await ask(`pulse?after=${encodeURIComponent(pulse)}`);
      if (!response.ok) throw new Error(response.status);
      const fresh = (await response.json()).pulse;
      take(fresh, failures > 0);
      tabs?.postMessage(pulse);
      failures = 0;
      const took = performance.now() - began;
      gaveWay = fresh === before && took < EARLY ? gaveWay + 1 : 0;
      await sleep(gaveWay ? Math.min(LONGEST, 4000 * 2 ** gaveWay) : Math.max(0, QUICK - took));
    } catch {
      // Those who look say that there is no connection. Not all pages at once, when the service comes back.
      if (!failures) lookAnew();
      failures = Math.min(failures + 1, 4);
      heardAt = -Infinity;
      await sleep(Math.min(30000, 2000 * 2 ** failures) * (0.5 + Math.random()));
    }
  }
}

tabs?.addEventListener("message", ({ data }) => {
  if (data !== "?") take(data);
  else if (holds && isTold()) tabs.postMessage(pulse);
});
tabs?.postMessage("?"); // whoever holds the call may have been told something since this page was made

// The next tab holds it when this one is closed. Without locks, as on a site without TLS, each holds its own.
if (navigator.locks) navigator.locks.request("visa-pulse", hold);
else hold();
