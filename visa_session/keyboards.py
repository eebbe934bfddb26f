"""Keyboard layouts a desktop can be switched to, as XKB names them."""

from __future__ import annotations

#: Shown to people in this order; the key is what is stored and sent.
KEYBOARDS: dict[str, str] = {
    "us": "English (US)",
    "us(intl)": "English (US, international)",
    "gb": "English (UK)",
    "fr": "French",
    "fr(bepo)": "French (BÉPO)",
    "de": "German",
    "de(nodeadkeys)": "German (no dead keys)",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "br": "Portuguese (Brazil)",
    "be": "Belgian",
    "ch": "Swiss (German)",
    "ch(fr)": "Swiss (French)",
    "at": "Austrian",
    "nl": "Dutch",
    "dk": "Danish",
    "no": "Norwegian",
    "se": "Swedish",
    "fi": "Finnish",
    "pl": "Polish",
    "cz": "Czech",
    "sk": "Slovak",
    "hu": "Hungarian",
    "ro": "Romanian",
    "gr": "Greek",
    "ru": "Russian",
    "ua": "Ukrainian",
    "tr": "Turkish",
    "il": "Hebrew",
    "ara": "Arabic",
    "jp": "Japanese",
}


def layout_and_variant(keyboard: str) -> tuple[str, str]:
    """`ch(fr)` is layout `ch`, variant `fr`; raises ValueError for a keyboard that is not offered."""
    if keyboard not in KEYBOARDS:
        raise ValueError(f"keyboard: {keyboard[:40]!r} is not one of those offered")
    layout, _, variant = keyboard.partition("(")
    return layout, variant.rstrip(")")
