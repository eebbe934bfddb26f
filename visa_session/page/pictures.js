// Which of the two streams draws the desktop, and the change from one to the other. VNC's connection is always
// there and does all but that; see quiet.js.

import { AUTOMATIC, Choice, FLUENT, SHARP } from "./choice.js";
import { canDecode } from "./decoder.js";
import { Film } from "./film.js";
import { measure } from "./line.js";
import { Overlay } from "./overlay.js";
import { Pace } from "./pace.js";
import { Quiet } from "./quiet.js";
import { recall, remember } from "./remembered.js";
import { call } from "./session.js";
import { Still } from "./still.js";

const CHOSEN = "visa-desktop-picture";
const LAST = "visa-desktop-picture-last";
/** The stream's end when the screen has another size: it is there again at once. */
const RESIZED = 4502;
/** Milliseconds between two measurements of the line, and when one said something new. */
const LOOK = 60000;
const LOOK_AGAIN = 10000;
/** How often the decoder is looked at, how many pictures it may be behind, and for how many looks. */
const WATCH = 2000;
const BEHIND = 12;
/** Milliseconds between two looks at how many pictures wait. */
const PACE = 500;
const LOOKS = 3;
/** VNC's quality, of 9: of each picture, and of those that stand still alone. */
export const USUAL = 6;
const FINE = 8;
/** How hard VNC packs, of 9: as noVNC has it; and so little that its server compares no picture with the last. */
const PACKED = 2;
const FAST = 1;
/** Milliseconds after which a page that nobody looks at gives its place at the stream to others. */
const HIDDEN = 60000;
/** Milliseconds after which a stream has shown that it works. */
const WORKS = 60000;

const choice = new Choice(recall(LAST) === FLUENT ? FLUENT : SHARP);
const overlay = new Overlay(document.getElementById("film"));
const listeners = [];
let chosen = [AUTOMATIC, SHARP, FLUENT].includes(recall(CHOSEN)) ? recall(CHOSEN) : AUTOMATIC;
let connected = false;
let quiet = null;
let vnc = null;
let film = null;
let still = null;
let running = false;
let begunAt = 0;
let behind = 0;
let pace = null;
let came = 0;
let waited = 0;
let line = null;
let retry = 0;
let look = 0;
let leave = 0;
/** Why the fluent stream cannot be had, or did not work the last time; "" when nothing is the matter. */
let impossible = recall(LAST) === FLUENT ? "" : "It is not known yet whether it can be had.";
let failure = "";

/** Call `listener()` whenever what `state()` says changes. */
export function onChange(listener) {
  listeners.push(listener);
}

/** What is chosen, what is used, and why, as far as it can be said. */
export function state() {
  const used = running ? FLUENT : SHARP;
  return { chosen, used, line, impossible, failure };
}

/** The person's own choice, kept by the browser. */
export function choose(value) {
  chosen = value;
  remember(CHOSEN, value);
  failure = "";
  apply();
  if (chosen === AUTOMATIC) lookAtLine();
}

/** Join a new connection of noVNC's, before anything is sent on its socket. */
export function join(rfb, socket) {
  vnc = rfb;
  quiet = new Quiet(socket, recall(LAST) === FLUENT && chosen !== SHARP);
  rfb.addEventListener("connect", () => {
    connected = true;
    const canvas = document.querySelector("#screen canvas");
    quiet.follow(canvas);
    overlay.cover(canvas);
    apply();
    if (chosen === AUTOMATIC) lookAtLine();
  });
  rfb.addEventListener("disconnect", () => {
    connected = false;
    stop();
  });
}

export async function setUp() {
  setInterval(watch, WATCH);
  setInterval(keepUp, PACE);
  document.addEventListener("visibilitychange", seen);
  const [decodes, { status, body }] = await Promise.all([canDecode(), call("visa/stream")]);
  if (!decodes) impossible = "This browser cannot decode it.";
  else if (status === 200 && body?.offered) impossible = "";
  else impossible = body?.why || "This session does not offer it.";
  apply();
  if (chosen === AUTOMATIC) lookAtLine();
}

/** The page is looked at, or not any more: then it has no pictures sent, and after a while no stream. */
function seen() {
  clearTimeout(leave);
  film?.pause(document.hidden);
  if (document.hidden) leave = setTimeout(stop, HIDDEN);
  else if (film === null && connected) {
    quiet.on = false;
    apply();
  }
}

function told() {
  for (const listener of listeners) listener();
}

/** Make it as it is to be by now. */
function apply() {
  clearTimeout(retry);
  const now = performance.now();
  const wanted = choice.use(chosen, impossible === "", now);
  if (!connected) return;
  if (wanted === FLUENT) start();
  else {
    stop();
    quiet.on = false;
    if (choice.again > now && impossible === "") retry = setTimeout(apply, choice.again - now + 1);
  }
  told();
}

function start() {
  if (film !== null || document.hidden) return;
  begunAt = performance.now();
  behind = 0;
  pace = new Pace();
  came = 0;
  waited = 0;
  still = new Still(quiet, () => overlay.clear());
  film = new Film({
    begun: () => {
      quiet.on = true;
      if (document.hidden) film.pause(true);
    },
    arrived: (bytes) => {
      came += 1;
      waited = Math.max(waited, film.waiting);
      still.arrived(bytes, performance.now());
    },
    drawn: (frame) => {
      if (still.moves) overlay.draw(frame);
      else frame.close();
      if (!running) begun();
    },
    ended: failed,
  });
}

/** The first picture is there. VNC's are those that stand still by now: they may be finer. */
function begun() {
  running = true;
  vnc.qualityLevel = FINE;
  vnc.compressionLevel = FAST;
  failure = "";
  remember(LAST, FLUENT);
  told();
}

function stop() {
  film?.close();
  film = null;
  still?.close();
  if (running && connected) {
    vnc.qualityLevel = USUAL;
    vnc.compressionLevel = PACKED;
  }
  running = false;
  overlay.clear();
}

/** VNC at once, and the other stream again in a while: it is the line's or the server's to be well by then. */
function failed(words, code) {
  stop();
  if (code !== RESIZED) {
    failure = words || "The video has ended.";
    choice.failed(performance.now());
    remember(LAST, SHARP);
  }
  apply();
}

function watch() {
  if (film === null) return;
  if (performance.now() - begunAt > WORKS) choice.runs();
  behind = film.waiting > BEHIND ? behind + 1 : 0;
  if (behind >= LOOKS) {
    failed("This computer does not keep up with it.", 0);
  }
  told();
}

/** Ask for as many pictures as are shown in time. While none come, nothing is known. */
function keepUp() {
  if (film !== null && came > 0 && pace.look((1000 * came) / PACE, waited)) film.pace(pace.rate);
  came = 0;
  waited = 0;
}

async function lookAtLine() {
  clearTimeout(look);
  if (connected && !document.hidden && impossible === "") {
    const measured = await measure();
    if (measured !== null) {
      line = measured;
      choice.line(measured, performance.now());
      apply();
    }
  }
  clearTimeout(look);
  if (chosen === AUTOMATIC) look = setTimeout(lookAtLine, choice.unsure ? LOOK_AGAIN : LOOK);
}
