// "My sessions": the tiles follow what happens, and stop and delete ask first.
import { announce, ask, nodes, showTimes } from "./page.js";

const SOON = 2000; // while something starts, stops, or does not answer
const CALM = 15000;
const place = document.getElementById("sessions");
const connection = document.getElementById("connection");
const served = new Map(); // a tile's id -> its HTML as the server sent it
let etag = "";
let timer = 0;
let failures = 0;

for (const tile of place.querySelectorAll(".tile")) served.set(tile.id, tile.outerHTML);
showTimes();
setInterval(showTimes, 20000);

const moving = () => place.querySelector('.tile:is([data-state="starting"],[data-state="stopping"],[data-state="unknown"])');

function plan() {
  clearTimeout(timer);
  const pause = failures ? Math.min(30000, SOON * 2 ** failures) : moving() ? SOON : CALM;
  timer = setTimeout(look, document.hidden ? 4 * pause : pause);
}

async function look() {
  try {
    const response = await ask("sessions", { headers: etag ? { "If-None-Match": etag } : {} });
    if (response.status === 200) {
      etag = response.headers.get("ETag") || "";
      show(nodes(await response.text()));
    } else if (response.status !== 304) {
      throw new Error(await response.text());
    }
    if (failures) announce("The list is up to date again.");
    failures = 0;
    connection.hidden = true;
  } catch (error) {
    failures = Math.min(failures + 1, 4);
    connection.textContent =
      (error instanceof TypeError ? "No connection. " : `${error.message} `) +
      "What you see may be out of date. This page tries again by itself.";
    connection.hidden = false;
  }
  plan();
}

/** Put in what has changed, and nothing else: whoever is on a button stays on it. */
function show(fresh) {
  const list = fresh.querySelector(".tiles");
  const current = place.querySelector(".tiles");
  if (!list || !current) {
    if (!list && !current) return;
    place.replaceChildren(fresh);
    remember();
    return;
  }
  const focus = document.activeElement?.closest?.(".tile") && {
    id: document.activeElement.closest(".tile").id,
    action: document.activeElement.dataset.do,
  };
  const wanted = [...list.children];
  const ids = new Set(wanted.map((tile) => tile.id));
  for (const tile of [...current.children]) if (!ids.has(tile.id)) tile.remove();
  wanted.forEach((tile, index) => {
    let old = document.getElementById(tile.id);
    if (!old || served.get(tile.id) !== tile.outerHTML) {
      if (old && old.dataset.state !== tile.dataset.state) {
        announce(`${tile.dataset.title}: ${tile.querySelector(".state").textContent}`);
      }
      served.set(tile.id, tile.outerHTML);
      old?.replaceWith(tile);
      old = tile;
    }
    if (current.children[index] !== old) current.insertBefore(old, current.children[index] ?? null);
  });
  showTimes(current);
  if (focus && !current.contains(document.activeElement)) {
    const tile = document.getElementById(focus.id);
    (tile?.querySelector(`[data-do="${focus.action}"]`) ?? tile?.querySelector("[data-do]"))?.focus();
  }
}

function remember() {
  served.clear();
  for (const tile of place.querySelectorAll(".tile")) served.set(tile.id, tile.outerHTML);
  showTimes(place);
}

const dialog = document.getElementById("ask");
place.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-ask]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [question, meaning, button] = link.dataset.ask.split("|");
  dialog.querySelector("#ask-question").textContent = question;
  dialog.querySelector("#ask-subject").textContent = link.closest(".tile").dataset.title;
  dialog.querySelector("#ask-meaning").textContent = meaning;
  dialog.querySelector("#ask-yes").textContent = button;
  dialog.querySelector("form").action = link.href;
  dialog.showModal();
});
dialog.querySelector("#ask-no").addEventListener("click", () => dialog.close());
document.addEventListener("submit", (event) => {
  event.submitter?.setAttribute("aria-busy", "true");
  if (event.submitter?.id === "ask-yes") event.submitter.textContent = "One moment…";
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
window.addEventListener("pageshow", (event) => event.persisted && look());
plan();
