"""Find how events and contacts of an account call a person: who is forgotten by one name is forgotten by all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from resegment.schemas.fact import Fact
from resegment.schemas.privacy.fields import normalize_person
from resegment.state.sinks.people import Person

_LINKING: Final = ("person", "full_name", "email", "linkedin")
"""The fields that call one person. A phone number links nobody: a company may have one for all."""


def find_spellings(person: str, contacts: Iterable[Person], facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return a person's spellings, normalized: names and addresses that a contact or a fact, opened, has beside each other."""
    linked = [_normalize(_ways_of(one)) for one in contacts]
    linked += [ways for one in facts if len(ways := _normalize(_ways_in(one.data))) > 1]
    found, before = dict.fromkeys(_normalize([person])), -1
    while len(found) != before:
        before = len(found)
        for ways in linked:
            if not found.keys().isdisjoint(ways):
                found |= dict.fromkeys(ways)
    return tuple(found)


def _normalize(ways: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in ways if (name := normalize_person(one))))


def _ways_of(person: Person) -> list[str]:
    full = " ".join(filter(None, (person.first_name, person.last_name)))
    return [one for one in (person.email, full, person.linkedin) if one]


def _ways_in(data: Mapping[str, Any]) -> list[str]:
    names = (data.get("first_name"), data.get("last_name"))
    full = " ".join(names) if all(isinstance(one, str) for one in names) else ""  # type: ignore[arg-type]
    return [one for one in (*map(data.get, _LINKING), full) if isinstance(one, str)]
