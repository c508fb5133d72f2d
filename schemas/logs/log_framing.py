"""The framing of a log: a MessagePack array with a 32-bit length, so that two can be joined without reading an item."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

LOG: Final = 0xDD
"""The first byte of a log. No other stored value begins with it."""
HEADER: Final = 5
"""The bytes before the first item: `LOG`, and the number of items."""


def begin_log(items: int) -> bytes:
    """Return the bytes before the items of a log."""
    return bytes((LOG,)) + items.to_bytes(4, "big")


def count_items(log: bytes) -> int:
    """Return how many items a log says that it has."""
    return int.from_bytes(log[1:HEADER], "big")


def join_logs(logs: Iterable[bytes]) -> bytes:
    """Return one log with the items of all, in their order."""
    given = list(logs)
    return begin_log(sum(map(count_items, given))) + b"".join(one[HEADER:] for one in given)


def is_log(value: bytes) -> bool:
    """Return whether items can be appended to a stored value."""
    return value[:1] == b"\xdd"
