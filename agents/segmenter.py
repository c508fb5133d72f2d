"""Folds a batch of `signals` into the accounts' state and decides their segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.partition import OwnedPartition, position_after
from resegment.errors import RefusedEvent
from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.fact import Fact, decode_fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision, Engine
from resegment.state.partition_store import Position

TICK: Final = "tick"
"""The header of a record of `signals` that carries no fact, only time."""


class MessageFactory(Protocol):
    """Makes the messages of what was decided."""

    def change(self, change: SegmentChange) -> Message:
        """The event of a segment change."""
        ...

    def gate_change(self, gate_change: GateChange) -> Message:
        """Return the event that tells the router which gates hold now."""
        ...

    def outcome(self, fact: Fact) -> Message | None:
        """What the router has to know of an outcome; None where it is nothing to it."""
        ...


Owned = OwnedPartition[Account]


@dataclass(frozen=True, slots=True)
class Segmented:
    """What became of a batch, for metrics."""

    facts: int = 0
    ticks: int = 0
    changes: Sequence[SegmentChange] = ()
    refused: Sequence[RefusedEvent] = ()
    clock: int = 0


_Known = tuple[int, list[Fact], list[Record]]
"""Facts of one account that become known at one instant (ms), each with its record."""


@dataclass(slots=True)
class _Learning:
    """The facts of a batch by account, in the order in which they become known."""

    clock: int
    known: dict[str, list[_Known]] = field(default_factory=dict)
    facts: int = 0
    ticks: int = 0
    letters: list[Message] = field(default_factory=list)
    refused: list[RefusedEvent] = field(default_factory=list)
    outcomes: list[Fact] = field(default_factory=list)


async def segment(
    batch: Batch,
    owned: Owned,
    engine: Engine,
    *,
    publisher: Publisher,
    factory: MessageFactory | None,
    dead_letters: str,
) -> Segmented:
    """Commit what a batch comes to: states, deadlines, changes, clock and position, all or nothing.

    Without `factory` nothing is published, as in a replay of what was published once. Raises `Fenced`, `RolledBack` or `OutOfStep` where the partition has to be taken anew, and
    `StoreUnavailable` or `PublishFailed` where the batch has to be tried again.
    """
    async with owned.lock:
        records = owned.unseen(batch)
        if not records:
            return Segmented(clock=owned.position.clock)
        learning = _read(batch, records, owned.position.clock, dead_letters)
        decided = _Decided(factory)
        with owned.all_or_nothing():
            accounts = await owned.accounts(learning.known)
            for name, account in list(accounts.items()):
                try:
                    decided.add(_learn(engine, account, learning.known[name], learning.clock))
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    accounts[name] = await _learn_apart(
                        batch, owned, engine, name, learning, decided, dead_letters, error
                    )
            if learning.letters:
                await publisher.publish(learning.letters)
            position = position_after(owned.position, records[-1], learning.clock)
            changes = await _commit(owned, position, accounts.values(), decided, learning.outcomes)
        return Segmented(learning.facts, learning.ticks, changes, learning.refused, learning.clock)


async def decide_due(
    owned: Owned, engine: Engine, *, factory: MessageFactory | None
) -> Sequence[SegmentChange]:
    """Decide one slice of the accounts whose deadline the partition's clock has reached."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return ()
        clock = owned.position.clock
        decided = _Decided(factory)
        with owned.all_or_nothing():
            accounts: list[Account] = []
            for name, state in owned.due:
                account = owned.account(name, state)
                try:
                    decided.add(engine.advance(account, clock, clock))
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    account = owned.suspend(name, state, error)
                accounts.append(account)
            return await _commit(owned, owned.position, accounts, decided, ())


class _Decided:
    """What the engine decided in a batch, and the messages that announce it."""

    def __init__(self, factory: MessageFactory | None) -> None:
        self.factory = factory
        self._changes: list[tuple[SegmentChange, Message | None]] = []
        self._gate_changes: list[GateChange] = []

    def add(self, decisions: Sequence[Decision]) -> None:
        """Add one account's decisions: all of them, or none where a message cannot be made."""
        changes = self.announced(decisions)
        self._changes += changes
        self._gate_changes += [one.gate_change for one in decisions if one.gate_change is not None]

    def announced(self, decisions: Sequence[Decision]) -> list[tuple[SegmentChange, Message | None]]:
        """Return the changes among the decisions, each with its message where changes are announced."""
        factory = self.factory
        return [
            (one.change, None if factory is None else factory.change(one.change))
            for one in decisions
            if one.change is not None
        ]

    def settle(self, outcomes: Sequence[Fact]) -> tuple[list[SegmentChange], list[Message]]:
        """Return the changes in the order of their instants, and the messages: of changes, then for the router."""
        self._changes.sort(key=lambda one: one[0].effective_at)
        messages = [message for _, message in self._changes if message is not None]
        if (factory := self.factory) is not None:
            messages += [message for one in outcomes if (message := factory.outcome(one)) is not None]
            messages += [factory.gate_change(one) for one in self._gate_changes]
        return [change for change, _ in self._changes], messages


async def _commit(
    owned: Owned,
    position: Position,
    accounts: Iterable[Account],
    decided: _Decided,
    outcomes: Sequence[Fact],
) -> list[SegmentChange]:
    """Commit the accounts with all that was decided about them."""
    changes, messages = decided.settle(outcomes)
    await owned.commit(position, accounts, messages, sizes=count_moves(changes), decided=len(changes))
    return changes


def _read(batch: Batch, records: Sequence[Record], clock: int, dead_letters: str) -> _Learning:
    learning = _Learning(clock)
    known = learning.known
    for record in records:
        clock = max(clock, record.timestamp)
        if record.value is None and any(name == TICK for name, _ in record.headers):
            learning.ticks += 1
            continue
        try:
            fact = decode_fact(record.value or b"")
        except msgspec.DecodeError as error:
            refused = RefusedEvent("not-a-signal", str(error))
            learning.refused.append(refused)
            learning.letters.append(to_dead_letter(dead_letters, batch, record, refused))
            continue
        learning.facts += 1
        if fact.kind == "outcome":
            learning.outcomes.append(fact)
        groups = known.get(fact.account)
        if groups is None:
            known[fact.account] = [(clock, [fact], [record])]
        elif groups[-1][0] == clock:
            groups[-1][1].append(fact)
            groups[-1][2].append(record)
        else:
            groups.append((clock, [fact], [record]))
    learning.clock = clock
    return learning


def _learn(engine: Engine, account: Account, groups: Sequence[_Known], clock: int) -> list[Decision]:
    decisions: list[Decision] = []
    for at, facts, _ in groups:
        if account.deadline < at:
            decisions += engine.advance(account, at - 1, clock)
        decisions.append(engine.apply_facts(account, facts, at, clock))
    if account.deadline <= clock:
        decisions += engine.advance(account, clock, clock)
    return decisions


async def _learn_apart(
    batch: Batch,
    owned: Owned,
    engine: Engine,
    name: str,
    learning: _Learning,
    decided: _Decided,
    dead_letters: str,
    error: Exception,
) -> Account:
    """Learn an account's facts one at a time, from its stored state, and set aside those that fail."""
    owned.drop(name)
    good: list[_Known] = []
    for at, facts, records in learning.known[name]:
        for fact, record in zip(facts, records, strict=True):
            tried = [*good, (at, [fact], [record])]
            account = (await owned.accounts([name]))[name]
            try:
                decided.announced(_learn(engine, account, tried, learning.clock))
                good = tried
            except Exception as cause:  # noqa: BLE001  # the same border, for one fact
                refused = RefusedEvent("decision-failed", f"{type(cause).__name__}: {cause}")
                learning.refused.append(refused)
                learning.letters.append(to_dead_letter(dead_letters, batch, record, refused))
            owned.drop(name)
    account = (await owned.accounts([name]))[name]
    if good:
        decided.add(_learn(engine, account, good, learning.clock))
    elif not learning.refused:
        raise error
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
