// The desktop's page.

import * as clipboard from "./clipboard.js";
import { connect, hurry } from "./connection.js";
import * as members from "./members.js";
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

connect(prepare);
toolbar.setUp();
pictures.setUp();
picturepanel.setUp();
clipboard.setUp();
typing.setUp();
members.setUp();
session.showTime();
setInterval(session.showTime, 15000);
setInterval(() => members.isOver() || session.refresh(), 60000);
window.addEventListener("online", () => hurry(prepare));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) hurry(prepare);
});
