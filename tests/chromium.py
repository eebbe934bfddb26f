"""The browser of all tests: Debian's Chromium, and how it is started."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = "/usr/bin/chromium"

#: As root, without a graphics card, and without a word to anybody outside.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Said when an interface of the machine comes or goes, as those of containers of tests that run beside do.
NOT_THE_PAGES = "ERR_NETWORK_CHANGED"


def is_complaint(message) -> bool:
    """Whether the browser complains of the page by this word on its console."""
    return message.type == "error" and NOT_THE_PAGES not in message.text


#: Pictures of what people see; not kept in the repository.
RESULTS = Path(__file__).parent / "results"

#: Whether the desktop's canvas shows more than two colours, looked at in 60 points: more than a bare screen
#: with the pointer on it.
PAINTED = """() => {
  const canvas = document.querySelector('#screen canvas');
  if (!canvas || !canvas.width) return false;
  const seen = new Set();
  for (let i = 0; i < 60; i++) {
    const x = (canvas.width * ((i * 7) % 60 + 0.5)) / 60, y = (canvas.height * (i + 0.5)) / 60;
    seen.add(canvas.getContext('2d').getImageData(x, y, 1, 1).data.join());
  }
  return seen.size > 2;
}"""
