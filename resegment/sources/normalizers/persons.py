"""Spell persons in one way: an e-mail address in lower case, without a name around it."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")


def normalize_person(raw: str) -> str:
    """Return an address in lower case: `Jo Doe <Jo@Acme.com>` -> `jo@acme.com`. Any other text only loses its space around.

    >>> normalize_person("mailto:JO@acme.com")
    'jo@acme.com'
    """
    text = raw.strip()
    named = _ADDRESS.search(text)
    if named is not None:
        text = named.group(1)
    if text[:7].lower() == "mailto:":
        text = text[7:]
    return text.lower() if "@" in text and not any(one.isspace() for one in text) else text
