// How many pictures a second this computer can show, by how many wait to be decoded. Told, like choice.js.
// Each change has the encoder begin anew, with a whole picture: so there are few, and none while little moves.

/** Pictures a second that may be asked for. */
export const RATES = [60, 40, 26, 17, 11];
/** Pictures that wait from which it is behind, and up to which it has time to spare. */
const BEHIND = 8;
const SPARE = 2;
/** How much of a rate must come for a look to say whether there is time to spare. */
const FULL = 0.7;
/** Looks with time to spare before more are asked for, at first and at most: twice as many each time that was too much. */
const LOOKS = 10;
const MOST_LOOKS = 160;

export class Pace {
  #at = 0;
  #spare = 0;
  #looks = LOOKS;
  #tried = false;

  get rate() {
    return RATES[this.#at];
  }

  /** A look: pictures a second that came since the last one, and how many waited at most meanwhile; whether the rate has changed. */
  look(came, waited) {
    const before = this.#at;
    if (waited > BEHIND) this.#less(came);
    else if (waited <= SPARE && came >= FULL * this.rate) this.#more();
    return this.#at !== before;
  }

  /** The next rate that it has shown to be too much for it, or the one below. */
  #less(came) {
    if (this.#tried) this.#looks = Math.min(MOST_LOOKS, 2 * this.#looks);
    this.#tried = false;
    this.#spare = 0;
    const fits = RATES.findIndex((rate, at) => at > this.#at && rate <= came);
    this.#at = fits < 0 ? RATES.length - 1 : fits;
  }

  #more() {
    if (this.#at === 0 || ++this.#spare < this.#looks) return;
    this.#spare = 0;
    this.#tried = true;
    this.#at -= 1;
  }
}
