// "Admin": lists follow what happens; times of an announcement are the browser's own.
import { finder, live } from "./live.js";
import { showTimes } from "./page.js";

const place = document.getElementById("live");
const form = document.getElementById("find-session");
if (place) {
  const look = live(place);
  if (form) finder(form, look);
} else {
  showTimes();
}
// A question in a dialog before what cannot be undone.
if (document.getElementById("ask")) await import("./ask.js");

const announcing = document.getElementById("announcing");
if (announcing) {
  for (const zone of announcing.querySelectorAll(".zone")) zone.textContent = "(your time)";
  announcing.addEventListener("submit", () => {
    for (const name of ["since", "until"]) {
      const when = announcing.elements[name].value;
      announcing.elements[`${name}-utc`].value = when && new Date(when).toISOString();
    }
  });
}
