"""Find where a person is named: by every spelling that facts link."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from resegment.schemas.fact import Fact
from resegment.schemas.privacy.fields import normalize_person, spell_plainly

SHORTEST: Final = 3
"""A spelling of fewer characters is only looked for as a whole: it would be in many texts."""


class Mentions:
    """The spellings of a person. Facts that have a name and an address beside each other link the two."""

    def __init__(self, person: str) -> None:
        self.spellings = {normalize_person(person)} - {""}

    def link(self, fact: Fact) -> None:
        """Learn from a fact that two spellings are one person."""
        linked = {normalize_person(one) for one in _ways(fact.data)} - {""}
        if not self.spellings.isdisjoint(linked):
            self.spellings |= linked

    def are_in(self, value: Any) -> bool:
        """Return whether a value names the person anywhere."""
        if isinstance(value, str):
            plain = spell_plainly(value)
            return any(one == plain or (len(one) >= SHORTEST and one in plain) for one in self.spellings)
        if isinstance(value, bytes):
            return self.are_in(value.decode("utf-8", "replace"))
        if isinstance(value, Mapping):
            return any(self.are_in(one) for pair in value.items() for one in pair)
        if isinstance(value, Collection):
            return any(self.are_in(one) for one in value)
        return False


def _ways(data: Mapping[str, Any]) -> list[str]:
    """Return how a fact calls its person."""
    full = " ".join(one for name in ("first_name", "last_name") if isinstance(one := data.get(name), str))
    given = (data.get(name) for name in ("person", "full_name", "email", "phone", "linkedin"))
    return [one for one in (*given, full) if isinstance(one, str) and one]
