"""Text as a search compares it: without case, accents and invisible marks."""

from __future__ import annotations

import unicodedata

# Letters whose stroke or ligature Unicode does not count as an accent.
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d"})

# Accents and vowel points; joiners, text direction marks and the like.
_DROPPED = frozenset({"Mn", "Me", "Cf"})


def fold(text: str) -> str:
    """The text for comparing: `Łódź` and `LODZ` give the same. Folding twice changes nothing."""
    if text.isascii():
        return text.lower()
    # Dropping a mark can let its neighbours compose or decompose anew, so go on until it is still.
    while True:
        decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_STROKES)
        kept = "".join(c for c in decomposed if unicodedata.category(c) not in _DROPPED)
        if kept == text:
            return kept
        text = kept
