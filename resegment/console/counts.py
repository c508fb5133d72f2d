"""Numbers of things, for people."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """Return the number with its noun, like `1 account` and `2,000 accounts`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
