"""Take out of a value what is the person's own, and leave out what is another person's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from resegment.schemas.privacy.fields import find_address
from resegment.streams.exporting.calling import read_called
from resegment.streams.exporting.person import Doubt, Person

NOTHING: Final = object()
"""Stands for a value of which nothing is left."""


class OwnParts:
    """Takes the parts of values about an account that are a person's own. `doubts` counts what may be."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.doubts: Counter[Doubt] = Counter()

    def of(self, account: str, value: Any) -> Any:
        """Return what a value says about the person, NOTHING if it says nothing.

        A part that calls a person by name or address is taken as a whole, or not at all. Of what calls nobody, texts are
        taken that name the person.
        """
        if isinstance(value, str):
            return value if self.person.is_named_in(account, value) else NOTHING
        if isinstance(value, Mapping):
            return self._of_mapping(account, value)
        if isinstance(value, list | tuple):
            return [one for item in value if (one := self.of(account, item)) is not NOTHING] or NOTHING
        return NOTHING

    def _of_mapping(self, account: str, value: Mapping[str, Any]) -> Any:
        data = value.get("data")
        about = data if isinstance(data, Mapping) else value  # an event is about whom its data are about
        called = read_called(about)
        if called.is_nobody:
            found = {
                name: part for name, one in value.items() if (part := self.of(account, one)) is not NOTHING
            }
            return found or NOTHING
        if self.person.is_own(account, about):
            return self.without_others(account, value)
        doubt = self.person.doubt(account, called)
        if doubt is None and self.of(account, list(value.values())) is not NOTHING:
            doubt = "several_persons"
        if doubt is not None:
            self.doubts[doubt] += 1
        return NOTHING

    def without_others(self, account: str, value: Any) -> Any:
        """Return what is the person's own without the parts that call others, and without the addresses of others."""
        return prune(value, lambda one: self._is_others(account, one))

    def _is_others(self, account: str, value: Any) -> bool:
        if isinstance(value, str):
            return find_address(value) is not None and not self.person.is_named_in(account, value)
        return not read_called(value).is_nobody and not self.person.is_own(account, value)


def prune(value: Any, leaves: Callable[[Any], bool]) -> Any:
    """Return a value without the texts and the mappings in it, at any depth, that are left out."""
    if isinstance(value, Mapping):
        return {name: prune(one, leaves) for name, one in value.items() if not _is_left_out(one, leaves)}
    if isinstance(value, list | tuple):
        return [prune(one, leaves) for one in value if not _is_left_out(one, leaves)]
    return value


def _is_left_out(value: Any, leaves: Callable[[Any], bool]) -> bool:
    return isinstance(value, str | Mapping) and leaves(value)
