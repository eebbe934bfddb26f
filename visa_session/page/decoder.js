// H.264 as it comes from the stream, decoded by the browser.

/** A level that a screen of any size that is offered keeps to, main profile: only to ask whether there is a decoder. */
const ANY = "avc1.4D4033";
/** Pictures that wait for the decoder before those that come are left out, until one that stands by itself. */
const TOO_MANY = 24;
const SEQUENCE = 7;

/** Whether this browser can show the stream. */
export async function canDecode() {
  if (typeof VideoDecoder === "undefined") return false;
  try {
    return (await VideoDecoder.isConfigSupported({ codec: ANY, optimizeForLatency: true })).supported === true;
  } catch {
    return false;
  }
}

/** The codec's name as WebCodecs wants it, from a picture's own description of how it is coded; "" if it has none. */
export function codecOf(bytes) {
  for (let i = 0; i + 6 < bytes.length; i++) {
    if (bytes[i] !== 0 || bytes[i + 1] !== 0 || bytes[i + 2] !== 1) continue;
    if ((bytes[i + 3] & 31) !== SEQUENCE) continue;
    return `avc1.${[4, 5, 6].map((at) => bytes[i + at].toString(16).padStart(2, "0")).join("").toUpperCase()}`;
  }
  return "";
}

export class Decoder {
  #decoder = null;
  #codec = "";
  #waits = true;
  #count = 0;

  /** `shown(frame)` gets each picture and closes it; `lost()` asks for one that stands by itself; `failed(error)`. */
  constructor({ shown, lost, failed }) {
    this.shown = shown;
    this.lost = lost;
    this.failed = failed;
  }

  /** One picture, Annex B; `key` when it stands by itself. */
  push(bytes, key) {
    if (key) this.#begin(codecOf(bytes));
    else if (!this.#waits && this.#decoder.decodeQueueSize > TOO_MANY) this.#waits = true;
    if (this.#waits || this.#decoder?.state !== "configured") {
      this.lost();
      return;
    }
    const chunk = new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: this.#count++, data: bytes });
    try {
      this.#decoder.decode(chunk);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Pictures that wait to be decoded. */
  get waiting() {
    return this.#decoder?.decodeQueueSize ?? 0;
  }

  /** What comes next does not follow from what came: the stream begins anew. */
  reset() {
    this.#waits = true;
  }

  close() {
    if (this.#decoder !== null && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = null;
  }

  #begin(codec) {
    if (codec === "" && this.#decoder === null) return;
    this.#waits = false;
    if (codec === "" || codec === this.#codec) return;
    this.close();
    this.#codec = codec;
    this.#decoder = new VideoDecoder({ output: this.shown, error: this.failed });
    this.#decoder.configure({ codec, optimizeForLatency: true });
  }
}
