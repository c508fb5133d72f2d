"""The trace that a record belongs to, as the header `traceparent` of W3C Trace Context says it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

TRACEPARENT: Final = "traceparent"
"""The header, in Kafka as in HTTP."""

_FORM: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def parse_traceparent(text: str | None) -> str | None:
    """Return the text if it is a traceparent, else None."""
    return text if text is not None and _FORM.fullmatch(text) else None


def read_traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """Return the traceparent of a record, or None. Any producer may write what it likes into a header."""
    for name, value in headers:
        if name == TRACEPARENT:
            return parse_traceparent(None if value is None else value[:64].decode("latin-1"))
    return None


def is_sampled(traceparent: str) -> bool:
    """Return whether the trace is recorded."""
    return int(traceparent[-2:], 16) & 1 == 1
