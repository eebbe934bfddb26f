"""`python docs/pictures.py`: the documentation's pictures, from those that the browser tests took."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
TAKEN = DOCS.parent / "tests/results/pictures"
SHOWN = ("my-sessions", "new-session", "launcher", "h5web", "desktop", "together", "support-banner")
SHOWN += ("cluster-panel",)
#: Those that the portal's tests take.
PORTAL = ("sharing", "link", "join", "support-asks", "shared-with-me", "history")
PORTAL += ("cluster-choice", "cluster-waiting", "passport", "from-passport")
STAFF = ("support", "support-session", "administration", "nodes", "audit")
#: Those that the session's tests take.
INSIDE = ("inside-owner", "inside-together", "inside-viewer", "inside-ending", "picture")


def main() -> None:
    """A palette keeps a screenshot sharp and makes it small enough for a repository."""
    (DOCS / "pictures").mkdir(exist_ok=True)
    for name in SHOWN + PORTAL + STAFF + INSIDE:
        with Image.open(TAKEN / f"{name}.png") as picture:
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            small.save(DOCS / "pictures" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
