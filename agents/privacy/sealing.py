"""Seal the facts of a batch before they are published."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from resegment.errors import RefusedEvent
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.envelope import DataKey, is_sealed
from resegment.schemas.privacy.facts import SEALED, account_of, has_personal, seal_personal, subject_of
from resegment.schemas.privacy.fields import FIELDS, personal_fields

Subject = tuple[str, str | None]
Pair = tuple[DataKey, DataKey]


class SealingKeys(Protocol):
    """The keys of a prefix, for what is written. Calls that look something up raise StoreUnavailable."""

    async def pairs(self, subjects: Iterable[Subject]) -> Mapping[Subject, Pair | None]:
        """Return what seals facts about each account and person; None where it is forgotten."""
        ...

    async def refresh_forgotten(self) -> None:
        """Learn what is forgotten, unless that is known for some seconds."""
        ...

    @property
    def forgets(self) -> bool:
        """Return whether anything is forgotten."""
        ...

    def forgets_person(self, account: str, person: str | None, data: Mapping[str, Any]) -> bool:
        """Return whether a person is forgotten, or one who is called as the data call them."""
        ...

    def is_forgotten(self, account: str) -> bool:
        """Return whether an account is forgotten."""
        ...


@dataclass(frozen=True, slots=True)
class FactSealer:
    """Seals facts. `added` gives the fields that are personal too for events that become known at an instant (ms)."""

    keys: SealingKeys
    added: Callable[[int], Collection[str]] = lambda _: ()

    async def seal(self, facts: Sequence[Fact]) -> Sequence[Fact | None]:
        """Return each fact as it is to be published; None for one whose account or person is forgotten.

        Raises StoreUnavailable; the batch is then retried.
        """
        keys = self.keys
        await keys.refresh_forgotten()
        found: list[Fact | None] = list(facts)
        personal: list[tuple[int, Fact, frozenset[str], Subject]] = []
        for place, fact in enumerate(facts):
            added = self.added(fact.recorded)
            fields = personal_fields(fact.kind, added) if added else FIELDS[fact.kind]
            if has_personal(fact, fields):
                subject = account_of(fact), subject_of(fact)
                if keys.forgets and keys.forgets_person(
                    *subject, fact.data
                ):  # also by another name of theirs
                    found[place] = None
                else:
                    personal.append((place, fact, fields, subject))
        pairs = await keys.pairs([subject for _, _, _, subject in personal])
        for place, fact, fields, subject in personal:
            pair = pairs[subject]
            found[place] = (
                None if pair is None else seal_personal(fact, fields, pair[1], pair[1].sealer_after(pair[:1]))
            )
        if keys.forgets:
            found = [None if one is None or keys.is_forgotten(one.account) else one for one in found]
        return found


def refuse_sealed(fact: Fact) -> None:
    """Refuse an event with a sealed text in the place of its own fields: only this project seals."""
    if is_sealed(fact.data.get(SEALED)):
        raise RefusedEvent(
            "sealed-field",
            "the event brings a sealed text: send the fields themselves, they are sealed when the event arrives",
            field=f"data.{SEALED}",
        )
