"""Folds a batch of `signals` into the accounts' state and decides their segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.partition import OwnedPartition, position_after, tally
from resegment.errors import RefusedEvent
from resegment.schemas.change import SegmentChange, StandingChange
from resegment.schemas.fact import Fact, decode_fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.state.partition_store import Position

TICK: Final = "tick"
"""The header of a record of `signals` that carries no fact, only time."""


class Announce(Protocol):
    """Makes the messages of what was decided."""

    def change(self, change: SegmentChange) -> Message:
        """The event of a segment change."""
        ...

    def standing(self, news: StandingChange) -> Message:
        """What the router has to know: other gates hold."""
        ...

    def outcome(self, fact: Fact) -> Message | None:
        """What the router has to know of an outcome; None where it is nothing to it."""
        ...


Owned = OwnedPartition[Account]

Said = tuple[SegmentChange, Message | None]
"""A change, and its message where it is announced."""


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
    announce: Announce | None,
    dead_letters: str,
) -> Segmented:
    """Commit what a batch comes to: states, deadlines, changes, clock and position, all or nothing.

    Without `announce` nothing is published, as in a replay of what was published once. Raises `Fenced`, `RolledBack` or `OutOfStep` where the partition has to be taken anew, and
    `StoreUnavailable` or `PublishFailed` where the batch has to be tried again.
    """
    async with owned.lock:
        records = owned.unseen(batch)
        if not records:
            return Segmented(clock=owned.position.clock)
        learning = _read(batch, records, owned.position.clock, dead_letters)
        said: list[Said] = []
        with owned.all_or_nothing():
            accounts = await owned.accounts(learning.known)
            for name, account in list(accounts.items()):
                try:
                    said += _say(_learn(engine, account, learning.known[name], learning.clock), announce)
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    accounts[name] = await _learn_apart(
                        batch, owned, engine, name, learning, said, announce, dead_letters, error
                    )
            if learning.letters:
                await publisher.publish(learning.letters)
            position = position_after(owned.position, records[-1], learning.clock)
            changes = await _commit(owned, position, accounts.values(), said, learning.outcomes, announce)
        return Segmented(learning.facts, learning.ticks, changes, learning.refused, learning.clock)


async def decide_due(owned: Owned, engine: Engine, *, announce: Announce | None) -> Sequence[SegmentChange]:
    """Decide one slice of the accounts whose deadline the partition's clock has reached."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return ()
        clock = owned.position.clock
        said: list[Said] = []
        with owned.all_or_nothing():
            accounts: list[Account] = []
            for name, state in owned.due:
                account = owned.account(name, state)
                try:
                    said += _say(engine.advance(account, clock, clock), announce)
                except Exception as error:  # noqa: BLE001  # the agent's border: a rule's bug stops no partition
                    account = owned.suspend(name, state, error)
                accounts.append(account)
            return await _commit(owned, owned.position, accounts, said, (), announce)


def _say(changes: Sequence[SegmentChange], announce: Announce | None) -> list[Said]:
    return [(one, None if announce is None else announce.change(one)) for one in changes]


async def _commit(
    owned: Owned,
    position: Position,
    accounts: Iterable[Account],
    said: list[Said],
    outcomes: Sequence[Fact],
    announce: Announce | None,
) -> list[SegmentChange]:
    """Commit, with the messages of changes, then with those that only the router reads."""
    said.sort(key=lambda one: one[0].effective_at)
    changes = [change for change, _ in said]
    messages = [message for _, message in said if message is not None]
    if announce is not None:
        messages += [message for one in outcomes if (message := announce.outcome(one)) is not None]
    for account in accounts:
        if account.news:
            if announce is not None:
                messages += [announce.standing(one) for one in account.news]
            account.news.clear()
    await owned.commit(position, accounts, messages, sizes=tally(changes), decided=len(changes))
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


def _learn(engine: Engine, account: Account, groups: Sequence[_Known], clock: int) -> list[SegmentChange]:
    changes: list[SegmentChange] = []
    for at, facts, _ in groups:
        if account.deadline < at:
            changes += engine.advance(account, at - 1, clock)
        change = engine.learn(account, facts, at, clock)
        if change is not None:
            changes.append(change)
    if account.deadline <= clock:
        changes += engine.advance(account, clock, clock)
    return changes


async def _learn_apart(
    batch: Batch,
    owned: Owned,
    engine: Engine,
    name: str,
    learning: _Learning,
    said: list[Said],
    announce: Announce | None,
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
                _say(_learn(engine, account, tried, learning.clock), announce)
                good = tried
            except Exception as cause:  # noqa: BLE001  # the same border, for one fact
                refused = RefusedEvent("decision-failed", f"{type(cause).__name__}: {cause}")
                learning.refused.append(refused)
                learning.letters.append(to_dead_letter(dead_letters, batch, record, refused))
            owned.drop(name)
    account = (await owned.accounts([name]))[name]
    if good:
        said += _say(_learn(engine, account, good, learning.clock), announce)
    elif not learning.refused:
        raise error
    return account
