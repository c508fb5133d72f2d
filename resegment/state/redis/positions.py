"""The position of a partition as its `meta` hash holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from resegment.state.partition_store import Position

POSITION_FIELDS: Final = (
    *("commit", "offset", "timestamp", "digest", "log", "clock", "side", "side_mark", "definition"),
)
"""The fields of the hash, in the order in which `decode_position` takes their values."""


def decode_position(values: Sequence[bytes | None]) -> Position | None:
    """Return the position, or None where nothing was ever committed."""
    commit, offset, timestamp, digest, log, clock, side, side_mark, definition = values
    if commit is None:
        return None
    return Position(
        offset=int(offset or 0),
        timestamp=int(timestamp or 0),
        digest=(digest or b"").decode(),
        log=(log or b"").decode(),
        clock=int(clock or 0),
        commit=int(commit),
        side=int(side or 0),
        side_mark=(side_mark or b"").decode(),
        definition=(definition or b"").decode(),
    )


def encode_side(position: Position) -> str:
    """Return what the script splits into the fields `side` and `side_mark`."""
    return f"{position.side} {position.side_mark}".rstrip()
