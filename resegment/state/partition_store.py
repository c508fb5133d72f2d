"""The port to the state of one partition, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from resegment.errors import FatalError, PartitionLost, TransientError


class Fenced(PartitionLost):
    """Another worker has taken the partition: what this one knows of it is out of date."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} is another worker's now")
        self.partition = partition


class RolledBack(PartitionLost):
    """The store is not as this worker left it (a failover, a restore): read it again."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"the state of partition {partition} is not the one that was written last")
        self.partition = partition


class StateMissing(FatalError):
    """The store has lost all or a part of what a partition committed. To continue would decide everything again."""

    def __init__(self, partition: int, missing: Sequence[str] = ()) -> None:
        what = f" ({', '.join(missing)})" if missing else ""
        super().__init__(
            f"Redis has lost the state of partition {partition}{what}",
            remedy=f"Run `resegment rebuild --partition {partition}`. Workers may keep running: the partition waits.",
        )
        self.partition, self.missing = partition, tuple(missing)


class StoreUnavailable(TransientError):
    """The store does not answer, or refuses to write."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where in `signals` a partition stands.

    `offset` is the next to read, `timestamp` (ms) and `digest` are those of the record before it, `log`
    tells one incarnation of the topic from another, `clock` (ms) is the partition's time. `commit` counts
    the writes. `side` is the next offset to read of the topic that is read beside it, where there is one, and
    `side_mark` identifies the record before that one ("" where it is not known). `definition` is what the stage
    keeps of switches to other versions of the segments file, as text.
    """

    offset: int = 0
    timestamp: int = -1
    digest: str = ""
    log: str = ""
    clock: int = 0
    commit: int = 0
    side: int = 0
    side_mark: str = ""
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the taker of a partition gets: its fence, and where to continue (None: nothing is there).

    `missing` names the parts of the partition that were written and are gone.
    """

    fence: int
    position: Position | None
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """All that one batch changes, written together or not at all.

    `position.commit` is the number of this write; the one before it must be the last written. `states` are
    written as wholes, and `appended` has logs (see `resegment.schemas.logs.state_log`) that are joined to those that are
    stored; an account is in one of them. `ledgers` are appended to those of accounts (see `resegment.schemas.outcomes.ledger`),
    and `compacted` replace theirs. `deadlines` has None where an account has none any more. `outbox` is what the relay publishes, `changes` how many
    changes that are. `sizes` adds to the number of accounts by segment. Due accounts are named up to
    `due_limit`.
    """

    fence: int
    position: Position
    states: Sequence[tuple[str, bytes]] = ()
    deadlines: Sequence[tuple[str, int | None]] = ()
    outbox: bytes | None = None
    changes: int = 0
    sizes: Sequence[tuple[str, int]] = ()
    due_limit: int = 0
    appended: Sequence[tuple[str, bytes]] = ()
    ledgers: Sequence[tuple[str, bytes]] = ()
    compacted: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """`outbox_id` names what was put into the outbox; `due` names accounts whose deadline the clock has reached.

    `next_deadline` is the earliest of the partition (ms), None where there is none. `crowded` names accounts whose ledgers
    have become too long.
    """

    outbox_id: str | None
    due: Sequence[str]
    next_deadline: int | None
    crowded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """What one commit has left to publish."""

    id: str
    payload: bytes


class PartitionStore(Protocol):
    """One partition's accounts, deadlines, outbox, fence and position.

    Every method raises `StoreUnavailable` where the store does not answer.
    """

    async def claim(self) -> Claim:
        """Take the partition: every earlier owner is fenced off.

        The fence is greater than every earlier one, also than those that the store gave out and forgot
        because it was rolled back.
        """
        ...

    async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
        """Return the states of accounts, or None where there is none."""
        ...

    async def read_ledgers(self, accounts: Sequence[str]) -> list[bytes | None]:
        """Return the ledgers of accounts, or None where there is none."""
        ...

    async def scan(self, cursor: int, limit: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Return some accounts with their states, about `limit`, and the cursor for the next; 0 begins and ends.

        Accounts that are there all the time are returned at least once.
        """
        ...

    async def read_folded(self, accounts: Sequence[str]) -> list[bytes | None]:
        """Return what was folded in from the log for accounts, or None where there is nothing."""
        ...

    async def keep_folded(self, states: Sequence[tuple[str, bytes]]) -> None:
        """Keep what was folded in from the log for accounts."""
        ...

    async def clear_folded(self) -> None:
        """Delete all that was folded in."""
        ...

    async def commit(self, commit: Commit) -> Committed:
        """Write it all. The same commit again changes nothing and gives the same answer.

        Raises `Fenced` or `RolledBack`, also where a log to be joined to is not there, and has then written nothing.
        """
        ...

    async def check(self, fence: int, commit: int) -> None:
        """Raise `Fenced` or `RolledBack` if the partition is not as its owner left it."""
        ...

    async def outbox(self, after: str | None, limit: int) -> list[OutboxEntry]:
        """Return the oldest entries that are not published yet, of those after an id."""
        ...

    async def sizes(self) -> dict[str, int]:
        """Return the number of accounts by segment."""
        ...

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Remove published entries."""
        ...
