"""The position of a partition as its `meta` hash holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from resegment.state.partition_store import Position

POSITION_FIELDS: Final = ("commit", "offset", "timestamp", "digest", "log", "clock", "side")
"""The fields of the hash, in the order in which `decode_position` takes their values."""


def decode_position(values: Sequence[bytes | None]) -> Position | None:
    """Return the position, or None where nothing was ever committed."""
    commit, offset, timestamp, digest, log, clock, side = values
    if commit is None:
        return None
    beside, _, mark = (side or b"0").decode().partition(" ")
    return Position(
        offset=int(offset or 0),
        timestamp=int(timestamp or 0),
        digest=(digest or b"").decode(),
        log=(log or b"").decode(),
        clock=int(clock or 0),
        commit=int(commit),
        side=int(beside),
        side_mark=mark,
    )


def encode_side(position: Position) -> str:
    """Return the value of the field `side`: the offset, and the mark of the record before it."""
    return f"{position.side} {position.side_mark}".rstrip()
