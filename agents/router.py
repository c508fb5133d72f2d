"""Turn segment changes into the commands that move an account to another workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from resegment.agents.batch import Batch, Message, Publisher, Record, require_readable
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.enrolling.ledgers import arrange_ledgers
from resegment.agents.enrolling.offering import find_offers
from resegment.agents.enrolling.walk import Begin, RoutingTask, Walk, Ways, walk_steps
from resegment.agents.partition import OwnedPartition, position_after, position_after_beside
from resegment.errors import RefusedEvent
from resegment.routing.account import RoutedAccount
from resegment.routing.change import decode_change
from resegment.routing.enrollment import EnrollmentMachine, Steps
from resegment.schemas.definitions.in_force import decode_in_force, encode_in_force, hear_of_source
from resegment.schemas.fact import LATEST
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.outcomes.facts import Learned
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.routing import (
    ChildReport,
    DefinitionSwitched,
    FamilyNews,
    GatesChanged,
    Review,
    decode_routed,
    decode_routing_event,
)
from resegment.schemas.sources.silence import SourceBack, SourceSilent
from resegment.state.owner_store import OwnerStore
from resegment.state.partition_store import Position

LOOKED_AT_ONCE: Final = 250
"""About how many accounts one commit looks at after a switch, so that live events don't wait long."""

Owned = OwnedPartition[RoutedAccount]


@dataclass(frozen=True, slots=True)
class Routed:
    """The result of a batch, for metrics; `decisions` counts accounts by decision."""

    events: int = 0
    actions: Sequence[str] = ()
    decisions: Sequence[tuple[str, int]] = ()
    refused: Sequence[RefusedEvent] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """What the router works with.

    `now` is the wall clock in ms; None: time advances only with the changes. `tolerance` (ms) is how far a change may be
    ahead of it and still move the clock.
    """

    machine: EnrollmentMachine
    owners: OwnerStore
    publisher: Publisher
    commands: str
    dead_letters: str
    now: Callable[[], int] | None
    events: str = "routing-events"
    tolerance: int = 300_000
    touches: str = "touches"
    open: Callable[[Sequence[Record]], Awaitable[Sequence[Record]]] | None = None
    """Opens sealed records, each in its place; None where nothing is sealed."""

    async def opened(self, records: Sequence[Record]) -> Iterable[tuple[Record, Record]]:
        """Return records, each with what it says. Their places and their hashes are those of the log."""
        return zip(records, records if self.open is None else await self.open(records), strict=True)

    def clock(self, owned: Owned) -> int:
        """Return the partition's time in ms; it never moves back."""
        return max(owned.position.clock, 0 if self.now is None else self.now())

    @property
    def ways(self) -> Ways:
        """Return what steps ask, and where their messages go."""
        return Ways(self.owners, self.commands, self.events, self.touches, self.now is not None)

    @property
    def latest(self) -> int:
        """The latest instant (ms) that a change may move a clock to: one of a foreign program must not end all waits."""
        return LATEST if self.now is None else self.now() + self.tolerance


async def route(batch: Batch, owned: Owned, router: Router, fence: int | None = None) -> Routed:
    """Commit what a batch of segment changes leads to, all or nothing: accounts, commands and position.

    `fence` is the one under which the batch was delivered: if the partition was taken again since, it is refused.
    Raises `Fenced`, `RolledBack` or `OutOfStep` if the partition must be claimed again, and
    `StoreUnavailable` or `PublishFailed` if the batch must be retried.
    """
    async with owned.lock:
        records = owned.unseen(batch, fence)
        if not records:
            return Routed()
        reading = _Reading(batch, router, owned)
        clock = router.clock(owned)
        for record, opened in await router.opened(records):
            clock = reading.change(record, opened, clock, router.latest)
        return await _follow(owned, router, reading, position_after(owned.position, records[-1], clock))


async def handle_events(batch: Batch, owned: Owned, router: Router, fence: int | None = None) -> Routed:
    """Commit what a batch of `routing-events` leads to. Raises as `route` does."""
    async with owned.lock:
        records = owned.unseen_beside(batch, fence)
        if not records:
            return Routed()
        reading = _Reading(batch, router, owned)
        clock = router.clock(owned)
        for record, opened in await router.opened(records):
            reading.told(record, opened, clock)
        position = position_after_beside(owned.position, records[-1], clock)
        return await _follow(
            owned, router, reading, replace(position, definition=encode_in_force(reading.in_force))
        )


async def pass_time(owned: Owned, now: int) -> None:
    """Set the partition's time to `now` (ms) if something is due by then."""
    async with owned.lock:
        if owned.fence is not None and not owned.due and (owned.next_deadline or now + 1) <= now:
            await owned.commit(replace(owned.position, clock=max(owned.position.clock, now)), owned.collect())


async def route_due(owned: Owned, router: Router) -> Routed:
    """Apply the due deadlines of one slice of the accounts. Raises as `route` does."""
    async with owned.lock:
        if not owned.due or owned.fence is None:
            return Routed()
        clock, machine = router.clock(owned), router.machine
        in_force = decode_in_force(owned.position.definition)
        current = machine.policies.at(in_force.number).amid(in_force.silent)
        steps = [
            RoutingTask(name, clock, lambda one, now: machine.advance(one, now, current))
            for name in owned.due
        ]
        return await _decide(owned, router, steps, owned.due, replace(owned.position, clock=clock))


def has_to_look(position: Position) -> bool:
    """Return whether accounts have to be looked at since another version, or a source that was silent, is there."""
    in_force = decode_in_force(position.definition)
    return in_force.cursor is not None or in_force.held_cursor is not None


async def look_again(owned: Owned, router: Router) -> Routed:
    """Decide one slice of the accounts again that a switch concerns beside those that it moved. Raises as `route` does.

    These wait for a team, or a list suppresses them now or no longer.
    """
    async with owned.lock:
        in_force = decode_in_force(owned.position.definition)
        switched, cursor = in_force.switched, in_force.cursor
        held = cursor is None
        start = in_force.held_cursor if held else cursor
        if start is None or owned.fence is None:
            return Routed()
        clock, machine = router.clock(owned), router.machine
        current = machine.policies.at(in_force.number).amid(in_force.silent)
        following, found = await owned.store.scan(start, LOOKED_AT_ONCE)
        concerned = [
            name
            for name, state in ((one, decode_routed(value)) for one, value in found)
            if (state.decision == "held" if held else current.has_to_look(name, state))
        ]

        def begin(one: RoutedAccount, now: int) -> Steps:
            if switched is None or held:
                return machine.decide_held(one, now, current)
            return machine.look_again(one, switched, now, current)

        steps = [RoutingTask(name, clock, begin) for name in concerned]
        left = {"held_cursor" if held else "cursor": following or None}
        looked = encode_in_force(msgspec.structs.replace(in_force, **left))
        return await _decide(
            owned, router, steps, concerned, replace(owned.position, clock=clock, definition=looked)
        )


async def _decide(
    owned: Owned,
    router: Router,
    steps: Sequence[RoutingTask],
    names: Sequence[str],
    position: Position,
) -> Routed:
    """Run steps that no record asked for. An account that fails stays as it is stored."""
    with owned.all_or_nothing():
        walk = await walk_steps(await owned.accounts(names), steps, router.ways)
        for name, error in walk.failed.items():
            walk.accounts[name] = await owned.suspend(name, error)
            walk.before[walk.accounts[name].state.decision] += 1
        return await _commit(owned, router, walk, position, (), len(steps))


class _Reading:
    """The steps that a batch asks for, in order, and the records that are rejected."""

    def __init__(self, batch: Batch, router: Router, owned: Owned) -> None:
        self._batch, self._dead_letters, self._machine = batch, router.dead_letters, router.machine
        self.in_force = decode_in_force(owned.position.definition)
        self._current = self._machine.policies.at(self.in_force.number).amid(self.in_force.silent)
        self.steps: list[RoutingTask] = []
        self.letters: list[Message] = []
        self.refused: list[RefusedEvent] = []
        self.learned: dict[str, list[LedgerItem]] = {}
        """What became known of outcomes, by account."""
        self.relearned: set[str] = set()
        """Accounts of which a person was forgotten: only outcomes that are learned after that count."""

    def change(self, record: Record, opened: Record, clock: int, latest: int) -> int:
        """Read a segment change, and return the clock (ms), which moves to when it was decided, or to `latest`."""
        try:
            require_readable(opened)
            change = decode_change(opened.value or b"")
        except RefusedEvent as refused:
            self.refuse(record, refused)
            return clock
        except ValueError as error:  # msgspec's errors too
            self.refuse(record, RefusedEvent("not-a-change", f"{type(error).__name__}: {error}"))
            return clock
        clock = max(clock, min(change.decided_at, latest))
        machine, current, version = self._machine, self._current, change.target.version
        own = current
        if version not in ("", current.version):
            own = machine.policies.of(version).amid(self.in_force.silent)
        self.steps.append(
            RoutingTask(
                change.account,
                clock,
                lambda one, now: machine.handle_change(one, change, now, current, own),
                record,
            )
        )
        return clock

    def told(self, record: Record, opened: Record, clock: int) -> None:
        """Read an event of `routing-events`. A switch to another version counts for the events after it."""
        machine, current = self._machine, self._current
        try:
            require_readable(opened)
            event = decode_routing_event(opened.value or b"")
            if isinstance(event, DefinitionSwitched):
                self._switch(event)
                return
            if isinstance(event, Learned):
                if event.fact is not None:
                    self.learned.setdefault(event.account, []).append(event.fact)
                return
            if isinstance(event, Forgotten):
                self.learned.pop(event.account, None)
                if event.person:
                    self.relearned.add(event.account)
            if isinstance(event, SourceSilent | SourceBack):
                self.in_force = hear_of_source(self.in_force, event)
                self._current = current.amid(self.in_force.silent)
                return
            switch = event.switch if isinstance(event, GatesChanged | ChildReport | FamilyNews) else None
            if switch is not None and switch.number > self.in_force.number:  # news of a relative's partition
                current = machine.policies.at(switch.number).amid(self.in_force.silent)
        except RefusedEvent as refused:
            self.refuse(record, refused)
            return
        except ValueError as error:  # msgspec's errors too
            self.refuse(record, RefusedEvent("not-a-routing-event", str(error)))
            return
        begin: Begin = lambda one, now: machine.handle_event(one, event, now, current)  # noqa: E731
        switched = None if self.in_force.cursor is None else self.in_force.switched
        if switched is not None and isinstance(event, Review) and not event.forced:
            # a list is gone with the switch, of which the account has not heard yet
            begin = lambda one, now: machine.look_again(one, switched, now, current)  # noqa: E731
        self.steps.append(RoutingTask(event.account, clock, begin, record))

    def _switch(self, event: DefinitionSwitched) -> None:
        if event.version <= self.in_force.number:
            return
        before = self._current
        self._current = self._machine.policies.at(event.version).amid(self.in_force.silent)
        looks = self.in_force.cursor is not None or self._current.concerns(before)
        self.in_force = msgspec.structs.replace(self.in_force, switched=event, cursor=0 if looks else None)

    def refuse(self, record: Record, reason: RefusedEvent) -> None:
        """Send a record to the dead letters."""
        self.refused.append(reason.at(record.offset))
        self.letters.append(to_dead_letter(self._dead_letters, self._batch, record, reason))


async def _follow(owned: Owned, router: Router, reading: _Reading, position: Position) -> Routed:
    with owned.all_or_nothing():
        accounts = await owned.accounts(dict.fromkeys(step.account for step in reading.steps))
        walk = await walk_steps(accounts, reading.steps, router.ways)
        for step in reading.steps:
            error = walk.failed.get(step.account)
            if error is not None and step.record is not None:
                owned.drop(step.account)
                reading.refuse(
                    step.record, RefusedEvent("routing-failed", f"{type(error).__name__}: {error}")
                )
        if reading.letters:
            await router.publisher.publish(reading.letters)
        for name, items in reading.learned.items():
            walk.touches.setdefault(name, []).extend(items)
        events = len(reading.steps) + sum(map(len, reading.learned.values()))
        return await _commit(owned, router, walk, position, reading.refused, events, reading.relearned)


async def _commit(
    owned: Owned,
    router: Router,
    walk: Walk,
    position: Position,
    refused: Sequence[RefusedEvent],
    events: int,
    relearned: Collection[str] = (),
) -> Routed:
    before, after = walk.before, Counter(one.state.decision for one in walk.accounts.values())
    sizes: list[tuple[str, int]] = [
        (name, after[name] - before[name])
        for name in sorted(before.keys() | after.keys())
        if name != "none" and after[name] != before[name]
    ]
    if router.now is None:  # no loop looks for what may be taken
        policy = router.machine.policies.at(decode_in_force(position.definition).number)
        walk.messages += await find_offers(
            router.owners, policy, position.clock, live=False, topic=router.events
        )
    # an account that was only asked about is not stored; its gates may arrive before its first change
    known = [one for one in walk.accounts.values() if one.is_known]
    ledgers = await arrange_ledgers(owned.store, walk.touches, relearned)
    await owned.commit(
        position,
        owned.collect(known),
        walk.messages,
        sizes=sizes,
        decided=len(walk.commands),
        ledgers=ledgers.appended,
        compacted=ledgers.replaced,
    )
    return Routed(events, [one.action for one in walk.commands], sorted(after.items()), refused)
