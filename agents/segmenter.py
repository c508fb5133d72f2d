"""Fold batches of `signals` into the accounts' state, and decide their segments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record, is_readable, require_readable
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.isolation import find_failing
from resegment.agents.partition import OwnedPartition, position_after
from resegment.errors import RefusedEvent
from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.fact import LATEST, Fact, decode_fact
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision, Engine
from resegment.state.partition_store import Position

TICK: Final = "tick"
"""The header of a record of `signals` that carries no fact, only time."""


class MessageFactory(Protocol):
    """Makes the messages that announce decisions."""

    def change(self, change: SegmentChange) -> Message:
        """Return the event of a segment change."""
        ...

    def gate_change(self, gate_change: GateChange) -> Message:
        """Return the event that tells the router which gates hold now."""
        ...

    def outcome(self, fact: Fact) -> Message | None:
        """Return the event that tells the router of an outcome, or None where the router has no use for it."""
        ...


Owned = OwnedPartition[Account]


@dataclass(frozen=True, slots=True)
class Segmented:
    """What a batch led to, for metrics."""

    facts: int = 0
    ticks: int = 0
    changes: Sequence[SegmentChange] = ()
    refused: Sequence[RefusedEvent] = ()
    clock: int = 0


_Known = tuple[int, list[Fact], list[Record]]
"""Facts of one account that become known at one instant (ms), each with its record."""


@dataclass(slots=True)
class _Reading:
    """The facts of a batch by account, in the order in which they become known, and what is refused."""

    clock: int
    known: dict[str, list[_Known]] = field(default_factory=dict)
    facts: int = 0
    ticks: int = 0
    dead_letters: list[Message] = field(default_factory=list)
    refused: list[RefusedEvent] = field(default_factory=list)

    def refuse(self, batch: Batch, record: Record, refused: RefusedEvent, topic: str) -> None:
        """Set a record aside."""
        self.refused.append(refused.at(record.offset))
        self.dead_letters.append(to_dead_letter(topic, batch, record, refused))


async def segment(
    batch: Batch,
    owned: Owned,
    engine: Engine,
    *,
    publisher: Publisher,
    factory: MessageFactory | None,
    dead_letters: str,
    fence: int | None = None,
    ahead: Collection[int] = (),
) -> Segmented:
    """Commit what a batch leads to, all or nothing: states, deadlines, changes, clock and position.

    `fence` is the one under which the batch was delivered: if the partition was taken again since, it is refused.
    `ahead` are the offsets of records whose timestamps are ahead of the time: they are refused, and move no clock.
    Without a `factory` nothing is announced, as in a replay. Raises `PartitionLost` where the partition has to be
    taken again, and `StoreUnavailable` or `PublishFailed` where the batch has to be retried.
    """
    async with owned.lock:
        records = owned.unseen(batch, fence)
        if not records:
            return Segmented(clock=owned.position.clock)
        reading = _read(batch, records, owned.position.clock, dead_letters, ahead)
        decided = _Decided(factory)
        with owned.all_or_nothing():
            accounts = await owned.accounts(reading.known)
            for name, account in list(accounts.items()):
                try:
                    decisions, outcomes = _apply_facts(engine, account, reading.known[name], reading.clock)
                    decided.add(decisions + _pass_time(engine, account, reading.clock), outcomes)
                except Exception:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    accounts[name] = await _apply_apart(
                        batch, owned, engine, name, reading, decided, dead_letters
                    )
            if reading.dead_letters:
                await publisher.publish(reading.dead_letters)
            position = position_after(owned.position, records[-1], reading.clock)
            changes = await _commit(owned, position, accounts.values(), decided)
        return Segmented(reading.facts, reading.ticks, changes, reading.refused, reading.clock)


async def set_aside(
    batch: Batch,
    owned: Owned,
    reason: str,
    message: str,
    *,
    publisher: Publisher,
    dead_letters: str,
    fence: int | None = None,
    ahead: Collection[int] = (),
) -> Segmented:
    """Commit a batch without deciding it: each of its facts becomes a dead letter. Raises as `segment` does."""
    async with owned.lock:
        records = owned.unseen(batch, fence)
        if not records:
            return Segmented(clock=owned.position.clock)
        reading = _read(batch, records, owned.position.clock, dead_letters, ahead)
        for groups in reading.known.values():
            for _, _, facts in groups:
                for record in facts:
                    reading.refuse(batch, record, RefusedEvent(reason, message), dead_letters)
        with owned.all_or_nothing():
            await publisher.publish(reading.dead_letters)
            await owned.commit(position_after(owned.position, records[-1], reading.clock), ())
        return Segmented(reading.facts, reading.ticks, (), reading.refused, reading.clock)


async def decide_due(
    owned: Owned, engine: Engine, *, factory: MessageFactory | None
) -> Sequence[SegmentChange]:
    """Decide one slice of the accounts whose deadline the partition's clock has reached. Raises as `segment` does."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return ()
        clock = owned.position.clock
        decided = _Decided(factory)
        with owned.all_or_nothing():
            found = await owned.accounts(owned.due)
            accounts: list[Account] = []
            for name in owned.due:
                account = found[name]
                try:
                    decided.add(engine.advance(account, clock, clock))
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    accounts.append(await owned.suspend(name, error))
                else:
                    accounts.append(account)
            return await _commit(owned, owned.position, accounts, decided)


class _Decided:
    """What the engine decided in a batch, and the messages that announce it."""

    def __init__(self, factory: MessageFactory | None) -> None:
        self.factory = factory
        self._changes: list[tuple[SegmentChange, Message | None]] = []
        self._gate_changes: list[GateChange] = []
        self._outcomes: list[Fact] = []

    def add(self, decisions: Sequence[Decision], outcomes: Sequence[Fact] = ()) -> None:
        """Add one account's decisions: all of them, or none where a message cannot be made."""
        changes = self.announced(decisions)
        self._changes += changes
        self._outcomes += outcomes
        self._gate_changes += [one.gate_change for one in decisions if one.gate_change is not None]

    def announced(self, decisions: Sequence[Decision]) -> list[tuple[SegmentChange, Message | None]]:
        """Return the changes among the decisions, each with its message where changes are announced."""
        factory = self.factory
        return [
            (one.change, None if factory is None else factory.change(one.change))
            for one in decisions
            if one.change is not None
        ]

    def settle(self) -> tuple[list[SegmentChange], list[Message]]:
        """Return the changes in the order of their instants, and the messages: of changes, then for the router."""
        self._changes.sort(key=lambda one: one[0].effective_at)
        messages = [message for _, message in self._changes if message is not None]
        if (factory := self.factory) is not None:
            messages += [message for one in self._outcomes if (message := factory.outcome(one)) is not None]
            messages += [factory.gate_change(one) for one in self._gate_changes]
        return [change for change, _ in self._changes], messages


async def _commit(
    owned: Owned,
    position: Position,
    accounts: Iterable[Account],
    decided: _Decided,
) -> list[SegmentChange]:
    """Commit the accounts with all that was decided about them."""
    changes, messages = decided.settle()
    await owned.commit(position, accounts, messages, sizes=count_moves(changes), decided=len(changes))
    return changes


def is_tick(record: Record) -> bool:
    """Return whether a record without a value is a tick."""
    return is_readable(record) and any(name == TICK for name, _ in record.headers)


def _read(
    batch: Batch, records: Sequence[Record], clock: int, dead_letters: str, ahead: Collection[int]
) -> _Reading:
    reading = _Reading(clock)
    known = reading.known
    for record in records:
        if record.offset in ahead:
            reading.refuse(batch, record, _ahead(record), dead_letters)
            continue
        clock = max(clock, record.timestamp)
        if record.value is None and is_tick(record):
            reading.ticks += 1
            continue
        try:
            require_readable(record)
            fact = decode_fact(record.value or b"")
        except msgspec.DecodeError as error:
            reading.refuse(batch, record, RefusedEvent("not-a-signal", str(error)), dead_letters)
            continue
        except RefusedEvent as refused:
            reading.refuse(batch, record, refused, dead_letters)
            continue
        reading.facts += 1
        groups = known.get(fact.account)
        if groups is None:
            known[fact.account] = [(clock, [fact], [record])]
        elif groups[-1][0] == clock:
            groups[-1][1].append(fact)
            groups[-1][2].append(record)
        else:
            groups.append((clock, [fact], [record]))
    reading.clock = clock
    return reading


def _ahead(record: Record) -> RefusedEvent:
    shown = format_instant(record.timestamp) if record.timestamp < LATEST else str(record.timestamp)
    return RefusedEvent(
        "clock-ahead",
        f"the record's timestamp {shown} is ahead of the time: it would have ended every window of its partition. "
        "Correct the clock of the host that wrote it, and send the event again",
    )


def _apply_facts(
    engine: Engine, account: Account, groups: Sequence[_Known], clock: int
) -> tuple[list[Decision], list[Fact]]:
    """Apply facts in the order in which they become known, each after the deadlines before it.

    Returns the decisions, and the outcomes that took effect: a second delivery and an older revision change nothing.
    """
    decisions: list[Decision] = []
    outcomes: list[Fact] = []
    for at, facts, _ in groups:
        if account.deadline < at:
            decisions += engine.advance(account, at - 1, clock)
        fresh: dict[tuple[str, str], Fact] = {}
        for fact in facts:
            if fact.kind == "outcome" and (key := (fact.source, fact.id)) not in account.ids:
                fresh.setdefault(key, fact)
        decisions.append(engine.apply_facts(account, facts, at, clock))
        for key, fact in fresh.items():
            entry = account.ids.get(key)
            if entry is None or entry.id == fact.id:
                outcomes.append(fact)
    return decisions, outcomes


def _pass_time(engine: Engine, account: Account, clock: int) -> list[Decision]:
    """Decide the deadlines up to the clock."""
    return list(engine.advance(account, clock, clock)) if account.deadline <= clock else []


async def _apply_apart(
    batch: Batch,
    owned: Owned,
    engine: Engine,
    name: str,
    reading: _Reading,
    decided: _Decided,
    dead_letters: str,
) -> Account:
    """Apply an account's facts from its stored state, one by one in order, and set aside those that fail."""
    owned.drop(name)
    units: list[_Known] = [
        (at, [fact], [record])
        for at, facts, records in reading.known[name]
        for fact, record in zip(facts, records, strict=True)
    ]

    def attempt(checkpoint: bytes | None, run: Sequence[_Known]) -> bytes:
        account = engine.load(name, checkpoint)
        decisions, _ = _apply_facts(engine, account, run, reading.clock)
        after = engine.encode(account)
        decisions += _pass_time(engine, account, reading.clock)
        decided.announced(decisions)
        return after

    failing = dict(await find_failing(units, await owned.stored(name), attempt))
    for place, cause in failing.items():
        refused = RefusedEvent("decision-failed", f"{type(cause).__name__}: {cause}")
        reading.refuse(batch, units[place][2][0], refused, dead_letters)
    good = [unit for place, unit in enumerate(units) if place not in failing]
    account = (await owned.accounts([name]))[name]
    if good:
        decisions, outcomes = _apply_facts(engine, account, good, reading.clock)
        decided.add(decisions + _pass_time(engine, account, reading.clock), outcomes)
    return account


def count_moves(changes: Sequence[SegmentChange]) -> list[tuple[str, int]]:
    """Return by how much each segment grows or shrinks."""
    sizes: dict[str, int] = {}
    for change in changes:
        left = change.supersedes_to if change.supersedes is not None else change.from_
        if left is not None:
            sizes[left] = sizes.get(left, 0) - 1
        sizes[change.to] = sizes.get(change.to, 0) + 1
    return [(segment, more) for segment, more in sizes.items() if more]
