// Which of the two streams suits the line. Nothing here looks at the page or the clock: it is told.

export const SHARP = "sharp";
export const FLUENT = "fluent";
export const AUTOMATIC = "automatic";

/** Megabits a second below which VNC's pictures get stuck, and from which they surely do not. */
export const LITTLE = 40;
export const PLENTY = 80;
/** Milliseconds that a change lasts at least; twice as long after each further one, up to the longest. */
const LASTS = 30000;
const LONGEST = 600000;
/** How often the line must have said the same before anything changes because of it. */
const TWICE = 2;

export class Choice {
  #now;
  #other = 0;
  #measured = 0;
  #changes = 0;
  #changedAt = -Infinity;
  #failures = 0;
  #failedUntil = -Infinity;

  /** `begin`: what was right the last time, until the line is measured. */
  constructor(begin = SHARP) {
    this.#now = begin;
  }

  /** The line as measured at a time in milliseconds. */
  line({ rate }, at) {
    const suits = rate < LITTLE ? FLUENT : rate > PLENTY ? SHARP : this.#now;
    this.#measured += 1;
    this.#other = suits === this.#now ? 0 : this.#other + 1;
    const settled = this.#measured === 1 || this.#other >= TWICE;
    if (suits === this.#now || !settled || at - this.#changedAt < this.#lasts()) return;
    this.#now = suits;
    this.#other = 0;
    this.#changes += 1;
    this.#changedAt = at;
  }

  /** Whether the line said something else the last time, and has to say so again. */
  get unsure() {
    return this.#other > 0;
  }

  /** Milliseconds that what is used now lasts at least. */
  #lasts() {
    return this.#changes === 0 ? 0 : Math.min(LONGEST, LASTS * 2 ** (this.#changes - 1));
  }

  /** The fluent stream failed, or the browser cannot keep up with it: not again at once. */
  failed(at) {
    this.#failures += 1;
    this.#failedUntil = at + Math.min(LONGEST, 5000 * 4 ** (this.#failures - 1));
  }

  /** It has run for so long that earlier failures count no more. */
  runs() {
    this.#failures = 0;
  }

  /** When a failed stream may be tried again. */
  get again() {
    return this.#failedUntil;
  }

  /** What to use at a time, by the person's own choice, where it is possible at all. */
  use(chosen, possible, at) {
    if (!possible || at < this.#failedUntil) return SHARP;
    return chosen === AUTOMATIC ? this.#now : chosen;
  }
}
