// The desktop's page.

import * as clipboard from "./clipboard.js";
import { connect, current, hurry } from "./connection.js";
import * as members from "./members.js";
import * as notice from "./notice.js";
import * as picturepanel from "./picturepanel.js";
import * as pictures from "./pictures.js";
import * as session from "./session.js";
import * as toolbar from "./toolbar.js";
import * as typing from "./typing.js";

const viewer = document.body.dataset.role === "viewer";

/** Set a new connection up as chosen. The VNC server itself ignores a viewer; this spares the messages. */
function prepare(rfb, socket) {
  rfb.viewOnly = viewer;
  rfb.qualityLevel = pictures.USUAL;
  rfb.compressionLevel = 2;
  toolbar.applySize(rfb);
  pictures.join(rfb, socket);
}

const EVERY = 60000;
const WHILE_STILL = 5000;
const STILL =
  "The picture is as it was. A session that was suspended, or whose machine has too much to do, goes on where it was; " +
  "My sessions says how it stands.";
let still = false;

/** A session that stands still keeps its connections, and answers nothing: nobody else would notice. */
async function look() {
  if (!members.isOver()) {
    // Asked twice, since what is only slow is no reason to hide the desktop.
    const silent = async () => (await session.refresh()).status === 0 && current() !== null && navigator.onLine;
    const is = (await silent()) && (await silent()) && !members.isOver();
    if (is) notice.say("This session does not answer at the moment.", { detail: STILL, still: true });
    else if (still && current() !== null && !members.isOver()) notice.clear();
    still = is;
  }
  setTimeout(look, still ? WHILE_STILL : EVERY);
}

connect(prepare);
toolbar.setUp();
pictures.setUp();
picturepanel.setUp();
clipboard.setUp();
typing.setUp();
members.setUp();
session.showTime();
setInterval(session.showTime, 15000);
setTimeout(look, EVERY);
window.addEventListener("online", () => hurry(prepare));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) hurry(prepare);
});
