"""The port of a database that holds the tables, and what every one of them does in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from resegment.errors import FatalError, TransientError, UserError
from resegment.tables import statements
from resegment.tables.columns import COLUMNS
from resegment.tables.crediting import asks_credit, credit_accounts
from resegment.tables.forgetting import forget_accounts
from resegment.tables.rows import OPERATIONS, Batch, Row
from resegment.tables.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a partition of a topic is written: the next offset, and the record before it."""

    next_offset: int = 0
    mark_timestamp: int | None = None
    mark_digest: str | None = None


class DatabaseUnreachable(TransientError):
    """The database does not answer, or ended the connection."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(
            f"the database at {address} does not answer: {cause}",
            remedy="Is it running, and may this user write to it? What was not committed is written at the next try.",
        )
        self.address, self.cause = address, cause


class DatabaseRefused(FatalError):
    """The database refuses a statement: a table differs from what the migrations made, or rights are missing."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(
            f"the database at {address} refuses to write: {cause}",
            remedy="Run `resegment tables migrate` as a user who may create tables, and grant this one SELECT, INSERT, "
            "UPDATE and DELETE on them.",
        )
        self.address, self.cause = address, cause


class TablesBusy(UserError):
    """Another process writes these tables."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"another process writes the tables at {address}",
            remedy="One is enough, and one at a time may. Stop the other one, or write to another schema.",
        )
        self.address = address


class TablesOfAnotherPrefix(UserError):
    """The tables belong to another prefix."""

    def __init__(self, address: str, held: str, wanted: str) -> None:
        super().__init__(
            f"the tables at {address} belong to prefix {held}, and this is {wanted}",
            remedy="Give each prefix a schema or a file of its own: --schema.",
        )
        self.address, self.held, self.wanted = address, held, wanted


class NotMigrated(UserError):
    """The tables are not there yet, or are those of another release."""

    def __init__(self, address: str, held: int, wanted: int) -> None:
        problem = "there are no tables yet" if held == 0 else f"the tables have version {held}"
        older = held < wanted
        super().__init__(
            f"{problem} at {address}; this release needs version {wanted}",
            remedy="Run `resegment tables migrate`."
            if older
            else "Run the release that made them, or a later one.",
        )
        self.address, self.held, self.wanted = address, held, wanted


class TableStore(Protocol):
    """A database with the tables. Blocks. Raises DatabaseUnreachable and DatabaseRefused."""

    address: str
    """Where it is, without a password."""

    def migrate(self) -> list[str]:
        """Bring the tables to the version of this release; return the names of the migrations that ran."""
        ...

    def open(self, prefix: str, partitions: int) -> None:
        """Claim the tables for writing. Raises NotMigrated, TablesBusy and TablesOfAnotherPrefix."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit what the block runs, or nothing of it."""
        ...

    def close(self) -> None:
        """Give the tables back."""
        ...


class PositionMoved(TransientError):
    """Another process has written to the partition since: read the position again."""

    def __init__(self, topic: str, partition: int) -> None:
        super().__init__(
            f"the position of partition {partition} of {topic} has moved",
            remedy="Another process writes the same tables. Stop one of the two.",
        )
        self.topic, self.partition = topic, partition


def read_positions(transaction: Transaction, topic: str) -> dict[int, Position]:
    """Return up to where each partition of a topic is written."""
    return {number: Position(*rest) for number, *rest in transaction.read(statements.POSITIONS, [topic])}


def write_batch(
    transaction: Transaction,
    batch: Batch,
    before: Position,
    after: Position,
    *,
    run: str,
    now: datetime,
    window: timedelta,
) -> None:
    """Write the rows of a batch, what follows from them, and the new position. Raises PositionMoved.

    `run` names the process and `now` is its time, for `sync_log` and `updated_at`. `window` is how long after a touch an
    outcome that names neither key nor deal nor person is credited to it.
    """
    held = read_positions(transaction, batch.topic).get(batch.partition, Position())
    if held != before:
        raise PositionMoved(batch.topic, batch.partition)
    accounts = batch.accounts
    if batch.forgotten:
        forget_accounts(transaction, batch.topic, batch.forgotten)
    for table, rows in batch.rows.items():
        transaction.run(_statement_of(table), _arrays(table, rows))
    if changes := batch.rows.get("segment_event"):
        earliest: dict[str, datetime] = {}
        for row in changes:
            earliest[row["account"]] = min(
                row["effective_at"], earliest.get(row["account"], row["effective_at"])
            )
        concerned = [list(earliest), list(earliest.values())]
        transaction.run(statements.MARK_SUPERSEDED, concerned)
        transaction.run(statements.DROP_STAYS, concerned)
        transaction.run(statements.PUT_STAYS, concerned)
        transaction.run(statements.PUT_CURRENT, [*concerned, now])
    if {"touch_void", "fct_touch"} & batch.rows.keys():
        transaction.run(statements.MARK_VOID, [accounts])
    if asks_credit(batch):
        credit_accounts(transaction, accounts, window)
    _log(transaction, batch, before, after, run, now)
    transaction.run(
        statements.PUT_POSITION,
        [batch.topic, batch.partition, after.next_offset, after.mark_timestamp, after.mark_digest],
    )


def _log(
    transaction: Transaction, batch: Batch, before: Position, after: Position, run: str, now: datetime
) -> None:
    """Note the transaction, and each record that became no row. One without either is not worth a row."""
    if not batch.count and not batch.refused:
        return
    table = OPERATIONS[batch.topic]
    base = {"sync_run_id": run, "topic": batch.topic, "log_partition": batch.partition, "recorded_at": now}
    rows: list[Row] = [
        {
            **base,
            "first_offset": before.next_offset,
            "last_offset": after.next_offset - 1,
            "primary_key": None,
            "operation": f"upsert {table}",
            "status": "ok",
            "error_reason": None,
            "row_count": batch.count,
        }
    ]
    rows += [
        {
            **base,
            "first_offset": one.offset,
            "last_offset": one.offset,
            "primary_key": one.key,
            "operation": f"upsert {table}",
            "status": "refused",
            "error_reason": one.reason.replace("\0", "\ufffd"),
            "row_count": 0,
        }
        for one in batch.refused
    ]
    transaction.run(statements.INSERT["sync_log"], _arrays("sync_log", rows))


def _statement_of(table: str) -> str:
    return statements.PUT_OUTCOMES if table == "outcome" else statements.INSERT[table]


def _arrays(table: str, rows: Sequence[Row]) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in COLUMNS[table]]
