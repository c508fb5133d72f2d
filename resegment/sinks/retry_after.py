"""Read the header Retry-After."""

from __future__ import annotations

import email.utils
from datetime import UTC


def read_retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds from `now` that a Retry-After asks for, as seconds or as a date; None if it is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
