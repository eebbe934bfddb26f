// The toolbar: tucks away while one works, comes back by mouse, touch or keyboard.

import { isOurs } from "../labextensions/visa-session/static/people.js";
import { current, onConnect } from "./connection.js";
import * as members from "./members.js";
import { recall, remember } from "./remembered.js";
import * as session from "./session.js";

const bar = document.getElementById("bar");
const handle = document.getElementById("handle");
const full = document.getElementById("full");
const size = document.getElementById("size");
const keyboard = document.getElementById("keyboard");
const panels = [...bar.querySelectorAll(".panel")];
const TUCK_AFTER = 3500;
const REMEMBERED = "visa-desktop-size";
let timer = null;

function open(on) {
  bar.classList.toggle("open", on);
  handle.setAttribute("aria-expanded", String(on));
  if (!on) showPanel(null);
}

function showPanel(panel) {
  for (const other of panels) {
    other.hidden = other !== panel;
    bar.querySelector(`[aria-controls="${other.id}"]`).setAttribute("aria-expanded", String(other === panel));
  }
}

/** Tuck away in a while, unless somebody is using the toolbar. */
function tuckLater() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const used = bar.matches(":hover") || bar.contains(document.activeElement) || panels.some((p) => !p.hidden);
    if (current() !== null && !used) open(false);
  }, TUCK_AFTER);
}

/** Give the keyboard back to the desktop. */
function backToDesktop() {
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  current()?.focus({ preventScroll: true });
}

/** Apply the chosen size to a connection. */
export function applySize(rfb) {
  // Who watches has no choice: all of the desktop, whatever its size and the window's.
  const chosen = size?.value ?? "fit";
  rfb.scaleViewport = chosen === "fit";
  rfb.resizeSession = chosen === "resize";
  rfb.clipViewport = false;
}

function setUpSize() {
  if (size === null) return;
  const wanted = recall(REMEMBERED);
  if ([...size.options].some((option) => option.value === wanted)) size.value = wanted;
  size.addEventListener("change", () => {
    remember(REMEMBERED, size.value);
    if (current() !== null) applySize(current());
    backToDesktop();
  });
}

function setUpKeyboard() {
  keyboard?.addEventListener("change", async () => {
    const { status, body } = await session.call("desktop/keyboard", {
      method: "POST",
      body: JSON.stringify({ keyboard: keyboard.value }),
    });
    if (status !== 200) {
      keyboard.setCustomValidity(body?.message ?? "The keyboard could not be switched.");
      keyboard.reportValidity();
      keyboard.setCustomValidity("");
      return;
    }
    backToDesktop();
  });
}

function setUpFull() {
  full.hidden = !document.fullscreenEnabled;
  full.addEventListener("click", async () => {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
    backToDesktop();
  });
  document.addEventListener("fullscreenchange", () => {
    full.setAttribute("aria-pressed", String(document.fullscreenElement !== null));
    // Keys such as Alt+Tab go to the desktop too, where the browser lets a full-screen page have them.
    if (document.fullscreenElement) navigator.keyboard?.lock?.();
    else navigator.keyboard?.unlock?.();
  });
}

export function setUp() {
  const inTab = window.parent !== window;
  document.getElementById("lab")?.toggleAttribute("hidden", inTab);
  document.getElementById("alone")?.toggleAttribute("hidden", !inTab);
  handle.addEventListener("click", () => open(!bar.classList.contains("open")));
  for (const panel of panels) {
    const button = bar.querySelector(`[aria-controls="${panel.id}"]`);
    button.addEventListener("click", () => showPanel(panel.hidden ? panel : null));
  }
  document.getElementById("cad")?.addEventListener("click", () => {
    current()?.sendCtrlAltDel();
    backToDesktop();
  });
  bar.addEventListener("pointerleave", tuckLater);
  bar.addEventListener("focusout", tuckLater);
  bar.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (panels.some((panel) => !panel.hidden)) showPanel(null);
    else {
      open(false);
      backToDesktop();
    }
  });
  // Before noVNC sees it: the one combination that is not the desktop's.
  window.addEventListener(
    "keydown",
    (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (members.focusRequest()) return;
      open(true);
      bar.querySelector("button").focus();
    },
    { capture: true },
  );
  setUpSize();
  setUpKeyboard();
  setUpFull();
  onConnect(() => {
    backToDesktop();
    tuckLater();
  });
}
