// VNC's pictures, held back while the other stream brings them: its connection stays, for mouse, keyboard,
// clipboard and pointer, and for the moment when pictures are wanted of it again.

const ASK = 3;
const SEND_BY_ITSELF = 150;
/** Where the area stands in both messages, and the smallest that there is. */
const AREA = 2;
const ONE_PIXEL = [0, 0, 0, 0, 0, 1, 0, 1];

/** Watches what noVNC says on a socket. To be made before noVNC gets the socket. */
export class Quiet {
  #on;
  #send;
  #wanted = null;
  #never = true;
  #canvas = null;
  /** Called when a picture of VNC's, a part or the whole, is on noVNC's canvas. */
  ondrawn = () => {};

  /** `on`: whether to hold pictures back from the first one on. */
  constructor(socket, on) {
    this.#on = on;
    this.#send = socket.send.bind(socket);
    socket.send = (data) => this.#send(this.#changed(data));
  }

  /** noVNC's canvas: it draws each picture at once, when all of it is there. */
  follow(canvas) {
    this.#canvas = canvas;
    const pen = canvas.getContext("2d");
    const draw = pen.drawImage;
    pen.drawImage = (...what) => {
      draw.apply(pen, what);
      this.ondrawn();
    };
  }

  get on() {
    return this.#on;
  }

  set on(on) {
    if (on === this.#on) return;
    this.#on = on;
    if (this.#wanted !== null) this.#send(on ? onePixel(this.#wanted) : this.#wanted);
    if (!on) this.#askForMissing();
  }

  /** Have VNC send all that has changed. A picture comes for certain: a pixel is asked for, changed or not. */
  ask() {
    this.on = false;
    this.#send(Uint8Array.of(ASK, 0, ...ONE_PIXEL));
  }

  /** Who has never had a whole picture asks for one; later, the server knows what has changed meanwhile. */
  #askForMissing() {
    if (this.#canvas === null || (this.#wanted !== null && !this.#never)) return;
    const { width, height } = this.#canvas;
    const area = [0, 0, 0, 0, width >> 8, width & 255, height >> 8, height & 255];
    this.#send(Uint8Array.of(ASK, this.#never ? 0 : 1, ...area));
    this.#never = false;
  }

  /** What is sent in place of a message of noVNC's: each is one whole message of the RFB protocol. */
  #changed(data) {
    if (data.length !== 10 || (data[0] !== ASK && data[0] !== SEND_BY_ITSELF)) return data;
    if (data[0] === SEND_BY_ITSELF) this.#wanted = data.slice();
    if (this.#on) return onePixel(data);
    if (data[0] === ASK && data[1] === 0) this.#never = false;
    return data;
  }
}

const onePixel = (message) => Uint8Array.of(...message.subarray(0, AREA), ...ONE_PIXEL);
