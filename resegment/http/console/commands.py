"""Where the console does what a sentence says of a command: its pages, as links."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple
from urllib.parse import quote

from resegment.http.console.navigation import NAVIGATION

_PAGES: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = tuple(
    (re.compile(f"resegment {pattern}"), path, words)
    for pattern, path, words in (
        (
            r"dead-letters retry --endpoint (\S+)",
            "/dead-letters?endpoint={}",
            "the page of these dead letters",
        ),
        (r"dead-letters retry(?: .*)?", "/dead-letters", "the page Dead letters"),
        (r"history", "/versions", "the page Versions"),
        (r"rollback(?: \d+)?", "/versions", "the page Versions"),
        (r"show (\d+)", "/versions/{}", "its page"),
        (r"plan", "/versions", "the page Versions"),
        (r"shadow", "/versions/shadow", "the page Shadow"),
        (r"status", "/", "the page Overview"),
        (r"accounts", "/accounts", "the page Accounts"),
        (r"changes", "/changes", "the page Changes"),
        (r"(?:explain|play) (\S+)", "/accounts/{}", "its page"),
        (r"audit", "/audit", "the page Audit"),
        (r"owners(?: list)?", "/workflows", "the page Workflows"),
        (r"routing list", "/workflows", "the page Workflows"),
        (r"(?:webhooks|sinks) list", "/delivery", "the page Webhooks and sinks"),
        (r"webhooks (?:enable|disable)(?: \S+)?", "/delivery", "the page Webhooks and sinks"),
        (r"metrics", "/outcomes", "the page Outcomes"),
    )
)
"""Commands that the console has a page for, as whole texts, with the page and what a sentence calls it."""


class PageLink(NamedTuple):
    """A page in place of a command: its address, and its words inside a sentence."""

    url: str
    words: str


_ADDRESS: ContextVar[Callable[[str], str] | None] = ContextVar("_ADDRESS", default=None)


@contextmanager
def linking_by(address: Callable[[str], str]) -> Iterator[None]:
    """Link to pages inside the block; `address` returns the address of a path of the console."""
    token = _ADDRESS.set(address)
    try:
        yield
    finally:
        _ADDRESS.reset(token)


def find_page(text: str) -> PageLink | None:
    """Return the page that a command, or the title of a page, stands for; None where there is none, or no page is shown."""
    address = _ADDRESS.get()
    if address is None:
        return None
    for entry in NAVIGATION:
        if text == entry.title:
            return PageLink(address(entry.path), f"the page {entry.title}")
    for pattern, path, words in _PAGES:
        match = pattern.fullmatch(text)
        if match is not None:
            return PageLink(address(path.format(*(quote(one, safe="") for one in match.groups()))), words)
    return None
