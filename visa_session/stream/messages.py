"""What passes between a browser and selkies: pictures one way, and four words the other.

Nothing that a browser may say depends on its person's role, since everybody only watches here.
"""

from __future__ import annotations

import json

#: All that a browser may say. Its settings are swallowed: the relay says once what a viewer has to.
WORDS = frozenset({"START_VIDEO", "STOP_VIDEO", "REQUEST_KEYFRAME"})
SETTINGS = "SETTINGS,{}"
#: Words of a browser's taken in a second; more are dropped.
MOST_WORDS = 8

#: Beginnings of what selkies says about pictures; what else it says is not passed on.
ABOUT_PICTURES = ("PIPELINE_RESETTING ", "VIDEO_STARTED", "VIDEO_STOPPED", "CONNECTION ")
#: And of its JSON.
KINDS = frozenset({"stream_resolution"})
#: The first thing it says to whom it takes.
GREETING = "MODE websockets"


class Budget:
    """So many words in a second; time is in seconds, from any clock that only goes on."""

    def __init__(self, most: int = MOST_WORDS):
        self.most, self.left, self.last = most, float(most), 0.0

    def takes(self, now: float) -> bool:
        self.left = min(float(self.most), self.left + (now - self.last) * self.most)
        self.last = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


def to_selkies(message: str) -> str | None:
    """What is passed on of a browser's message; None for nothing."""
    return message if message in WORDS else None


def to_browser(message: str) -> str | None:
    """What is passed on of a text of selkies'; None for nothing."""
    if message.startswith(ABOUT_PICTURES):
        return message
    if message.startswith("{"):
        try:
            kind = json.loads(message).get("type")
        except ValueError:
            return None
        return message if kind in KINDS else None
    return None
