// The stream of pictures: its socket, and what is said there. Nothing but pictures: see quiet.js.

import { Decoder } from "./decoder.js";

const { base } = document.body.dataset;
/** The first byte of a picture, and where the bytes of the picture itself begin. */
const PICTURE = 4;
const HEAD = 12;
const KEY = 1;
/** Milliseconds until the first picture counts as failed; between two requests for one that stands by itself. */
const PATIENCE = 15000;
const ASK_AGAIN = 500;

export class Film {
  #socket;
  #decoder;
  #asked = 0;
  #timer = 0;
  #waits = true;
  #over = false;

  /** `arrived(bytes)` hears of each picture, `drawn(frame)` gets it decoded; `begun()` at the server's first word; `ended(words, code)` once, whatever happened. */
  constructor({ arrived, drawn, begun, ended }) {
    this.arrived = arrived;
    this.ended = ended;
    this.#decoder = new Decoder({
      shown: (frame) => {
        this.#waits = false;
        clearTimeout(this.#timer);
        drawn(frame);
      },
      lost: () => this.#askForKey(),
      failed: (error) => this.#end(`The browser could not decode the pictures: ${error.message}`),
    });
    const url = new URL(`${base}visa/stream/socket`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(url.href);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("message", ({ data }) => this.#take(data));
    this.#socket.addEventListener("message", begun, { once: true });
    this.#socket.addEventListener("close", ({ reason, code }) => this.#end(reason, code));
    this.#expect();
  }

  /** Pictures that wait to be decoded. */
  get waiting() {
    return this.#decoder.waiting;
  }

  /** Ask for no more than so many pictures a second. */
  pace(rate) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(`PACE ${rate}`);
  }

  /** Have no pictures sent for a while, or again. */
  pause(on) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(on ? "STOP_VIDEO" : "START_VIDEO");
    if (on) clearTimeout(this.#timer);
    else this.#expect();
  }

  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    this.#decoder.close();
  }

  #expect() {
    clearTimeout(this.#timer);
    if (this.#waits) this.#timer = setTimeout(() => this.#end("No picture came."), PATIENCE);
  }

  #end(words, code = 0) {
    if (this.#over) return;
    this.close();
    this.ended(words, code);
  }

  #take(data) {
    if (this.#over) return;
    if (typeof data === "string") {
      if (data.startsWith("PIPELINE_RESETTING")) this.#decoder.reset();
      return;
    }
    const bytes = new Uint8Array(data);
    if (bytes.length <= HEAD || bytes[0] !== PICTURE) return;
    this.arrived(bytes.length);
    this.#decoder.push(bytes.subarray(HEAD), (bytes[1] & 7) === KEY);
  }

  #askForKey() {
    const now = performance.now();
    if (now - this.#asked < ASK_AGAIN || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#asked = now;
    this.#socket.send("REQUEST_KEYFRAME");
  }
}
