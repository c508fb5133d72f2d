"""The data set that every figure about outcomes is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

import polars as pl

from resegment.outcomes.crediting import credit
from resegment.outcomes.frames import OUTCOMES, TOUCHES, Columns, Ledgers
from resegment.schemas.outcomes.ledger import LedgerItem

WINDOW: Final = timedelta(days=90)
"""For how long after a touch an outcome that names no touch may be credited to it, unless somebody says otherwise."""


class NotADataset(ValueError):
    """A frame does not have the columns of a data set."""

    def __init__(self, frame: str, problem: str) -> None:
        super().__init__(f"the frame of {frame} {problem}")
        self.frame = frame


@dataclass(frozen=True, slots=True)
class Dataset:
    """Touches, and outcomes with the touch that each is credited to; see `TOUCHES` and `OUTCOMES` for the columns.

    Touches are sorted by `at` and `touch`, outcomes by `at`, `account`, `source` and `record`. `window` is that of the crediting.
    `dropped` counts touches and outcomes that are missing because an account had too many.
    """

    touches: pl.DataFrame
    outcomes: pl.DataFrame
    window: timedelta = WINDOW
    dropped: int = 0

    def __post_init__(self) -> None:
        _check("touches", self.touches, TOUCHES)
        _check("outcomes", self.outcomes, OUTCOMES)

    @classmethod
    def of(
        cls,
        items: Iterable[LedgerItem] | Ledgers,
        *,
        window: timedelta = WINDOW,
        accounts: Mapping[str, str] | None = None,
    ) -> Self:
        """Credit outcomes to touches, given in any order, repeated or not.

        `accounts` says by alias which account it was merged into; other accounts are themselves.
        """
        ledgers = items if isinstance(items, Ledgers) else Ledgers.of(items)
        touches, outcomes = credit(ledgers, window, accounts or {})
        return cls(touches, outcomes, window, ledgers.dropped)

    def of_account(self, name: str, accounts: Mapping[str, str]) -> Self:
        """Return what concerns one account, and those that were merged into it as `accounts` says."""
        names = [name, *(alias for alias, account in accounts.items() if account == name)]
        mine = pl.col("account").is_in(names)
        return replace(self, touches=self.touches.filter(mine), outcomes=self.outcomes.filter(mine))

    @property
    def uncredited(self) -> dict[str, int]:
        """Return the number of outcomes that are credited to no touch, by reason."""
        found = self.outcomes.filter(pl.col("touch").is_null()).group_by("reason").len().sort("reason")
        return dict(found.iter_rows())


def _check(name: str, frame: pl.DataFrame, columns: Columns) -> None:
    if frame.schema != pl.Schema(columns):
        raise NotADataset(name, f"has the columns {dict(frame.schema)}, not {dict(columns)}")
