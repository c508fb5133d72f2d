"""Where a login leads: only to pages of the console."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 2_000


def check_next(given: str | None, home: str = "/") -> str:
    """Return the page to show after a login: the one given if it is a path of this server, else the first page."""
    if not given or len(given) > LONGEST or not given.startswith("/"):
        return home
    # browsers read a backslash as a slash, drop tabs and line breaks, and take //host for another host
    if "\\" in given or not given.isprintable() or " " in given:
        return home
    try:
        parts = urlsplit(given)
    except ValueError:
        return home
    if parts.scheme or parts.netloc or given.startswith("//"):
        return home
    return given
