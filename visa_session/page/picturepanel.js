// The toolbar's part of the two streams: the choice, and what is used, in words.

import { FLUENT } from "./choice.js";
import * as pictures from "./pictures.js";

const panel = document.getElementById("picture-panel");
const button = document.getElementById("picture");
const now = document.getElementById("picture-now");
const why = document.getElementById("picture-why");
const choices = [...panel.querySelectorAll("input")];
const NAMES = { sharp: "Sharp", fluent: "Fluent" };

const rounded = (number) => (number < 10 ? number.toFixed(1) : String(Math.round(number)));

function show() {
  const { chosen, used, line, impossible, failure } = pictures.state();
  for (const input of choices) {
    input.checked = input.value === chosen;
    input.disabled = input.value === FLUENT && impossible !== "";
  }
  const measured = line === null ? "" : ` Your line passes ${rounded(line.rate)} Mbit/s, ${Math.round(line.trip)} ms there and back.`;
  now.textContent = `Now: ${NAMES[used]}.${measured}`;
  button.title = `Picture (now ${NAMES[used].toLowerCase()})`;
  button.dataset.used = used;
  if (impossible !== "") why.textContent = `Fluent: ${impossible}`;
  else if (failure !== "") why.textContent = `Fluent did not work, and is tried again: ${failure}`;
  else why.textContent = "";
}

export function setUp() {
  for (const input of choices) input.addEventListener("change", () => pictures.choose(input.value));
  pictures.onChange(show);
  show();
}
