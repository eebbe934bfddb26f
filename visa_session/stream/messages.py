"""What passes between a browser and selkies: pictures one way, and a few words the other.

Nothing that a browser may say depends on its person's role, since everybody only watches here.
"""

from __future__ import annotations

import json

#: All that a browser may say. Its settings are swallowed: the relay says once what a viewer has to.
START, STOP = "START_VIDEO", "STOP_VIDEO"
WORDS = frozenset({START, STOP, "REQUEST_KEYFRAME"})
#: And what is the session's own to hear: pictures a second that are shown in time.
PACE, MOST_PACE = "PACE ", 60
SETTINGS = "SETTINGS,{}"
#: Words of a browser's taken in a second; more are dropped.
MOST_WORDS = 8
#: Answers to pings taken in a second: selkies sends at most twenty, and they may come all at once.
MOST_PONGS = 60

#: Beginnings of what selkies says about pictures; what else it says is not passed on.
ABOUT_PICTURES = ("PIPELINE_RESETTING ", "VIDEO_STARTED", "VIDEO_STOPPED", "CONNECTION ")
#: And of its JSON.
KINDS = frozenset({"stream_resolution"})
#: The first thing it says to whom it takes.
GREETING = "MODE websockets"


class Budget:
    """So many at once and in so many seconds, one by default; times are of any clock that only goes on."""

    def __init__(self, most: int = MOST_WORDS, seconds: float = 1.0):
        self.most, self.seconds, self.left, self.last = most, seconds, float(most), 0.0

    def takes(self, now: float) -> bool:
        """Whether there may be one more."""
        self.left = min(float(self.most), self.left + (now - self.last) * self.most / self.seconds)
        self.last = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Said:
    """What one browser has said: of its words those are passed on that change something."""

    def __init__(self):
        self._budget, self._plays = Budget(), True

    def pace(self, message: str, now: float) -> int | None:
        """Pictures a second that it takes; None where it says something else, or says too much."""
        rate = pace_of(message)
        return rate if rate is not None and self._budget.takes(now) else None

    def to_selkies(self, message: str, now: float) -> str | None:
        """What is passed on of a message; None for nothing."""
        if message not in WORDS or not self._budget.takes(now):
            return None
        if message in (START, STOP):
            # selkies writes a line for each.
            if (message == START) == self._plays:
                return None
            self._plays = message == START
        return message


def pace_of(message: str) -> int | None:
    """The pictures a second that a browser says it takes; None where it says something else."""
    number = message.removeprefix(PACE)
    if number == message or not (number.isascii() and number.isdigit() and len(number) <= 2):
        return None
    return min(int(number), MOST_PACE)


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
