// "Admin": lists follow what happens; times of an announcement are the browser's own.
import { finder, follow } from "./live.js";
import { showTimes } from "./page.js";

const live = document.getElementById("live");
const form = document.getElementById("find-session");
if (live) {
  const look = follow(live, () => location.search);
  if (form) finder(form, look);
} else {
  showTimes();
}

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
