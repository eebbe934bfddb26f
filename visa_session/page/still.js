// A still picture is VNC's, exact; what moves is the video's. The video tells when: it sends nothing while
// nothing changes, little when little does. VNC then brings what has changed since it was last asked.

/** Milliseconds without a picture after which nothing moves, at least and at most. */
const STILL = 400;
const LONGEST = 1200;
/** The same in pictures: on a thin line they come seldom. */
const PICTURES = 3;
/** Bytes of video within about half a second from which something moves. */
const MUCH = 24000;
const FADES = 500;

export class Still {
  #quiet;
  #level = 0;
  #at = 0;
  #between = 0;
  #timer = 0;
  #asking = false;
  #news = false;
  /** Whether what moves is shown. */
  moves = true;

  /** `quiet`: VNC's; `settled()` when VNC has brought what stands still. */
  constructor(quiet, settled) {
    this.#quiet = quiet;
    this.settled = settled;
    quiet.ondrawn = () => this.#drawn();
  }

  /** A picture of so many bytes has come of the video, at a time in milliseconds. */
  arrived(size, at) {
    const since = at - this.#at;
    this.#at = at;
    this.#news = true;
    this.#level = this.#level * Math.exp(-since / FADES) + size;
    if (this.#level > MUCH) {
      this.moves = true;
      this.#asking = false;
      this.#quiet.on = true;
    }
    if (this.moves) {
      this.#between = (3 * this.#between + Math.min(LONGEST, since)) / 4;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), Math.min(LONGEST, Math.max(STILL, PICTURES * this.#between)));
    } else if (!this.#asking) this.#ask();
  }

  close() {
    clearTimeout(this.#timer);
    this.#quiet.ondrawn = () => {};
  }

  #ask() {
    clearTimeout(this.#timer);
    this.#asking = true;
    this.#news = false;
    this.#quiet.ask();
  }

  /** VNC has brought what it was asked for; what has changed meanwhile is asked for anew. */
  #drawn() {
    if (!this.#asking) return;
    clearTimeout(this.#timer);
    if (this.moves) {
      this.moves = false;
      this.settled();
    }
    if (this.#news) {
      this.#ask();
      return;
    }
    this.#asking = false;
    this.#quiet.on = true;
  }
}
