"""Touches and outcomes as frames: their columns, and how the items of ledgers become rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Self

import polars as pl

from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import Dropped, LedgerItem
from resegment.schemas.outcomes.touch import Touch, TouchesForgotten, TouchKey, TouchVoid

Instant: Final = pl.Datetime("ms", "UTC")
Columns = Mapping[str, Any]

TOUCHES: Final[Columns] = {
    "touch": pl.String(),
    "account": pl.String(),
    "at": Instant,
    "segment": pl.String(),
    "play": pl.String(),
    "owner": pl.String(),
    "team": pl.String(),
    "workflow": pl.String(),
    "channel": pl.String(),
    "version": pl.Int64(),
    "definition_version": pl.String(),
    "arm": pl.String(),
    "experiment": pl.String(),
    "variant": pl.String(),
    "change": pl.String(),
}
"""A row is one touch. `change` is the segment change that it followed from."""

OUTCOMES: Final[Columns] = {
    "account": pl.String(),
    "record": pl.String(),
    "at": Instant,
    "action": pl.String(),
    "person": pl.String(),
    "deal": pl.String(),
    "channel": pl.String(),
    "sequence": pl.String(),
    "amount": pl.Float64(),
    "currency": pl.String(),
    "amount_usd": pl.Float64(),
    "opened_at": Instant,
    "touch": pl.String(),
    "credited_by": pl.String(),
    "reason": pl.String(),
    "source": pl.String(),
    "stage": pl.String(),
}
"""A row is one outcome that holds, with the touch that it is credited to; `reason` says why it is credited to none."""

FACTS: Final[Columns] = {
    "account": pl.String(),
    "source": pl.String(),
    "record": pl.String(),
    "id": pl.String(),
    "at": Instant,
    "recorded": Instant,
    "retracted": pl.Boolean(),
    "action": pl.String(),
    "person": pl.String(),
    "deal": pl.String(),
    "channel": pl.String(),
    "sequence": pl.String(),
    "amount": pl.Float64(),
    "currency": pl.String(),
    "amount_usd": pl.Float64(),
    "opened_at": Instant,
    "key": pl.String(),
    "stage": pl.String(),
}
"""A row is one revision of one outcome, before anything is credited."""

VOIDS: Final[Columns] = {"account": pl.String(), "at": Instant, "change": pl.String()}
KEYS: Final[Columns] = {"account": pl.String(), "at": Instant, "key": pl.String(), "touch": pl.String()}


@dataclass(slots=True)
class Ledgers:
    """What is known of accounts, in any order: touches, what voids them, what else means them, and outcomes.

    `dropped` counts what their stores had no room for.
    """

    touches: list[Touch] = field(default_factory=list)
    voids: list[TouchVoid] = field(default_factory=list)
    keys: list[TouchKey] = field(default_factory=list)
    facts: list[OutcomeFact] = field(default_factory=list)
    dropped: int = 0

    @classmethod
    def of(cls, items: Iterable[LedgerItem]) -> Self:
        """Return the ledgers with the items, of any accounts."""
        ledgers = cls()
        ledgers.take(items)
        return ledgers

    def take(self, items: Iterable[LedgerItem | TouchesForgotten]) -> None:
        """Take the items of a ledger, or of published touches in their order."""
        lists = {Touch: self.touches, TouchVoid: self.voids, TouchKey: self.keys, OutcomeFact: self.facts}
        add = {kind: one.append for kind, one in lists.items()}  # type: ignore[attr-defined]
        for item in items:
            if isinstance(item, Dropped):
                self.dropped += item.count
            elif isinstance(item, TouchesForgotten):
                self._forget(item.account)
            else:
                add[type(item)](item)

    def _forget(self, account: str) -> None:
        """Leave out the touches of an account."""
        self.touches[:] = [one for one in self.touches if one.account != account]
        self.voids[:] = [one for one in self.voids if one.account != account]
        self.keys[:] = [one for one in self.keys if one.account != account]


def to_frame(rows: Sequence[Any], columns: Columns) -> pl.DataFrame:
    """Return the frame of structs whose fields have the names of the columns; instants are in ms."""
    return pl.DataFrame(
        [_column(name, kind, list(map(attrgetter(name), rows))) for name, kind in columns.items()]
    )


def _column(name: str, kind: Any, values: list[Any]) -> pl.Series:
    if kind == Instant:
        return pl.Series(name, values, dtype=pl.Int64).cast(kind)
    return pl.Series(name, values, dtype=kind)
