// The decoded pictures, exactly above noVNC's own: that one keeps mouse, keyboard, pointer, size and place.

export class Overlay {
  #canvas = document.createElement("canvas");
  #below = null;
  #pen = this.#canvas.getContext("2d", { alpha: false, desynchronized: true });
  #next = null;
  #asked = 0;
  #watching = new ResizeObserver(() => this.#place());
  #room;
  /** `room`: what lies above all of noVNC's, and lets mouse and touch through. */
  constructor(room) {
    this.#room = room;
    this.#canvas.hidden = true;
    room.append(this.#canvas);
  }

  /** Lie above this canvas from now on. */
  cover(below) {
    this.#watching.disconnect();
    this.#below = below;
    this.#watching.observe(below);
    this.#watching.observe(this.#room);
    // In its own size, a desktop larger than the window is scrolled.
    below.parentElement.addEventListener("scroll", () => this.#place());
    this.#place();
  }

  /** Draw a picture at the browser's next one; only the newest is, when several come in between. Closes it. */
  draw(frame) {
    this.#next?.close();
    this.#next = frame;
    this.#asked ||= requestAnimationFrame(() => this.#paint());
  }

  /** Take the pictures away: what is below is right. */
  clear() {
    cancelAnimationFrame(this.#asked);
    this.#asked = 0;
    this.#next?.close();
    this.#next = null;
    this.#canvas.hidden = true;
  }

  #paint() {
    this.#asked = 0;
    const frame = this.#next;
    this.#next = null;
    const { displayWidth: width, displayHeight: height } = frame;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#pen.drawImage(frame, 0, 0);
    frame.close();
    if (!this.#canvas.hidden) return;
    this.#canvas.hidden = false;
    this.#place();
  }

  #place() {
    if (this.#below === null) return;
    const { style } = this.#canvas;
    const box = this.#below.getBoundingClientRect();
    for (const side of ["left", "top", "width", "height"]) style[side] = `${box[side]}px`;
  }
}
