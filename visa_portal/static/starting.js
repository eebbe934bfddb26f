// "Starting": each step as it happens, then the session itself.
import { announce, ask, duration, localised, prefix, showTimes, sleep } from "./page.js";
import "./ask.js";

const place = document.getElementById("start");
const steps = document.getElementById("steps");
showTimes();
const seen = new Set([...steps.querySelectorAll("span")].map((step) => step.textContent));

const TELL_AGAIN = 60000; // milliseconds at least between two words aloud about the queue
let told = 0;

const NO_CONNECTION = "No connection at the moment; trying again";

/** The line of a queue, told by when the waiting began; a start that is put back has another one. */
function queueLine(at) {
  const lines = [...steps.querySelectorAll("[data-queued]")];
  const same = lines.find((line) => line.querySelector("time").dateTime === at);
  return same ?? (steps.lastElementChild?.matches("[data-queued]") ? steps.lastElementChild : null);
}

function add({ words: said, after, at, queued }) {
  const words = localised(said);
  // A queue has one line, however long it takes: the last word of it takes the place of the one before.
  const last = queued ? queueLine(at) : null;
  if (last && last !== steps.lastElementChild) return; // that queue is over: all is told anew after a break
  wait(queued);
  if (last ? last.querySelector("span").textContent === words : seen.has(words) && !queued) return;
  const first = !last;
  seen.add(words);
  const item = last ?? document.createElement("li");
  const text = document.createElement("span");
  const time = document.createElement("time");
  text.textContent = words;
  time.textContent = after;
  time.dateTime = at;
  item.toggleAttribute("data-queued", Boolean(queued));
  item.replaceChildren(text, " ", time);
  if (!last) steps.append(item);
  if (!queued || first || Date.now() - told > TELL_AGAIN) {
    if (queued) told = Date.now();
    announce(words);
  }
}

/** How long it has been waiting. */
function count() {
  const time = steps.querySelector("li[data-queued]:last-child time");
  if (time) time.textContent = duration(Math.max(0, Math.floor((Date.now() - new Date(time.dateTime)) / 60000)));
}

/** Waiting in a queue is another thing than starting: nothing moves, and nobody has to stay. */
function wait(queued) {
  const headline = document.getElementById("headline");
  const words = queued ? "In the queue" : "Starting";
  if (headline.textContent === words) return;
  document.title = document.title.replace(headline.textContent, words);
  headline.textContent = words;
  document.getElementById("bar").hidden = queued;
  document.getElementById("while-queued").hidden = !queued;
  document.getElementById("while-moving").hidden = queued;
}

function fail({ words }) {
  const headline = document.getElementById("headline");
  document.title = document.title.replace(headline.textContent, "Could not start");
  headline.textContent = "Could not start";
  document.getElementById("bar").hidden = true;
  document.getElementById("while-starting").hidden = true;
  const failure = document.getElementById("failure");
  failure.textContent = localised(words);
  failure.hidden = false;
  document.getElementById("after-failure").hidden = false;
}

/** Go there, leaving this page out of the history: "back" then leads to where one came from. */
function open({ url }) {
  announce("Ready");
  location.replace(url);
}

/** Connected, or not: said as long as it is so. */
function connected(is) {
  const line = [...steps.children].find((step) => step.firstElementChild.textContent === NO_CONNECTION);
  if (is) {
    line?.remove();
    seen.delete(NO_CONNECTION);
  } else if (!line) add({ words: NO_CONNECTION, after: "", at: new Date().toISOString() });
}

const on = { step: add, ready: open, failed: fail };

/** Read the stream; whether it came to its end. */
async function follow() {
  const response = await ask(place.dataset.progress.slice(prefix.length));
  if (!response.ok) throw new Error(await response.text());
  connected(true);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return false;
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const kind = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (!kind || !(kind in on)) continue;
      on[kind](JSON.parse(data));
      if (kind !== "step") return true;
    }
  }
}

async function run() {
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    try {
      if (await follow()) return;
      pause = 250;
    } catch (error) {
      connected(false);
      console.info(error.message);
    }
    await sleep(pause);
  }
}

setInterval(count, 20000);
if (place.dataset.ready) open({ url: place.dataset.ready });
else run();
