"""Pages that are told what changes: where a person has too many, they take turns and do not ask for ever."""

import shutil
import subprocess
from pathlib import Path

from demo.node import node

STATIC = Path(__file__).resolve().parents[2] / "visa_portal/static"

#: In the place of page.js: a clock that jumps from timer to timer, and a hub that holds a person's six calls.
PAGE = """
let now = 0;
const timers = [];
const after = (ms, done) => timers[timers.push({ at: now + ms, done }) - 1];
globalThis.performance = { now: () => now };
globalThis.window = {};
globalThis.document = { querySelectorAll: () => [{ dataset: { pulse: "same" } }] };
Object.defineProperty(globalThis, "navigator", { value: {} }); // no locks, as on a site without TLS
export const asked = [];
const held = [];
export const sleep = (ms) => new Promise((done) => after(ms, done));
export const ask = () => new Promise((resolve) => {
  asked.push(now);
  const over = () => {
    timer.done = () => {};
    if (held.includes(over)) held.splice(held.indexOf(over), 1);
    resolve({ ok: true, json: async () => ({ pulse: "same" }) });
  };
  const timer = after(25000, over);
  held.push(over);
  if (held.length > 6) held[0]();
});
export async function pass(ms) {
  for (const end = now + ms; now < end; ) {
    await new Promise(setImmediate);
    const next = timers.sort((one, other) => one.at - other.at).shift();
    now = next.at;
    next.done();
  }
}
"""
TABS = """
import { asked, pass } from "./page.js";
for (let tab = 0; tab < 7; tab++) await import(`./pulse.js?${tab}`);
await pass(600000);
console.log(asked.length);
process.exit();
"""


def test_seven_tabs_without_locks_take_turns(tmp_path):
    """A sketch of a browser: a real one takes ten minutes for it."""
    shutil.copy(STATIC / "pulse.js", tmp_path)
    (tmp_path / "page.js").write_text(PAGE)
    (tmp_path / "tabs.mjs").write_text(TABS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run([str(node()), "tabs.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    # 600 / 25 for each that holds one, and some for taking turns; one a second and more without a pause.
    assert 7 * 20 < int(done.stdout) < 7 * 60
