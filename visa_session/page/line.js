// How good the line is: the round trip, and how much it passes.

import { PLENTY } from "./choice.js";
import { open } from "./session.js";

/** Bytes asked for at first, and where the line is fast enough that these tell nothing. */
const FEW = 16 * 1024;
const MANY = 256 * 1024;
/** Milliseconds that the few take on a line on which the many would be in the way. */
const SLOW = 100;
const TRIPS = 3;
/** Of a line that passes the many in less than this, the best of so many looks counts: a busy computer looks like
 * a thin line, never like a fast one. */
const QUICK = 250;
const LOOKS = 3;
const FAR = 30;
const LIMIT = 20000;

/** What the browser's network part noted of a request, which it tells a little after its end. */
function timing(url) {
  return new Promise((resolve, reject) => {
    const observer = new PerformanceObserver((list) => {
      const [entry] = list.getEntriesByName(url);
      if (entry === undefined) return;
      observer.disconnect();
      resolve(entry);
    });
    observer.observe({ type: "resource", buffered: true });
    setTimeout(() => {
      observer.disconnect();
      reject(new Error("the browser noted no times"));
    }, LIMIT);
  });
}

/** Milliseconds until the first byte came and from then to the last one, as the browser's network part saw it. */
async function ask(bytes) {
  const path = `visa/line/probe?bytes=${bytes}&at=${performance.now()}`;
  const answer = await open(path, { signal: AbortSignal.timeout(LIMIT) });
  if (!answer.ok) throw new Error(`the line was not measured: ${answer.status}`);
  let [half, last, count] = [0, 0, 0];
  const reader = answer.body.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    count += piece.value.length;
    last = performance.now();
    if (count < bytes / 2) half = last;
  }
  const seen = await timing(answer.url);
  const whole = seen.responseEnd - seen.responseStart;
  return { trip: seen.responseStart - seen.requestStart, whole, half: half === 0 ? whole : last - half };
}

const megabits = (bytes, milliseconds) => (bytes * 8) / 1000 / Math.max(0.5, milliseconds);

/** `{trip, rate}`: milliseconds there and back, megabits a second; null when nothing answers as it should. */
export async function measure() {
  try {
    let trip = Infinity;
    for (let i = 0; i < TRIPS; i++) trip = Math.min(trip, (await ask(0)).trip);
    const few = await ask(FEW);
    if (few.whole > SLOW) return { trip, rate: megabits(FEW, few.whole) };
    let rate = 0;
    for (let looks = 0; looks < LOOKS; looks++) {
      const many = await ask(MANY);
      rate = Math.max(rate, megabits(MANY, many.whole));
      // On a long way the beginning is slow, whatever the line: its second half tells. Nearby the page's own
      // clock is the less certain one.
      if (trip > FAR) rate = Math.max(rate, megabits(MANY / 2, many.half));
      if (rate > PLENTY || many.whole > QUICK) break;
    }
    return { trip, rate };
  } catch {
    return null;
  }
}
