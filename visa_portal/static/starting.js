// "Starting": each step as it happens, then the session itself.
import { announce, ask, prefix, sleep } from "./page.js";

const place = document.getElementById("start");
const steps = document.getElementById("steps");
const seen = new Set([...steps.querySelectorAll("span")].map((step) => step.textContent));

function add({ words, after, at }) {
  if (seen.has(words)) return;
  seen.add(words);
  const item = document.createElement("li");
  const text = document.createElement("span");
  const time = document.createElement("time");
  text.textContent = words;
  time.textContent = after;
  time.dateTime = at;
  item.append(text, " ", time);
  steps.append(item);
  announce(words);
}

function fail({ words }) {
  document.getElementById("headline").textContent = "Could not start";
  document.title = document.title.replace("Starting", "Could not start");
  document.getElementById("bar").hidden = true;
  document.getElementById("while-starting").hidden = true;
  const failure = document.getElementById("failure");
  failure.textContent = words;
  failure.hidden = false;
  document.getElementById("after-failure").hidden = false;
}

/** Go there, leaving this page out of the history: "back" then leads to where one came from. */
function open({ url }) {
  announce("Ready");
  location.replace(url);
}

const on = { step: add, ready: open, failed: fail };

/** Read the stream; whether it came to its end. */
async function follow() {
  const response = await ask(place.dataset.progress.slice(prefix.length));
  if (!response.ok) throw new Error(await response.text());
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
      add({ words: "No connection at the moment; trying again", after: "", at: new Date().toISOString() });
      console.info(error.message);
    }
    await sleep(pause);
  }
}

if (place.dataset.ready) open({ url: place.dataset.ready });
else run();
