"""How the gateway tells the process that started it why it ended: in the last line of its log."""

from __future__ import annotations

import msgspec

from resegment.errors import ResegmentError


class End(msgspec.Struct, frozen=True, tag="end"):
    """Why it ended, and how to fix that."""

    message: str
    remedy: str | None


def describe_end(error: ResegmentError) -> str:
    """Return the last line of the log."""
    return msgspec.json.encode(End(error.message, error.remedy)).decode()


def read_end(log_tail: str) -> End | None:
    """Return what the last line of a log says; None if it says nothing of an end."""
    try:
        return msgspec.json.decode(log_tail.rpartition("\n")[2], type=End)
    except msgspec.DecodeError:
        return None
