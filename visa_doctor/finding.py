"""What a check has found: how it stands, one sentence on what is wrong, one on how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The worst first, as they are told."""

    WRONG = "wrong"
    UNCHECKED = "could not be checked"
    WARNING = "warning"
    OK = "ok"


@dataclass(frozen=True)
class Finding:
    """`about` is the node, profile or file; `because` the check whose trouble, if any, is this one's too.

    `stops`: a hub that is started now ends with this. `check` is filled in by whoever runs the checks.
    """

    verdict: Verdict
    what: str
    mend: str = ""
    about: str = ""
    because: str = ""
    check: str = ""
    stops: bool = False

    @property
    def place(self) -> str:
        return f"{self.check}, {self.about}" if self.about else self.check


def fine(what: str, about: str = "") -> Finding:
    return Finding(Verdict.OK, what, about=about)


def warning(what: str, mend: str, about: str = "") -> Finding:
    """People notice nothing yet, or little."""
    return Finding(Verdict.WARNING, what, mend, about)


def wrong(what: str, mend: str, about: str = "", because: str = "", *, stops: bool = False) -> Finding:
    return Finding(Verdict.WRONG, what, mend, about, because, stops=stops)


def unchecked(what: str, mend: str = "", about: str = "", because: str = "") -> Finding:
    """Nothing is known, neither good nor bad."""
    return Finding(Verdict.UNCHECKED, what, mend, about, because)


class CannotLook(Exception):
    """A check cannot look, for want of what another one is about: `because` names that one."""

    def __init__(self, what: str, because: str = ""):
        super().__init__(what)
        self.because = because


def worded(error: BaseException) -> str:
    """An error as the part of a sentence: its first line, or its kind where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0][:300] if lines else type(error).__name__).rstrip(".")


def counted(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
