"""Find how events and contacts of an account call a person: who is forgotten by one name is forgotten by all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from resegment.schemas.fact import Fact
from resegment.schemas.privacy.fields import normalize_person, ways_of
from resegment.state.sinks.people import Person

_LEADS: Final = re.compile(r"[ @/]")
"""A single word, like "Ann" or "unknown", leads to nobody else unless it is what was asked for: many may be called so."""


def find_spellings(person: str, contacts: Iterable[Person], facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return a person's spellings, normalized: names and addresses that a contact or a fact, opened, has beside each other."""
    linked = [_normalize(_ways_to(one)) for one in contacts]
    linked += [ways for one in facts if len(ways := ways_of(one.data)) > 1]
    found = dict.fromkeys(_normalize([person]))
    leads, before = set(found), -1
    while len(found) != before:
        before = len(found)
        for ways in linked:
            if not leads.isdisjoint(ways):
                found |= dict.fromkeys(ways)
                leads.update(one for one in ways if _LEADS.search(one))
    return tuple(found)


def _normalize(ways: Iterable[str]) -> list[str]:
    return [name for one in ways if (name := normalize_person(one))]


def _ways_to(person: Person) -> list[str]:
    full = " ".join(filter(None, (person.first_name, person.last_name)))
    return [one for one in (person.email, full, person.linkedin) if one]
