"""Which fields of an event are personal, and which person they are about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final

from resegment.schemas.fact import KINDS, Kind

EVERY_KIND: Final = (
    "person",
    "email",
    "phone",
    "linkedin",
    "first_name",
    "last_name",
    "full_name",
    "statement",
    "previous_company",
)
"""The fields that are personal in every kind, at any depth of the data."""

OF_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "leadership": ("title", "url"),
    "engagement": ("url",),
    "strategy": ("url",),
    "people": ("title", "url", "name"),
}
"""The fields that are personal in some kinds only: the title of a job, for example, is not."""

RAW: Final = "_raw"
"""Beside a normalized field, the field of this suffix has what the source wrote."""

CALLING: Final = ("person", "email", "full_name", "linkedin")
"""The fields that name the person of an event; a first and a last name do it together."""

MAX_PERSON: Final = 500
"""How many characters of a name tell persons apart."""

_BETWEEN: Final = re.compile(r"[\s/:;,|<>()\[\]]+")


def personal_fields(kind: Kind, extra: Collection[str] = ()) -> frozenset[str]:
    """Return the names of the personal fields of a kind, with those that a segments file adds (`privacy: personal:`)."""
    return _fields_of(kind) if not extra else _extended(kind, frozenset(extra))


@cache
def _fields_of(kind: str) -> frozenset[str]:
    return _with_raw((*EVERY_KIND, *OF_KINDS.get(kind, ())))


@cache
def _extended(kind: str, extra: frozenset[str]) -> frozenset[str]:
    return _fields_of(kind) | _with_raw(extra)


def _with_raw(names: Collection[str]) -> frozenset[str]:
    return frozenset(names) | {name + RAW for name in names}


FIELDS: Final[Mapping[Kind, frozenset[str]]] = {kind: _fields_of(kind) for kind in KINDS}
"""The personal fields of each kind, with what sources wrote."""


def list_personal_fields() -> dict[str, list[str]]:
    """Return the personal fields of each kind, in order, for the contract."""
    return {kind: sorted((*EVERY_KIND, *OF_KINDS.get(kind, ()))) for kind in KINDS}


def person_of(data: Mapping[str, Any]) -> str | None:
    """Return the person that data is about, normalized: its person, else its e-mail address; None where it names nobody."""
    for name in ("person", "email"):
        value = data.get(name)
        if isinstance(value, str) and (found := normalize_person(value)):
            return found
    return None


def ways_of(data: Mapping[str, Any]) -> list[str]:
    """Return all that data call their person, normalized: names and addresses.

    A phone number is none of them: a company may have one for all.
    """
    first, last = data.get("first_name"), data.get("last_name")
    full = f"{first} {last}" if isinstance(first, str) and isinstance(last, str) else None
    given = [*map(data.get, CALLING), full]
    return [name for one in given if isinstance(one, str) and (name := normalize_person(one))]


def normalize_person(text: str) -> str:
    """Return a name or an address in the one spelling that its keys are made from."""
    return spell_plainly(text)[:MAX_PERSON]


def spell_plainly(text: str) -> str:
    """Return a text of any length as persons in it are spelled by `normalize_person`."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def find_address(text: str) -> str | None:
    """Return the first e-mail address in a text, as in the id of a record; None where there is none."""
    if "@" not in text:
        return None
    for word in _BETWEEN.split(text):
        local, _, domain = word.partition("@")
        if local and "." in domain:
            return word
    return None
