// The desktop's page.

import * as clipboard from "./clipboard.js";
import { connect, hurry } from "./connection.js";
import * as members from "./members.js";
import * as session from "./session.js";
import * as toolbar from "./toolbar.js";
import * as typing from "./typing.js";

const viewer = document.body.dataset.role === "viewer";

/** Set a new connection up as chosen. The VNC server itself ignores a viewer; this spares the messages. */
function prepare(rfb) {
  rfb.viewOnly = viewer;
  rfb.qualityLevel = 6;
  rfb.compressionLevel = 2;
  toolbar.applySize(rfb);
}

connect(prepare);
toolbar.setUp();
clipboard.setUp();
typing.setUp();
members.setUp();
session.showTime();
setInterval(session.showTime, 15000);
setInterval(session.refresh, 60000);
window.addEventListener("online", () => hurry(prepare));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) hurry(prepare);
});
