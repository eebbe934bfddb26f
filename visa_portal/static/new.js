// "New session": the list follows the search, the choice follows the list. Without this module the same
// page works as plain forms.
import { follow } from "./follow.js";
import { passOn, ready } from "./datasets.js";
import { announce, ask, nodes, plain, prefix, showTimes } from "./page.js";

const find = document.getElementById("find");
const side = document.getElementById("side");
const chosen = new Set();
let home = Boolean(side.querySelector('input[name="home"]'));
let touched = Boolean(document.getElementById("refused")); // the person has set something of the choice
let searching = null;
let choosing = null;
let typing = 0;
const ROOM = 5000; // milliseconds between two looks at what is free

const results = () => document.getElementById("results");
const go = () => document.getElementById("go");
const boxes = () => [...results().querySelectorAll('input[type="checkbox"][name="experiment"]')];

// --- the list

function question() {
  const data = new FormData(find);
  data.delete("experiment");
  const query = new URLSearchParams();
  for (const [key, value] of data) if (value) query.append(key, value);
  return query;
}

function address(query) {
  const all = new URLSearchParams(query);
  for (const id of chosen) all.append("experiment", id);
  if (home && !chosen.size) all.set("home", "1");
  history.replaceState(null, "", `${prefix}new?${all}`);
}

async function search() {
  searching?.abort();
  const mine = (searching = new AbortController());
  const query = question();
  results().setAttribute("aria-busy", "true");
  try {
    const response = await ask(`new/experiments?${query}`, { signal: mine.signal });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    results().replaceWith(nodes(text));
    mark();
    address(query);
  } catch (error) {
    if (error.name === "AbortError") return;
    trouble(results(), error);
  } finally {
    if (searching === mine) results().removeAttribute("aria-busy");
  }
}

/** One more page, put below what is there; the focus goes to the first of the new rows. */
async function more(link) {
  link.setAttribute("aria-busy", "true");
  try {
    const response = await ask(`new/experiments${new URL(link.href).search}`);
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    const page = nodes(text);
    const rows = [...page.querySelectorAll(".rows > li")];
    results().querySelector(".rows").append(...rows);
    const pager = page.querySelector("[data-more]");
    if (pager) link.replaceWith(pager);
    else link.remove();
    mark();
    rows[0]?.querySelector("input").focus({ preventScroll: true });
    announce(`${rows.length} more`);
  } catch (error) {
    link.removeAttribute("aria-busy");
    trouble(results(), error);
  }
}

/** Tick what is chosen, also in rows that have just come. */
function mark() {
  results()
    .querySelectorAll("[data-carried]")
    .forEach((input) => input.remove());
  for (const box of boxes()) box.checked = chosen.has(box.value);
}

function trouble(place, error) {
  place.querySelector(".trouble")?.remove();
  const words = document.createElement("p");
  words.className = "notice bad trouble";
  words.setAttribute("role", "alert");
  words.textContent =
    error instanceof TypeError ? "No connection. Try again in a moment." : error.message || "This did not work.";
  place.prepend(words);
}

// --- the choice

/** Ask for the choice that belongs to what is chosen; what the person has set is kept. */
async function choose() {
  choosing?.abort();
  const mine = (choosing = new AbortController());
  const query = new URLSearchParams();
  for (const id of chosen) query.append("experiment", id);
  if (home) query.set("home", "1");
  const form = go();
  if (form && touched) {
    const data = new FormData(form);
    const profile = data.get("profile") ?? "";
    query.set("profile", profile);
    query.set("plan", data.get(`plan-${profile}`) ?? "");
    query.set("lifetime_hours", data.get(`lifetime-${profile}`) ?? "");
    for (const key of ["interface", "keyboard", "title"]) query.set(key, data.get(key) ?? "");
  }
  if (form) {
    query.set("screen", new FormData(form).get("screen") ?? "");
    passOn(new FormData(form), query);
  }
  document.getElementById("choice").setAttribute("aria-busy", "true");
  try {
    const response = await ask(`new/choice?${query}`, { signal: mine.signal });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    document.getElementById("choice").replaceWith(nodes(text));
    settle();
    return true;
  } catch (error) {
    if (error.name !== "AbortError") trouble(document.getElementById("choice"), error);
    return false;
  } finally {
    if (choosing === mine) document.getElementById("choice").removeAttribute("aria-busy");
  }
}

/** What only the browser knows: its screen; and the sum of the choice in a line. */
function settle() {
  const form = go();
  if (!form) return;
  const select = form.elements.screen;
  if (!select.querySelector("[data-own]") && screen.width) {
    const even = (value, least, most) => 2 * Math.floor(Math.min(most, Math.max(least, value)) / 2);
    const own = `${even(screen.width, 1024, 3840)}x${even(screen.height, 640, 2160)}`;
    const option = select.querySelector(`option[value="${own}"]`) ?? new Option("", own);
    option.dataset.own = "";
    option.textContent = `${own.replace("x", " × ")} (this screen)`;
    select.prepend(option);
    if (!touched) select.value = own;
  }
  showTimes(form);
  ready(form);
  fit();
  summarise();
}

/** A plan may run for fewer hours than its profile: what is too long for it cannot be chosen with it. */
function fit() {
  const profile = go().querySelector('input[name="profile"]:checked')?.value;
  if (profile === undefined) return;
  const plan = go().querySelector(`input[name="plan-${CSS.escape(profile)}"]:checked`);
  const time = go().elements[`lifetime-${profile}`];
  const most = Number(plan?.dataset.hours ?? Infinity);
  for (const option of time.options) option.disabled = Number(option.value) > most;
  if (time.selectedOptions[0]?.disabled) {
    const longest = [...time.options].findLast((option) => !option.disabled);
    if (longest) longest.selected = true;
  }
}

// --- what is free, kept up while the page is open

/** Put in what has changed of what is free, and nothing else; told aloud where it matters for the choice. */
function room(fresh) {
  const plan = chosenPlan();
  for (const span of fresh.querySelectorAll("[data-plan]")) {
    const old = go()?.querySelector(`[data-plan="${CSS.escape(span.dataset.plan)}"]`);
    if (!old || plain(old) === plain(span)) continue;
    const news = old.dataset.room !== span.dataset.room && old === plan;
    old.replaceWith(span);
    showTimes(span.parentElement);
    if (news) announce(`${span.closest("label").querySelector("input").dataset.title}: ${span.textContent}`);
  }
  summarise();
}

/** The words about what is free for the plan that is chosen. */
function chosenPlan() {
  const profile = go()?.querySelector('input[name="profile"]:checked')?.value;
  if (profile === undefined) return null;
  const input = go().querySelector(`input[name="plan-${CSS.escape(profile)}"]:checked`);
  return input?.closest("label").querySelector("[data-plan]") ?? null;
}

function summarise() {
  const form = go();
  const offer = form?.querySelector('input[name="profile"]:checked');
  const summary = document.getElementById("summary");
  if (!offer) return;
  const plan = form.querySelector(`input[name="plan-${CSS.escape(offer.value)}"]:checked`);
  const time = form.elements[`lifetime-${offer.value}`];
  const opens = form.querySelector('input[name="interface"]:checked');
  const parts = [offer.dataset.title, plan?.dataset.title, opens?.dataset.title, time?.selectedOptions[0]?.textContent];
  if (chosenPlan()?.dataset.room === "queue") parts.push("waits in the queue first");
  const words = parts.filter(Boolean).join(" · ");
  if (summary.firstElementChild.textContent !== words) summary.firstElementChild.textContent = words;
  summary.hidden = false;
}

function say() {
  const ids = [...chosen];
  announce(ids.length ? `Chosen: ${ids.join(", ")}. Start is ready.` : "Nothing is chosen.");
}

async function pick(id, on) {
  if (on) chosen.add(id);
  else chosen.delete(id);
  if (chosen.size) home = false;
  mark();
  address(question());
  if (await choose()) say();
}

// --- what a person does

find.addEventListener("submit", (event) => {
  event.preventDefault();
  const by = event.submitter;
  if (by?.dataset.without) pick(by.dataset.without, false);
  else if (by && "home" in by.dataset) {
    home = true;
    choose().then(() => document.getElementById("start")?.focus({ preventScroll: true }));
    address(question());
  } else search();
});
find.addEventListener("input", (event) => {
  if (event.target.name === "experiment") return;
  clearTimeout(typing);
  typing = setTimeout(search, event.target.type === "search" ? 180 : 0);
});
find.addEventListener("change", (event) => {
  if (event.target.name === "experiment") pick(event.target.value, event.target.checked);
});
find.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if ("more" in link.dataset) {
    event.preventDefault();
    more(link);
  } else if ("everywhere" in link.dataset) {
    event.preventDefault();
    find.querySelector('input[name="scope"][value="all"]').checked = true;
    search();
  }
});
find.addEventListener("keydown", async (event) => {
  const box = event.target;
  const rows = boxes();
  const at = rows.indexOf(box);
  if (event.key === "ArrowDown" && (at >= 0 || box.type === "search") && rows.length) {
    event.preventDefault();
    rows[Math.min(at + 1, rows.length - 1)].focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    event.preventDefault();
    (at ? rows[at - 1] : find.elements.q).focus();
  } else if (event.key === "Enter" && at >= 0) {
    event.preventDefault();
    if (!chosen.has(box.value)) await pick(box.value, true);
    document.getElementById("start")?.focus({ preventScroll: true });
  }
});
side.addEventListener("input", (event) => {
  if (event.target.name !== "title") touched = true;
  fit();
  summarise();
});
side.addEventListener("submit", (event) => {
  if (event.target.id !== "go") return;
  const start = document.getElementById("start");
  if (start.getAttribute("aria-busy")) {
    event.preventDefault(); // a second click is no second session
    return;
  }
  start.setAttribute("aria-busy", "true");
  start.textContent = "Starting…";
});
window.addEventListener("pageshow", () => {
  const start = document.getElementById("start");
  start?.removeAttribute("aria-busy");
  if (start) start.textContent = "Start";
});

for (const box of find.querySelectorAll('input[name="experiment"]')) {
  if (box.checked || "carried" in box.dataset) chosen.add(box.value);
}
mark();
settle();
// Ticked before this module was there, on a slow line: the choice belongs to it all the same.
if (chosen.size && !go()) choose();
follow(() => go() && "new/room", room, () => ROOM);
document.getElementById("refused")?.focus();
