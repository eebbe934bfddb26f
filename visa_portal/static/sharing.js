// "Sharing": who is in follows what happens, and a link is copied with one click.
import { announce, plain, showTimes } from "./page.js";
import { follow } from "./follow.js";
import "./ask.js";

const PARTS = ["now", "links", "lock", "teams"];
const place = document.getElementById("share");
const title = document.title;

function key(element) {
  return element?.closest?.("[data-key]")?.dataset.key;
}

function show(fresh) {
  const focus = place.contains(document.activeElement) ? key(document.activeElement) : "";
  for (const id of PARTS) {
    const part = fresh.getElementById(id);
    const old = document.getElementById(id);
    if (plain(old) === plain(part)) continue;
    if (id === "now") tell(old, part);
    for (const details of old.querySelectorAll("details[data-key]")) {
      const same = [...part.querySelectorAll("details")].find((one) => key(one) === key(details));
      if (same) same.open = details.open;
    }
    old.replaceWith(part);
  }
  showTimes(place);
  count();
  if (focus && !place.contains(document.activeElement)) {
    const same = [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focus);
    (same ?? document.getElementById("now-title")).focus();
  }
}

/** Say who has been let in, is out, came and went. */
function tell(old, part) {
  const said = [];
  const members = (root) => new Map([...root.querySelectorAll("[data-member]")].map((one) => [one.dataset.member, one]));
  const words = (one, selector) => one.querySelector(selector)?.textContent.trim() ?? "";
  const before = members(old);
  const after = members(part);
  for (const [name, one] of after) {
    const was = before.get(name);
    const now = words(one, ".present");
    if (!was) said.push(`${words(one, ".member-name")} is let in`);
    else if (words(was, ".present").split(",")[0] !== now.split(",")[0]) said.push(`${words(one, ".member-name bdi")}: ${now.split(",")[0]}`);
  }
  for (const [name, one] of before) if (!after.has(name)) said.push(`${words(one, ".member-name bdi")} is out`);
  const asked = new Set([...old.querySelectorAll("[data-request]")].map((one) => one.dataset.request));
  for (const one of part.querySelectorAll("[data-request]")) {
    if (!asked.has(one.dataset.request)) said.push(words(one, "strong"));
  }
  if (said.length) announce(said.join(". "));
}

function count() {
  const asking = place.querySelectorAll("[data-request]").length;
  document.title = asking ? `(${asking}) ${title}` : title;
}

const copy = document.getElementById("copy");
if (copy) {
  const field = document.getElementById("made-link");
  copy.hidden = false;
  field.addEventListener("focus", () => field.select());
  copy.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      copy.textContent = "Copied";
      announce("Copied");
    } catch {
      announce("The browser does not let us copy: press Ctrl and C.");
    }
  });
  // Shown this once: the address that showed it leads to nothing any more, and need not be kept.
  history.replaceState(null, "", location.pathname);
  document.getElementById("made").focus();
}

showTimes();
count();
setInterval(() => showTimes(), 20000);
const running = () => ["running", "unknown", "starting"].includes(document.getElementById("now").dataset.state);
follow(place.dataset.path, show, () => (running() ? 2000 : 10000));
