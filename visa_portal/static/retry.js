// An error page that goes away by itself: asks again for what was wanted, ever more seldom, and shows it.
import { sleep } from "./page.js";

const words = document.getElementById("retry");

for (let pause = 3; ; pause = Math.min(pause + 2, 20)) {
  for (let left = pause; left > 0; left -= 1) {
    words.textContent = `You need not do anything: this page tries again in ${left} s.`;
    await sleep(1000);
  }
  try {
    const answer = await fetch(`${document.body.dataset.prefix}health`, { cache: "no-store" });
    // Not a reload: that would send a form again.
    if (answer.ok) location.replace(words.dataset.to ?? location.pathname + location.search);
  } catch {
    words.textContent = "No connection yet.";
  }
}
