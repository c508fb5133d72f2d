"""Seal the facts of a batch before they are published."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from resegment.errors import RefusedEvent
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.envelope import DataKey, is_sealed
from resegment.schemas.privacy.facts import SEALED, account_of, has_personal, seal_personal, subject_of
from resegment.schemas.privacy.fields import personal_fields

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
        subjects: list[Subject | None] = []
        names = [personal_fields(fact.kind, self.added(fact.recorded)) for fact in facts]
        for fact, fields in zip(facts, names, strict=True):
            subjects.append((account_of(fact), subject_of(fact)) if has_personal(fact, fields) else None)
        pairs = await keys.pairs([one for one in subjects if one is not None])
        found: list[Fact | None] = []
        for fact, fields, subject in zip(facts, names, subjects, strict=True):
            if subject is None:
                found.append(None if keys.is_forgotten(fact.account) else fact)
            else:
                pair = pairs[subject]
                found.append(
                    None
                    if pair is None
                    else seal_personal(fact, fields, pair[1], pair[1].sealer_after(pair[:1]))
                )
        return found


def refuse_sealed(fact: Fact) -> None:
    """Refuse an event with a sealed text in the place of its own fields: only this project seals."""
    if is_sealed(fact.data.get(SEALED)):
        raise RefusedEvent(
            "sealed-field",
            "the event brings a sealed text: send the fields themselves, they are sealed when the event arrives",
            field=f"data.{SEALED}",
        )
