"""Find the usual name of a technology from the names that providers give it."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from resegment.schemas.vocabulary import normalize_technology


class Technology(NamedTuple):
    """The slug of a technology, and its name; `name` is None if it is not listed."""

    slug: str
    name: str | None


@lru_cache(maxsize=4096)
def find_technology(raw: str) -> Technology:
    """Return the technology that a name means: `SFDC` is `salesforce`. One that is not listed has the slug of its name."""
    name = _names().get(_fold(raw))
    return Technology(normalize_technology(name if name is not None else raw), name)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    text = (
        resources.files("resegment.sources.normalizers")
        .joinpath("technologies.txt")
        .read_text(encoding="utf-8")
    )
    found: dict[str, str] = {}
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    for name, *_ in rows:
        found[_fold(name)] = name
    for name, *others in rows:
        for other in others:
            found.setdefault(_fold(other), name)
    return found


def _fold(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum() or one in "+#.") or name
