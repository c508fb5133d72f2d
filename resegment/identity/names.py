"""Read subjects that are no domain: names of companies, ids that providers give, and pages of companies on LinkedIn.

They mean an account only where an alias says so.
"""

from __future__ import annotations

import re
from typing import Final

from resegment.errors import RefusedEvent

LONGEST_NAME: Final = 200
NAME: Final = "name:"
"""Begins a subject that is the name of a company."""

_LINKEDIN: Final = re.compile(
    r"(?:https?://)?(?:[a-z]{2,3}\.)?linkedin\.com/(?:company|showcase|school)/([^/?#\s]+)/?(?:[?#].*|[a-z]+/?)?",
    re.IGNORECASE,
)
_PROVIDER_ID: Final = re.compile(r"([a-z][a-z0-9_-]{1,31}):([^\s/@\\]{1,150})", re.IGNORECASE)
_NO_PROVIDERS: Final = frozenset(
    {"http", "https", "mailto", "tel", "ftp", "urn", "localhost", "javascript", "data"}
)
_SPACE: Final = re.compile(r"\s+")


class Unresolved(RefusedEvent):
    """The subject is a name, an id or a page, and no alias says which account it means. `name` is its usual spelling."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "unresolved",
            f"{name!r} means no account yet: `resegment accounts resolve` says which one",
            field="subject",
        )
        self.name = name


def read_name(subject: str) -> str | None:
    """Return the usual spelling of a subject that is a name, an id or a page; None for anything else.

    `name:Acme Inc`, `Acme  Inc` and `ACME INC` are all `name:acme inc`; an id keeps its case after the provider's name
    (`hubspot:123`); a page of any language on LinkedIn is `linkedin.com/company/acme`.
    """
    text = _SPACE.sub(" ", subject).strip()
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        return None
    if text[: len(NAME)].lower() == NAME:
        return _name(text[len(NAME) :])
    page = _LINKEDIN.fullmatch(text)
    if page is not None:
        return f"linkedin.com/company/{page[1].lower()}"
    given = _PROVIDER_ID.fullmatch(text)
    if given is not None:
        provider = given[1].lower()
        return None if provider in _NO_PROVIDERS or given[2].isspace() else f"{provider}:{given[2]}"
    if " " in text and not any(mark in text for mark in "/@\\:") and "." not in text.rpartition(" ")[2][:-1]:
        return _name(text)
    return None


def _name(text: str) -> str | None:
    name = text.strip().casefold()
    return f"{NAME}{name}" if any(one.isalpha() for one in name) else None
