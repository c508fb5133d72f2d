"""Suggest the word that was meant: by its meaning, or by its letters."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

_MEANT: Final = {
    "hired": "joined",
    "appointed": "joined",
    "started": "joined",
    "hire": "joined",
    "new": "joined",
    "departed": "left",
    "resigned": "left",
    "fired": "left",
    "exited": "left",
    "promotion": "promoted",
    "posted": "opened",
    "published": "opened",
    "open": "opened",
    "created": "opened",
    "filled": "closed",
    "close": "closed",
    "expired": "closed",
    "adopted": "added",
    "installed": "added",
    "detected": "added",
    "add": "added",
    "dropped": "removed",
    "uninstalled": "removed",
    "churned": "removed",
    "remove": "removed",
}
"""What people write for a word of the contract."""


def find_word(text: str, words: Sequence[str], cutoff: float = 0.75) -> str | None:
    """Return the word that was probably meant; None if none is close."""
    folded = text.strip().casefold().replace(" ", "_")
    if folded in words:
        return folded
    meant = _MEANT.get(folded)
    if meant is not None and meant in words:
        return meant
    close = get_close_matches(folded, words, 1, cutoff)
    return close[0] if close else None


def suggest_word(text: str, words: Sequence[str]) -> str:
    """Return the advice for a word that is none of some words."""
    found = find_word(text, words)
    return f"did you mean {found!r}?" if found is not None else f"use one of {', '.join(words)}"
