// "My sessions": the tiles follow what happens.
import { announce, plain, showTimes } from "./page.js";
import { follow } from "./follow.js";
import { isTold, told } from "./pulse.js";
import "./ask.js";

// Milliseconds until one looks again without having been told of anything: what only time changes, and where nobody
// tells.
const SELDOM = 300000;
const OFTEN = 5000;
const ENDINGS = [5, 30]; // minutes before a session's end at which the tile says so
const place = document.getElementById("sessions");
const title = document.title;

/** Who asks to be let in is also to be seen on the browser's tab. */
function count() {
  const asking = place.querySelectorAll("[data-request]").length;
  document.title = asking ? `(${asking}) ${title}` : title;
}

function show(fresh) {
  const focus = document.activeElement?.closest?.(".tile") && {
    id: document.activeElement.closest(".tile").id,
    action: document.activeElement.dataset.do ?? document.activeElement.dataset.key,
  };
  for (const id of ["own", "shared"]) {
    const part = fresh.getElementById(id);
    const current = document.getElementById(id);
    current.hidden = part.hidden;
    const list = part.querySelector(".tiles");
    if (list && current.querySelector(".tiles")) merge(current.querySelector(".tiles"), list);
    else if (list || current.querySelector(".tiles")) current.replaceWith(part);
  }
  showTimes(place);
  count();
  if (focus && !(document.activeElement && place.contains(document.activeElement))) {
    const tile = document.getElementById(focus.id);
    const same = `[data-do="${focus.action}"], [data-key="${focus.action}"]`;
    (tile?.querySelector(same) ?? tile?.querySelector("[data-do]"))?.focus();
  }
}

/** Put in what has changed, and nothing else: whoever is on a button stays on it. */
function merge(current, list) {
  const wanted = [...list.children];
  const ids = new Set(wanted.map((tile) => tile.id));
  for (const tile of [...current.children]) if (!ids.has(tile.id)) tile.remove();
  wanted.forEach((tile, index) => {
    let old = document.getElementById(tile.id);
    if (!old || plain(old) !== plain(tile)) {
      tell(old, tile);
      old?.replaceWith(tile);
      old = tile;
    }
    if (current.children[index] !== old) current.insertBefore(old, current.children[index] ?? null);
  });
}

function tell(old, tile) {
  const news = tile.dataset.news ?? "";
  if (news && news !== (old?.dataset.news ?? "")) announce(`${tile.dataset.title}: ${news}`);
  else if (old && stateOf(old) !== stateOf(tile)) announce(`${tile.dataset.title}: ${stateOf(tile)}`);
}

const stateOf = (tile) => tile.querySelector(".state").textContent;

/** Milliseconds until a tile has to say that its session ends soon. */
function untilNextEnding() {
  const ends = [...place.querySelectorAll("time[data-left]")].map((time) => new Date(time.dateTime) - Date.now());
  const waits = ends.flatMap((left) => ENDINGS.map((minutes) => left - 60000 * minutes)).filter((wait) => wait > 0);
  return Math.min(SELDOM, ...waits.map((wait) => wait + 500));
}

showTimes();
count();
setInterval(() => showTimes(), 20000);
told(follow("sessions", show, () => (isTold() ? untilNextEnding() : OFTEN)));
