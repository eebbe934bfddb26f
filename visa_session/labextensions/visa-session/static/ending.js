// Warnings before a session ends, the same in the desktop's page and in JupyterLab: at 30 and at 5 minutes, once each.

import * as words from "./words.js";

const MARKS = [5, 30]; // minutes, the shortest first
const LOOK = 5000;
const KEPT = "visa-ending-said";

/**
 * `warn(words, more)` shows a warning in place of the one before, and says it aloud without taking the keyboard;
 * `clear()` takes it away. A page that is loaded again does not say again what it has said.
 */
export class Ending {
  constructor({ warn, clear }) {
    this.tell = { warn, clear };
    this.ends = "";
    this.at = null;
    this.shown = false;
    this.timer = setInterval(() => this.look(), LOOK);
  }

  /** When it ends, as the server says it, and how many seconds that is from now: clocks differ. */
  set(ends, secondsLeft) {
    this.at = secondsLeft === null ? null : Date.now() + 1000 * secondsLeft;
    if (ends !== this.ends && this.shown) this.clear();
    this.ends = ends;
    this.look();
  }

  look() {
    if (this.at === null) return;
    const minutes = (this.at - Date.now()) / 60000;
    const mark = MARKS.find((one) => minutes <= one);
    if (minutes <= 0) return this.clear();
    if (mark === undefined || this.said(mark)) return;
    this.shown = true;
    this.tell.warn(words.endsSoon(this.ends, minutes));
  }

  clear() {
    if (this.shown) this.tell.clear();
    this.shown = false;
  }

  /** Whether this end was warned of at this mark before; from now on it was. */
  said(mark) {
    const key = `${this.ends} ${mark}`;
    if (this.last === key) return true;
    this.last = key;
    try {
      if (sessionStorage.getItem(KEPT) === key) return true;
      sessionStorage.setItem(KEPT, key);
    } catch {
      // a browser that keeps nothing: it is said again when the page is loaded anew
    }
    return false;
  }

  dispose() {
    clearInterval(this.timer);
    this.clear();
  }
}
