// A phone's own keyboard: letters typed into an unseen field become keys on the desktop.

import { current } from "./connection.js";

const field = document.getElementById("typing");
const KEYS = {
  deleteContentBackward: 0xff08,
  insertLineBreak: 0xff0d,
  insertParagraph: 0xff0d,
};

/** X's number for a letter: Latin-1 as it is, the rest of Unicode with a mark. */
const keysym = (letter) => (letter < 0x100 ? letter : 0x01000000 | letter);

export function setUp() {
  const button = document.getElementById("type");
  if (button === null) return;
  button.addEventListener("click", () => field.focus());
  field.addEventListener("beforeinput", (event) => {
    const rfb = current();
    if (rfb === null) return;
    if (event.inputType in KEYS) {
      rfb.sendKey(KEYS[event.inputType], null);
      event.preventDefault();
    } else if (event.inputType === "insertText" && event.data) {
      for (const letter of event.data) rfb.sendKey(keysym(letter.codePointAt(0)), null);
      event.preventDefault();
    }
  });
  // What a keyboard composes (swipes, suggestions) arrives whole, at its end.
  field.addEventListener("compositionend", (event) => {
    for (const letter of event.data ?? "") current()?.sendKey(keysym(letter.codePointAt(0)), null);
    field.value = "";
  });
}
