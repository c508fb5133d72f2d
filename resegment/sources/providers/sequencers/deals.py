"""Deals as sequencers know them: opened, moved to another stage, won or lost, open again, or deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resegment.schemas.vocabulary import normalize_term
from resegment.sources.adapters.currency import keep_currency
from resegment.sources.adapters.envelope import Op
from resegment.sources.adapters.fields import Field, field
from resegment.sources.adapters.records import Record
from resegment.sources.adapters.tables import Table
from resegment.sources.providers.sequencers.outcomes import outcome

GONE: Final = "deal_is_gone"
"""A field of the row, true where the deal was deleted."""
MOVED: Final = "deal_moved_at"
"""A field of the row: when the deal came into its stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DealPaths:
    """Where a provider's deals have what an outcome needs."""

    id: tuple[str, ...]
    subject: tuple[str, ...]
    known_as: tuple[str, ...]
    opened: tuple[str, ...]
    closed: tuple[str, ...]
    amount: tuple[str, ...]
    currency: tuple[str, ...]
    stage: tuple[str, ...]
    reason: tuple[str, ...] = ()
    is_closed: tuple[str, ...] = ("is_closed", "isClosed")
    is_won: tuple[str, ...] = ("is_won", "isWon")
    updated: tuple[str, ...] = ("updatedAt", "updated_at")
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deals:
    """The tables of a provider's deals."""

    paths: DealPaths
    opened: Table
    closed: Table
    moved: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        """Return all tables."""
        return (self.opened, self.closed, self.moved)

    def created(self, row: Mapping[str, Any]) -> Iterator[tuple[Table, Mapping[str, Any]]]:
        """Yield that a deal was opened, and that it is closed already if it is."""
        yield self.opened, row
        if self.result(Record(row)) is not None:
            yield self.closed, row

    def changed(
        self, row: Mapping[str, Any], *, reopens: bool = False
    ) -> Iterator[tuple[Table, Mapping[str, Any]]]:
        """Yield that a deal came into a stage: one that closes it, or another one.

        `reopens` says that the deal may have been closed before, so that an open stage withdraws the close.
        """
        record = Record(row)
        if self.result(record) is not None:
            yield self.closed, row
            return
        if record.find(*self.paths.stage) is not None:
            yield self.moved, row
        if reopens:
            yield self.closed, row

    def deleted(self, row: Mapping[str, Any]) -> Iterator[tuple[Table, Mapping[str, Any]]]:
        """Yield that a deal is gone, which withdraws what was said of it."""
        yield self.opened, {**row, GONE: True}
        yield self.closed, {**row, GONE: True}

    def result(self, record: Record) -> str | None:
        """Return won or lost for a deal that is closed; None for an open one."""
        won = str(record.find(*self.paths.is_won)).lower()
        closed = str(record.find(*self.paths.is_closed)).lower()
        stage = normalize_term(record.find_text(*self.paths.stage) or "").split("_")
        if won == "true":
            return "won"
        if closed == "false":
            return None
        if "won" in stage:
            return "won"
        if "lost" in stage or (closed == "true" and won == "false"):
            return "lost"
        return None


def describe_deals(paths: DealPaths) -> Deals:
    """Return the tables of a provider's deals."""

    def result(record: Record) -> str | None:
        return deals.result(record)

    def op(record: Record) -> Op:
        return "retract" if record.find(GONE) is True else "assert"

    def close_op(record: Record) -> Op:
        return "retract" if record.find(GONE) is True or result(record) is None else "assert"

    def refine(record: Record, data: dict[str, Any]) -> None:
        keep_currency(record, data, *paths.currency)

    def refine_closed(record: Record, data: dict[str, Any]) -> None:
        refine(record, data)
        data["action"] = result(record)

    plain: dict[str, Field] = {
        "deal": field("text", *paths.id),
        "name": field("text", "name"),
        "stage": field("text", *paths.stage),
        "amount_usd": field("money", *paths.amount),
    }
    opened_at = {"opened_at": field("time", *paths.opened)}
    shared: dict[str, Any] = {
        "person": ("person_email",),
        "withdrawn": (*paths.updated, MOVED),
        "subject": paths.subject,
        "known_as": paths.known_as,
        "channel": None,
        "ignored": paths.ignored,
    }
    key = ("|".join(paths.id),)
    deals = Deals(
        paths,
        outcome(
            "deal", record="deal", key=key, time=paths.opened, action="opportunity_created", more=plain, op=op, refine=refine, **shared
        ),
        outcome(
            "closed deal", record="deal-closed", key=key, time=(MOVED, *paths.closed), action="won",
            more={**plain, **opened_at, "reason": field("text", *paths.reason)} if paths.reason else {**plain, **opened_at},
            op=close_op, refine=refine_closed, recorded=(MOVED, *paths.updated), **shared,
        ),
        outcome(
            "deal in another stage", record="deal-stage", key=(*key, "|".join(paths.stage), "@time"), time=(MOVED, *paths.closed),
            action="stage_changed", more={**plain, **opened_at}, refine=refine, **shared,
        ),
    )  # fmt: skip
    return deals
