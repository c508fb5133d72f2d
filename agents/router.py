"""Turns segment changes into the commands that move an account to another workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record
from resegment.agents.dead_letters import bury
from resegment.agents.ownership import OwnedPartition, position_after
from resegment.errors import RefusedEvent
from resegment.routing.course import Courses, RoutedAccount, Steps
from resegment.schemas.assignment import Answer
from resegment.schemas.outgoing import CONTENT_TYPE, WorkflowCommand, encode_command
from resegment.schemas.routing import decode_change, decode_routing_event
from resegment.schemas.times import parse_duration, parse_instant
from resegment.state.owners import OwnerStore
from resegment.state.port import Position

Owned = OwnedPartition[RoutedAccount]

Begin = Callable[[RoutedAccount, int], Steps]
"""Begins the steps of one event for its account, at an instant (ms)."""


class Step(NamedTuple):
    """One event for its account, and when it comes (ms)."""

    account: str
    at: int
    begin: Begin


@dataclass(frozen=True, slots=True)
class Routed:
    """What became of a batch, for metrics; `decisions` counts accounts by what was decided."""

    events: int = 0
    actions: Sequence[str] = ()
    decisions: Sequence[tuple[str, int]] = ()
    refused: Sequence[RefusedEvent] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """What the router works with. `now` is the wall clock, ms; None: time passes with the changes alone."""

    courses: Courses
    owners: OwnerStore
    publisher: Publisher
    commands: str
    dead_letters: str
    now: Callable[[], int] | None

    def clock(self, owned: Owned, told: int = 0) -> int:
        """The partition's time, ms: it never goes back."""
        return max(owned.position.clock, told, 0 if self.now is None else self.now())


async def route(batch: Batch, owned: Owned, router: Router) -> Routed:
    """Commit what a batch of segment changes comes to: accounts, commands and position, all or nothing.

    Raises `Fenced`, `RolledBack` or `OutOfStep` where the partition has to be taken anew, and
    `StoreUnavailable` or `PublishFailed` where the batch has to be tried again.
    """
    async with owned.lock:
        records = owned.unseen(batch)
        if not records:
            return Routed()
        reading = _Reading(batch, router.dead_letters)
        clock = router.clock(owned)
        for record in records:
            clock = reading.change(record, router.courses, clock)
        return await _follow(owned, router, reading, position_after(owned.position, records[-1], clock))


async def hear(batch: Batch, owned: Owned, router: Router) -> Routed:
    """Commit what a batch of `routing-events` comes to. Raises as `route` does."""
    async with owned.lock:
        owned.expect_held()
        records = [record for record in batch.records if record.offset >= owned.position.side]
        if not records:
            return Routed()
        reading = _Reading(batch, router.dead_letters)
        clock = router.clock(owned)
        for record in records:
            reading.told(record, router.courses, clock)
        position = replace(owned.position, clock=clock, side=records[-1].offset + 1)
        return await _follow(owned, router, reading, position)


async def pass_time(owned: Owned, now: int) -> None:
    """Let the partition's time be `now` (ms), where something is due by then."""
    async with owned.lock:
        if owned.fence is not None and not owned.due and (owned.next_deadline or now + 1) <= now:
            await owned.commit(replace(owned.position, clock=max(owned.position.clock, now)), ())


async def route_due(owned: Owned, router: Router) -> Routed:
    """Follow what time has brought one slice of the accounts. Raises as `route` does."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return Routed()
        clock = router.clock(owned)
        steps = [Step(name, clock, router.courses.advance) for name, _ in owned.due]
        with owned.all_or_nothing():
            accounts = {name: owned.account(name, value) for name, value in owned.due}
            return await _commit(owned, router, accounts, steps, replace(owned.position, clock=clock), ())


class _Reading:
    """The steps that a batch asks for, in its order, and what of it is no good."""

    def __init__(self, batch: Batch, dead_letters: str) -> None:
        self._batch, self._dead_letters = batch, dead_letters
        self.steps: list[Step] = []
        self.letters: list[Message] = []
        self.refused: list[RefusedEvent] = []

    def change(self, record: Record, courses: Courses, clock: int) -> int:
        """Read a segment change; return the clock (ms) then: it goes on to when that was decided."""
        try:
            event = decode_change(record.value or b"")
            data = event.data
            decided = parse_instant(data.decided_at or data.effective_at)
            parse_instant(data.effective_at)
            if data.route is not None and data.route.cooldown is not None:
                parse_duration(data.route.cooldown)
        except ValueError as error:  # msgspec's own errors are such
            self._refuse(record, RefusedEvent("not-a-change", f"{type(error).__name__}: {error}"))
            return clock
        clock = max(clock, decided)
        self.steps.append(Step(data.account, clock, lambda one, now: courses.change(one, event, now)))
        return clock

    def told(self, record: Record, courses: Courses, clock: int) -> None:
        try:
            event = decode_routing_event(record.value or b"")
        except msgspec.DecodeError as error:
            self._refuse(record, RefusedEvent("not-a-routing-event", str(error)))
            return
        self.steps.append(Step(event.account, clock, lambda one, now: courses.hear(one, event, now)))

    def _refuse(self, record: Record, reason: RefusedEvent) -> None:
        self.refused.append(reason)
        self.letters.append(bury(self._dead_letters, self._batch, record, reason))


async def _follow(owned: Owned, router: Router, reading: _Reading, position: Position) -> Routed:
    if reading.letters:
        await router.publisher.publish(reading.letters)
    with owned.all_or_nothing():
        accounts = await owned.accounts(dict.fromkeys(step.account for step in reading.steps))
        return await _commit(owned, router, accounts, reading.steps, position, reading.refused)


async def _commit(
    owned: Owned,
    router: Router,
    accounts: dict[str, RoutedAccount],
    steps: Sequence[Step],
    position: Position,
    refused: Sequence[RefusedEvent],
) -> Routed:
    before = Counter(one.state.decision for one in accounts.values())
    commands = await _walk(accounts, steps, router.owners)
    after = Counter(one.state.decision for one in accounts.values())
    sizes = [
        (name, after[name] - before[name])
        for name in sorted(before.keys() | after.keys())
        if name != "none" and after[name] != before[name]
    ]
    messages = [_announce(router.commands, one) for one in commands]
    # whoever is only asked about leaves no trace; a standing may come before the first change
    known = [one for one in accounts.values() if one.state.target is not None or one.state.standing_at >= 0]
    await owned.commit(position, known, messages, sizes=sizes, decided=len(commands))
    return Routed(len(steps), [one.action for one in commands], sorted(after.items()), refused)


async def _walk(
    accounts: dict[str, RoutedAccount], steps: Iterable[Step], owners: OwnerStore
) -> list[WorkflowCommand]:
    """Take the steps: of one account one after the other, of all together asking for owners at once."""
    waiting: dict[str, list[Step]] = {}
    for step in steps:
        waiting.setdefault(step.account, []).append(step)
    commands: dict[str, list[WorkflowCommand]] = {name: [] for name in waiting}
    running: dict[str, Steps] = {}
    answers: dict[str, Answer] = dict.fromkeys(waiting)
    asking = list(waiting)
    while asking:
        asks = []
        for name in asking:
            while name in running or waiting[name]:
                if name not in running:
                    step = waiting[name].pop(0)
                    running[name] = step.begin(accounts[name], step.at)
                try:
                    asks.append((name, running[name].send(answers[name])))
                    break
                except StopIteration as done:
                    del running[name]
                    answers[name] = None
                    commands[name] += done.value
        settled = await owners.settle([ask for _, ask in asks]) if asks else []
        asking = [name for name, _ in asks]
        answers.update(zip(asking, settled, strict=True))
    return [one for name in commands for one in commands[name]]


def _announce(topic: str, command: WorkflowCommand) -> Message:
    headers = [("content-type", CONTENT_TYPE), ("workflow", command.workflow.encode())]
    return Message(topic, command.account.encode(), encode_command(command), headers)
