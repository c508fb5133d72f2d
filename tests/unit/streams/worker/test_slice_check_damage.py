"""A check of a slice, over a log and a store in memory: it names what is damaged, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.state import Membership
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.segmentation.versions.comparison import describe_difference
from resegment.state.partition_store import Position
from resegment.state.redis.positions import StatesLook
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker import slice_check
from resegment.streams.worker.slice_check import AccountSlice, LogCut, NotNow, SliceCheck
from tests.builders import Rig, definition_of, facts_of, registry_of, signals, ticking
from tests.unit.segmentation.outlook.test_staleness import FILE, event

DAY = 86_400_000
WHOLE = AccountSlice(0, 1)


class Log:
    """The log of one partition, as a `TopicReader` gives it."""

    def __init__(self, records: Sequence[RecordedMessage], oldest: int = 0) -> None:
        self.records, self.oldest = records, oldest

    async def between(
        self, _: int, start: int, end: int, *, at_once: int
    ) -> AsyncIterator[Sequence[RecordedMessage]]:
        for place in range(start, end, at_once):
            yield self.records[place : min(end, place + at_once)]


class Partition:
    """A partition whose accounts are those of its log, until a test damages some; it is the reader of Redis too."""

    def __init__(self, log: Log, rig: Rig) -> None:
        self.log, self.rig = log, rig
        self.states = dict(rig.memory.accounts)
        self.timers = {name: decode_state(value).deadline for name, value in self.states.items()}
        self.gone: dict[str, str] = {}

    async def position(self, _: int) -> Position:
        return self.rig.owned.position

    async def look_at_states(self, _: int, accounts: Sequence[str]) -> StatesLook:
        states = {name: self.states[name] for name in accounts if name in self.states}
        timers = {name: at for name in accounts if (at := self.timers.get(name)) is not None}
        gone = {name: self.gone[name] for name in accounts if name in self.gone}
        return StatesLook(self.rig.owned.position, states, timers, gone, ())

    async def check(self, some: AccountSlice = WHOLE) -> tuple[int, dict[str, list[str]]]:
        """Check a slice; return how many accounts were checked, and what is said of those that differ."""
        source: Any = SignalLog("", Topics(), {})
        reader: Any = self
        registry = registry_of(definition_of(FILE))
        found = await SliceCheck(0, some, registry, source, reader, cache_bytes=10**6).run()
        said = {name: list(map(describe_difference, ones)) for name, ones in found.differences.items()}
        return found.checked, said


@pytest.fixture
async def partition(monkeypatch: pytest.MonkeyPatch) -> Partition:
    told = [
        one
        for number in range(30)
        for one in (
            event(f"company-{number}.com", 5, "firmographic", employees=number * 10, industry="software"),
            event(f"company-{number}.com", 6 + number, "funding", round="seed"),
        )
    ]
    records = signals(order_of_delivery(facts_of(told)))
    records.append(ticking(len(records), 100 * DAY))
    rig = Rig(FILE)
    await rig.take()
    await rig.feed(*records)
    await rig.settle()
    made = Partition(Log(records), rig)

    @asynccontextmanager
    async def reading(*_: Any, **__: Any) -> AsyncIterator[Log]:
        yield made.log

    monkeypatch.setattr(slice_check, "reading", reading)
    return made


async def test_sound_accounts_do_not_differ_and_the_slices_are_all_of_them(partition: Partition) -> None:
    found = [await partition.check(AccountSlice(number, 3)) for number in range(3)]
    assert [differing for _, differing in found] == [{}, {}, {}]
    assert sum(checked for checked, _ in found) == 30


async def test_what_is_damaged_is_named_and_only_that(partition: Partition) -> None:
    states, timers = partition.states, partition.timers
    due = next(name for name, at in timers.items() if at is not None)
    moved, forgetful, unreadable, missing, cut = [name for name in states if name != due][:5]
    state = decode_state(states[moved])
    was = state.membership.segment
    state.membership = Membership("elsewhere", state.membership.entered, state.membership.left)
    states[moved] = encode_state(state)
    state = decode_state(states[forgetful])
    lost = state.entries.pop(0)  # the snapshot: no test counts the other fact again
    states[forgetful] = encode_state(state)
    states[unreadable] = b"\xc1\x00"
    del states[missing]
    del states[cut]
    partition.gone[cut] = "a part of it is gone"
    timers[due] = 1

    checked, said = await partition.check()

    assert checked == 30
    (unread,) = said.pop(unreadable)
    assert unread.startswith("the state cannot be read")
    assert said == {
        moved: [f"segment elsewhere in Redis, {was} by the log"],
        forgetful: [f"fact {lost.id} of {lost.source}"],
        missing: ["it is missing in Redis"],
        cut: ["the state cannot be read: a part of it is gone"],
        due: ["timer"],
    }


async def test_a_log_without_its_beginning_is_not_compared_with(partition: Partition) -> None:
    partition.log.oldest = 3
    with pytest.raises(LogCut, match="begins at offset 3"):
        await partition.check()


async def test_a_store_that_was_put_back_is_checked_later(partition: Partition) -> None:
    partition.rig.owned.position = Position(offset=5, clock=1, log="log")
    partition.log.records = partition.log.records[:5]
    with pytest.raises(NotNow):
        await partition.check()
