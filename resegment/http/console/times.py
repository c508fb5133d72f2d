"""Read the instants of addresses and forms."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo

from resegment.errors import UserError
from resegment.schemas.times import parse_instant

_LOCAL: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?", re.ASCII)


class NoInstant(UserError):
    """A text of an address is no instant."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a time",
            remedy="Write a day (2026-01-31), a day and time (2026-01-31T09:00), or a time with its offset "
            "(2026-01-31T09:00:00Z).",
        )
        self.text = text


def read_instant(text: str | None, zone: str) -> int | None:
    """Return an instant (ms): RFC 3339, or a day with or without a time in a zone. None for nothing. Raises NoInstant."""
    if text is None or not text.strip():
        return None
    match = _LOCAL.fullmatch(text.strip())
    try:
        if match is None:
            return parse_instant(text.strip().replace(" ", "+"))  # a plus sign of an offset
        day, clock, seconds = match.groups()
        local = dt.datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ':00'}")
        return int(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise NoInstant(text) from None


def spell_local(ms: int, zone: str) -> str:
    """Return an instant as a field of a form takes it: `2026-01-31T09:00:00`."""
    local = dt.datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    return local.strftime("%Y-%m-%dT%H:%M:%S")
