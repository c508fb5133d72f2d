"""One partition of a topic, as its worker owns it: fence, position, clock and the accounts in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, Literal

from resegment.agents.batch import Batch, Message, Record, stamped
from resegment.agents.outbox import Outbox, Unpublished, pack, unpack
from resegment.errors import PartitionLost
from resegment.schemas.outcomes.ledger import compact_ledger
from resegment.schemas.times import NEVER
from resegment.state.account_cache import AccountCache, CacheBudget
from resegment.state.partition_store import (
    Commit,
    Committed,
    PartitionStore,
    Position,
    StateMissing,
)
from resegment.state.writes import A, AccountCodec, Writes

DUE_SLICE = 250
"""The most due accounts that one commit decides, so that live events don't wait long."""


class OutOfStep(PartitionLost):
    """What was read does not follow what was committed: the partition must be claimed again."""


@dataclass(slots=True)
class Notices:
    """What happened to the partition and must not be overlooked; the worker logs and counts it."""

    new_logs: int = 0
    gaps: int = 0
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do in the background: says so by the position, and wakes the waiting task."""

    has_more: Callable[[Position], bool]
    woken: asyncio.Event = field(default_factory=asyncio.Event)


Where = Literal["topic", "side"]
"""The topic of a partition, or the one that is read beside it."""
Holds = Callable[[Where, int, str], Awaitable[bool]]
"""Tells whether the topic has the record with this mark at an offset."""


class OwnedPartition(Generic[A]):
    """The owner's view of one partition. `lock` is held while its state changes."""

    def __init__(
        self,
        number: int,
        store: PartitionStore,
        codec: AccountCodec[A],
        *,
        budget: CacheBudget | None = None,
        has_more: Callable[[Position], bool] = lambda _: False,
    ) -> None:
        """`has_more` says by the position whether there is background work beside what is due.

        `budget` bounds the accounts in memory, together with those of other partitions.
        """
        self.number = number
        self.store = store
        self.codec = codec
        self.lock = asyncio.Lock()
        self.notices = Notices()
        self.position = Position()
        self.fence: int | None = None
        self.next_deadline: int | None = None
        self.due: Sequence[str] = ()
        self.outbox = Outbox()
        self._accounts: AccountCache[A] = AccountCache(budget or CacheBudget(), self.lock.locked)
        self._log = ""
        self._distrusted: set[Where] = set()
        self._work = _Work(has_more)

    # Taking and losing

    async def take(self, log: str, *, known: bool = False, holds: Holds | None = None) -> int:
        """Take the fence and the position, and return the offset to read from.

        That is one before the position, so that the record there can be compared with what was committed.
        `log` names this incarnation of the topic. If it differs from the committed one, `holds` says whether the topic
        has the record that was committed last: then the log is the same one, put back, and keeps its old name. Else
        it is new and is read from its beginning, with the clock kept. `known`: the partition has committed before.
        Raises StateMissing if the state that it committed is gone, StoreUnavailable, or what `holds` raises.
        """
        async with self.lock:
            self.forget()
            claim = await self.store.claim()
            if claim.missing or (known and claim.position is None):
                raise StateMissing(self.number, claim.missing)
            self._log = log
            position = claim.position or Position(log=log)
            if position.log != log and await _is_put_back(position, holds):
                self._log = position.log
            if position.log != self._log:
                self._start_over(position, f"the topic is a new one ({log} after {position.log})")
            elif "topic" in self._distrusted:
                self._start_over(position, "its last record is not the one that was committed")
            elif "side" in self._distrusted:
                self._start_over_beside(position)
            else:
                self.position = position
            self._distrusted.clear()
            after: str | None = None
            while entries := await self.store.outbox(after, 100):
                self.outbox.add([Unpublished(one.id, unpack(one.payload)) for one in entries])
                after = entries[-1].id
            self.fence = claim.fence
            committed = await self.store.commit(
                Commit(claim.fence, replace(self.position, commit=position.commit + 1), due_limit=DUE_SLICE)
            )
            self.position = replace(self.position, commit=position.commit + 1)
            self._note(committed)
            return max(0, self.position.offset - 1)

    def _start_over(self, position: Position, why: str) -> None:
        self.notices.new_logs += 1
        self.notices.messages.append(f"partition {self.number}: {why}; it is read from its beginning")
        self.position = replace(
            position, offset=0, timestamp=-1, digest="", log=self._log, side=0, side_mark=""
        )

    def _start_over_beside(self, position: Position) -> None:
        self.notices.new_logs += 1
        self.notices.messages.append(
            f"partition {self.number}: the last record read beside it is not the one that was committed; that topic is "
            "read from its beginning"
        )
        self.position = replace(position, side=0, side_mark="")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Change accounts in memory inside this context: after an error, everything in memory is dropped."""
        try:
            yield
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Drop everything in memory: the store has the truth."""
        self.fence = None
        self.due = ()
        self._accounts.clear()
        self.outbox.close()
        self.outbox = Outbox()

    # Reading

    def expect_held(self, fence: int | None = None) -> int:
        """Return the fence. Raise OutOfStep if the partition is not held, or not under the fence of a delivered batch.

        A batch that waited while the partition was taken again may lie behind the position that the store has:
        to continue with it would skip records.
        """
        if self.fence is None:
            raise OutOfStep(f"partition {self.number} is not held")
        if fence is not None and fence != self.fence:
            raise OutOfStep(f"partition {self.number} was taken again since the batch was delivered")
        return self.fence

    def unseen(self, batch: Batch, fence: int | None = None) -> Sequence[Record]:
        """Return the batch's records that are not committed yet.

        Raises OutOfStep as `expect_held` does, and if the batch does not follow what is committed.
        """
        self.expect_held(fence)
        records, expected = batch.records, self.position.offset
        if records[0].offset < expected:
            mark = _mark(expected - 1, self.position.timestamp, self.position.digest)
            records = self._after_committed(records, expected, mark, "topic")
        self._note_gap(batch, records, expected)
        return records

    def unseen_beside(self, batch: Batch, fence: int | None = None) -> Sequence[Record]:
        """Return the records of a batch of the topic read beside that are not committed yet. Raises as `unseen` does."""
        self.expect_held(fence)
        records, expected, mark = batch.records, self.position.side, self.position.side_mark
        if records[0].offset < expected and mark.startswith(f"{expected - 1}:"):
            records = self._after_committed(records, expected, mark, "side")
        else:  # the position is one of an earlier version, which knows no mark
            records = [one for one in records if one.offset >= expected]
        self._note_gap(batch, records, expected)
        return records

    def _note_gap(self, batch: Batch, records: Sequence[Record], expected: int) -> None:
        start = batch.records[0].offset if batch.start is None else batch.start
        if records and start > expected:
            self.notices.gaps += 1
            self.notices.messages.append(
                f"partition {self.number}: offsets {expected} to {records[0].offset - 1} of {batch.topic} are not there "
                "any more"
            )

    def _after_committed(
        self, records: Sequence[Record], expected: int, mark: str, what: Where
    ) -> Sequence[Record]:
        """Return what follows the record before the position, which must be the one that was committed.

        If it is another record, or not among these, the client has started over by itself: the log is a new one.
        """
        for number, record in enumerate(records):
            if record.offset >= expected:
                break
            if mark_of(record) == mark:
                return records[number + 1 :]
        self._distrusted.add(what)
        raise OutOfStep(f"partition {self.number}: the topic is a new one")

    async def accounts(self, names: Iterable[str]) -> dict[str, A]:
        """Return the accounts by name, from memory or from the store."""
        found, missing = self._accounts.find(names)
        for name, value in zip(missing, await self.store.read(missing), strict=True):
            found[name] = self._admit(name, value)
        return found

    def cached(self, name: str) -> A | None:
        """Return the account in memory, None where it is not there."""
        return self._accounts.get(name)

    def _admit(self, name: str, value: bytes | None) -> A:
        account = self.codec.load(name, value)
        self._accounts.put(account)
        return account

    async def suspend(self, name: str, error: Exception) -> A:
        """Return the account as it was, without the deadline that could not be decided. Its next fact sets a new one."""
        self.drop(name)
        account = self._admit(name, await self.stored(name))
        account.deadline = NEVER
        self.notices.messages.append(
            f"partition {self.number}: {name} could not be decided at its deadline ({type(error).__name__}: {error}); "
            "it stays where it is until its next fact"
        )
        return account

    async def stored(self, name: str) -> bytes | None:
        """Return the state of one account as the store has it."""
        (value,) = await self.store.read([name])
        return value

    def drop(self, name: str) -> None:
        """Drop one account that may be half changed."""
        self._accounts.drop(name)

    # Writing

    def collect(self, accounts: Iterable[A] = ()) -> Writes[A]:
        """Return what to write of accounts; more can be added."""
        writes = Writes(self.codec, self._accounts)
        for account in accounts:
            writes.add(account)
        return writes

    async def commit(
        self,
        position: Position,
        writes: Writes[A],
        messages: Sequence[Message] = (),
        *,
        sizes: Sequence[tuple[str, int]] = (),
        decided: int = 0,
        ledgers: Sequence[tuple[str, bytes]] = (),
        compacted: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Write what one batch or slice led to, and hand its messages to the relay.

        `sizes` says by how much the numbers of accounts change, and `decided` counts the decisions. `ledgers` has what is
        appended to the ledger of each account, once, `compacted` what replaces it.
        """
        fence = self.expect_held()
        messages = stamped(messages)
        payload = pack(messages) if messages else None
        position = replace(position, commit=self.position.commit + 1, log=self._log)
        committed = await self.store.commit(
            Commit(
                fence,
                position,
                writes.states,
                writes.deadlines,
                outbox=payload,
                changes=decided,
                sizes=sizes,
                due_limit=DUE_SLICE,
                appended=writes.appended,
                ledgers=ledgers,
                compacted=compacted,
            )
        )
        self.position = position
        self._note(committed)
        if payload is not None and committed.outbox_id is not None:
            self.outbox.add([Unpublished(committed.outbox_id, messages)])
        self._accounts.settle()
        if committed.crowded:
            await self._compact(fence, committed.crowded)

    async def _compact(self, fence: int, names: Sequence[str]) -> None:
        """Write ledgers that have become too long again, with what is kept of them."""
        found = zip(names, await self.store.read_ledgers(names), strict=True)
        compacted = [(name, compact_ledger(name, value)) for name, value in found if value is not None]
        position = replace(self.position, commit=self.position.commit + 1)
        committed = await self.store.commit(Commit(fence, position, due_limit=DUE_SLICE, compacted=compacted))
        self.position = position
        self._note(committed)

    def _note(self, committed: Committed) -> None:
        self.due = committed.due
        if self.due or self.has_more:
            self._work.woken.set()
        self.next_deadline = committed.next_deadline

    @property
    def has_more(self) -> bool:
        """Return whether there is background work beside what is due."""
        return self.fence is not None and self._work.has_more(self.position)

    async def wait_due(self) -> None:
        """Wait until the clock has reached a deadline, or there is other background work."""
        while not (self.due or self.has_more):
            self._work.woken.clear()
            await self._work.woken.wait()

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is left to decide at this clock, or to publish."""
        return not (self.due or self.has_more or self.outbox.entries)


def digest_of(record: Record) -> str:
    """Return a short hash of a record's value."""
    return hashlib.blake2b(record.value or b"", digest_size=8).hexdigest()


def mark_of(record: Record) -> str:
    """Return what identifies a record among those that can be at its offset: also its time and its value."""
    return _mark(record.offset, record.timestamp, digest_of(record))


def _mark(offset: int, timestamp: int, digest: str) -> str:
    return f"{offset}:{timestamp}:{digest}"


async def _is_put_back(position: Position, holds: Holds | None) -> bool:
    """Return whether a topic with a new id has what was committed of the old one, so that reading may continue."""
    if holds is None:
        return False
    last = position.offset - 1
    if last >= 0 and not await holds("topic", last, _mark(last, position.timestamp, position.digest)):
        return False
    if not position.side:
        return True
    beside = position.side - 1
    return position.side_mark.startswith(f"{beside}:") and await holds("side", beside, position.side_mark)


def position_after(position: Position, record: Record, clock: int) -> Position:
    """Return the position after everything up to the record is committed."""
    return replace(
        position, offset=record.offset + 1, timestamp=record.timestamp, digest=digest_of(record), clock=clock
    )


def position_after_beside(position: Position, record: Record, clock: int) -> Position:
    """Return the position after everything up to the record of the topic read beside is committed."""
    return replace(position, side=record.offset + 1, side_mark=mark_of(record), clock=clock)
