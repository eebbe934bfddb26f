// The clipboard, both ways: by itself where the browser allows it, else through the text box.

import { current, onConnect } from "./connection.js";

const text = document.getElementById("clipboard-text");
const words = document.getElementById("clipboard-words");
const copy = document.getElementById("clipboard-copy");
const share = document.getElementById("clipboard-share");
let last = null;

/** Whether the browser lets the page read the person's clipboard without asking. */
async function mayRead() {
  try {
    return (await navigator.permissions.query({ name: "clipboard-read" })).state === "granted";
  } catch {
    return false;
  }
}

function toDesktop(value) {
  if (!value || value === last) return;
  last = value;
  text.value = value;
  current()?.clipboardPasteFrom(value);
}

async function fromComputer() {
  if (!document.hasFocus() || !(await mayRead())) return;
  try {
    toDesktop(await navigator.clipboard.readText());
  } catch {
    words.textContent = "Your browser did not give its clipboard. Paste into the box above.";
  }
}

async function toComputer(value) {
  try {
    await navigator.clipboard.writeText(value);
    words.textContent = "Copied to your computer.";
    return true;
  } catch {
    words.textContent = "Press Copy to have it on your computer.";
    return false;
  }
}

export function setUp() {
  if (text === null) return;
  onConnect((rfb) => {
    rfb.addEventListener("clipboard", (event) => {
      last = event.detail.text;
      text.value = last;
      toComputer(last);
    });
    fromComputer();
  });
  window.addEventListener("focus", fromComputer);
  document.getElementById("screen").addEventListener("pointerenter", fromComputer);
  text.addEventListener("input", () => {
    toDesktop(text.value);
    words.textContent = "Sent to the desktop.";
  });
  copy.addEventListener("click", async () => {
    if (await toComputer(text.value)) return;
    text.select();
    if (document.execCommand("copy")) words.textContent = "Copied to your computer.";
  });
  share.hidden = !navigator.clipboard?.readText;
  share.addEventListener("click", async () => {
    try {
      toDesktop(await navigator.clipboard.readText());
      words.textContent = "Sent to the desktop.";
    } catch {
      words.textContent = "Your browser did not allow it. Paste into the box above instead.";
    }
  });
}
