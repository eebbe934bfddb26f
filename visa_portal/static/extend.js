// "Extend": times as the browser knows them.
import { showTimes } from "./page.js";

showTimes();
setInterval(() => showTimes(), 20000);
document.getElementById("refused")?.focus();
