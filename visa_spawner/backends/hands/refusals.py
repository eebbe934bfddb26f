"""How the program says no."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was done, or what was done is taken away again; the text, for the operator's log, says why."""


class Silent(Exception):
    """Nobody can tell whether the last step happened: who was asked gave no answer."""
