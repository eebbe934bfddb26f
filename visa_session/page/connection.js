// The stream: connects, says what happens, and connects again by itself.

import RFB from "@novnc/novnc";
import * as members from "./members.js";
import * as notice from "./notice.js";
import { refresh } from "./session.js";

const { base } = document.body.dataset;
const screen = document.getElementById("screen");
const LONGEST_WAIT = 10000;
const NOT_RUNNING = "It was stopped, or its time is up. Files in your home directory and in processed data are kept.";

let rfb = null;
let attempts = 0;
let timer = null;
let wasConnected = false;
const listeners = [];

/** The connection there is now, or null. */
export const current = () => rfb;

/** Call `listener(rfb)` with each new connection, once it shows a picture. */
export function onConnect(listener) {
  listeners.push(listener);
}

function address() {
  const url = new URL(base + "desktop/socket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** Connect, unless we are; `prepare(rfb, socket)` comes before anything is said on the socket. */
export function connect(prepare) {
  clearTimeout(timer);
  timer = null;
  if (rfb !== null) return;
  const socket = new WebSocket(address());
  let why = "";
  socket.addEventListener("close", (event) => {
    why = event.reason;
  });
  const made = new RFB(screen, socket, { shared: true });
  rfb = made;
  made.background = "transparent";
  made.addEventListener("connect", () => {
    attempts = 0;
    wasConnected = true;
    notice.clear();
    performance.mark("desktop-connected");
    for (const listener of listeners) listener(made);
  });
  made.addEventListener("disconnect", () => {
    rfb = null;
    lost(why, prepare);
  });
  prepare(made, socket);
}

/** Say what is the matter, as far as the server tells, and try again, later each time. */
async function lost(why, prepare) {
  const again = () => {
    if (rfb === null) connect(prepare);
  };
  attempts += 1;
  const wait = Math.min(LONGEST_WAIT, 400 * 2 ** Math.min(attempts - 1, 6)) * (0.8 + 0.4 * Math.random());
  timer = setTimeout(again, wait);
  if (attempts === 1) {
    notice.say(wasConnected ? "Connection lost, trying again…" : "Starting the desktop…", { detail: why, retry: again });
  }
  const { status, body } = await refresh();
  if (rfb !== null) return;
  if (status === 200) {
    const { state, words } = body.desktop;
    if (state === "running") notice.say("Connection lost, trying again…", { detail: why, retry: again });
    else if (state === "failed") notice.say("The desktop did not start, trying again…", { detail: words, retry: again });
    else notice.say("Starting the desktop again…", { detail: words || why, retry: again });
  } else if (status === 401 || status === 403) {
    clearTimeout(timer);
    timer = null;
    members.ended();
  } else if ([302, 404, 424].includes(status)) {
    // The hub answers in its place. Should it only have forgotten the way for a moment, we come back by ourselves.
    notice.say("This session is not running.", { detail: NOT_RUNNING, still: true, retry: again });
  }
}

/** Try at once when something suggests that it may work now. */
export function hurry(prepare) {
  if (timer !== null && rfb === null) connect(prepare);
}
