// "My sessions": the tiles follow what happens.
import { announce, plain, showTimes } from "./page.js";
import { follow } from "./follow.js";
import "./ask.js";

const SOON = 2000; // while something runs or moves: somebody may ask to be let in
const CALM = 5000; // somebody may be about to let one in
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
const restless = () => place.querySelector('.tile:not([data-state="stopped"],[data-state="failed"])');

showTimes();
count();
setInterval(() => showTimes(), 20000);
follow("sessions", show, () => (restless() ? SOON : CALM));
