"""Check the headers that an endpoint adds to each request: they must not change the request or its signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MOST: Final = 20
"""How many headers an endpoint may add."""
LONGEST_VALUE: Final = 8_192
"""The most characters of one value."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,100}")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers that the request has already, or that would change how it is read."""


def check_headers(given: Mapping[str, object]) -> None:
    """Check the names. Raises ValueError, which names the header."""
    if len(given) > MOST:
        raise ValueError(f"at most {MOST} headers may be added")
    seen: set[str] = set()
    for name in given:
        lower = name.lower()
        if not _NAME.fullmatch(lower):
            raise ValueError(f"{name[:60]!r} is not a valid name for a header")
        if lower in _OURS or lower.startswith("webhook-"):
            raise ValueError(f"the header {lower} is part of the request or its signature: it cannot be set")
        if lower in seen:
            raise ValueError(f"the header {lower} is there twice")
        seen.add(lower)


def check_value(text: str) -> str:
    """Return the value of a header. Raises ValueError, which does not quote it: it is a secret."""
    if not text:
        raise ValueError("it is empty")
    if len(text) > LONGEST_VALUE:
        raise ValueError(f"it is longer than {LONGEST_VALUE:,} characters")
    if not _VALUE.fullmatch(text):
        raise ValueError("a header is one line of ASCII text, without control characters")
    return text
