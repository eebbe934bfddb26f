// How many pictures a second this computer can show, by how many wait to be decoded. Told, like choice.js.

/** Pictures a second, at most and at least. */
export const MOST = 60;
export const LEAST = 10;
/** Pictures that wait from which it is behind, and up to which it has time to spare. */
const BEHIND = 8;
const SPARE = 2;
/** How much less is asked for then, and how many more after so many looks with time to spare. */
const LESS = 0.85;
const MORE = 6;
const LOOKS = 2;

export class Pace {
  #rate = MOST;
  #spare = 0;

  get rate() {
    return this.#rate;
  }

  /** A look: pictures a second that came since the last one, and how many waited at most meanwhile; whether the rate has changed. */
  look(came, waited) {
    const before = this.#rate;
    this.#spare = waited <= SPARE ? this.#spare + 1 : 0;
    if (waited > BEHIND) this.#rate = Math.max(LEAST, Math.round(Math.min(this.#rate, came) * LESS));
    else if (this.#spare >= LOOKS) {
      this.#spare = 0;
      this.#rate = Math.min(MOST, this.#rate + MORE);
    }
    return this.#rate !== before;
  }
}
