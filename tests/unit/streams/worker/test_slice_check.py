"""A slice of a partition's accounts, folded alone, is as the whole partition has it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.agents.batch import Batch, Record, RecordedMessage
from resegment.agents.deciding.refolding import refold
from resegment.agents.deciding.versions import KnownVersions
from resegment.agents.partition import OwnedPartition
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.state import Membership
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.segmentation.versions.chain import follow
from resegment.segmentation.versions.comparison import Comparison, describe_difference
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.streams.worker.slice_check import AccountSlice, leave_out_others
from tests.builders import Rig, definition_of, facts_of, signal, ticking
from tests.oracle.generate import generate
from tests.oracle.generate.switches import switches
from tests.unit.agents.test_merging import live

DAY = 86_400_000
SLICES = 3


class Fold:
    """One partition that is folded from records, by a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self.memory = Memory()
        self.versions = KnownVersions(timeline)
        self.owned = OwnedPartition(0, PartitionStore(self.memory, 0), self.versions)

    async def read(self, records: Sequence[Record], refused: frozenset[int]) -> None:
        await refold(Batch("signals", 0, records), self.owned, self.versions, ahead=refused)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
async def test_a_slice_that_is_folded_alone_is_as_the_whole_partition_has_it(seed: int) -> None:
    draw = random.Random(seed)
    switched = switches(generate(seed, extended=True), draw)
    first, *later = [definition_of(one.file, one.files) for one in switched.versions]
    instants = [one.at or 0 for one in switched.versions[1:]]
    timeline = follow(first, list(zip(instants, later, strict=True)))
    records: list[RecordedMessage] = []
    for fact in order_of_delivery(facts_of(switched.events)):
        while draw.random() < 0.2:
            records.append(ticking(len(records), fact.recorded - draw.randint(0, DAY)))
        records.append(signal(len(records), fact))
    records.append(ticking(len(records), max(one.timestamp for one in records) + 40 * DAY))
    refused = frozenset(one.offset for one in records if draw.random() < 0.1)
    whole, parts = Fold(timeline), [Fold(timeline) for _ in range(SLICES)]
    for fold in (whole, *parts):
        await fold.owned.take("")
    place = 0
    while place < len(records):
        some = records[place : place + draw.randint(1, 9)]
        place += len(some)
        await whole.read(some, refused)
        for number, part in enumerate(parts):
            for step in leave_out_others(some, AccountSlice(number, SLICES), refused):
                await part.read(step, refused)

    clock = whole.owned.position.clock
    comparison = Comparison(timeline, clock)
    seen = set()
    for number, part in enumerate(parts):
        assert (part.owned.position.offset, part.owned.position.clock) == (len(records), clock)
        for name, value in part.memory.accounts.items():
            assert AccountSlice(number, SLICES).has(name.encode())
            seen.add(name)
            timer = decode_state(whole.memory.accounts[name]).deadline
            assert (seed, comparison.compare(name, whole.memory.accounts[name], value, timer)) == (seed, [])
    assert seen == whole.memory.accounts.keys()


@pytest.mark.parametrize("seed", range(12))
async def test_a_slice_of_a_partition_with_merges_is_as_the_whole_partition_has_it(seed: int) -> None:
    prefix, file, _, _ = await live(seed)
    for number, log in enumerate(prefix.logs):
        whole = prefix.rigs[number].standing()
        for some in (AccountSlice(place, SLICES) for place in range(SLICES)):
            rig = Rig(file)
            await rig.take()
            for start in range(0, len(log), 7):
                for step in leave_out_others(log[start : start + 7], some, frozenset()):
                    await refold(Batch("signals", 0, step), rig.owned, rig.versions)
            found = {name: one for name, one in rig.standing().items() if some.has(name.encode())}
            assert found == {name: one for name, one in whole.items() if some.has(name.encode())}


async def damaged() -> tuple[Comparison, bytes]:
    file, events, files = generate(3, extended=True)
    timeline = follow(definition_of(file, files))
    fold = Fold(timeline)
    await fold.owned.take("")
    facts = order_of_delivery(facts_of(events))
    await fold.read([signal(number, one) for number, one in enumerate(facts)], frozenset())
    value = max(fold.memory.accounts.values(), key=len)
    return Comparison(timeline, fold.owned.position.clock), value


async def test_each_kind_of_damage_is_named_without_the_values_of_facts() -> None:
    comparison, good = await damaged()
    timer = decode_state(good).deadline

    def said(value: bytes, in_log: bytes | None = good, *, at: int | None = timer) -> list[str]:
        return [describe_difference(one) for one in comparison.compare("a.com", value, in_log, at)]

    assert said(good) == []
    moved = decode_state(good)
    held = moved.membership
    moved.membership = Membership("elsewhere", held.entered, held.left)
    assert said(encode_state(moved)) == [f"segment elsewhere in Redis, {held.segment} by the log"]
    later = decode_state(good)
    later.membership = Membership(held.segment, held.entered + 1, held.left)
    assert said(encode_state(later)) == ["when it entered or left segments"]
    poorer = decode_state(good)
    lost = poorer.entries.pop()
    assert said(encode_state(poorer)) == [f"fact {lost.id} of {lost.source}"]
    assert said(good, at=1) == ["timer"]
    assert said(good, None) == ["the log does not have it"]
    (unreadable,) = said(b"\xc1\x00")
    assert unreadable.startswith("the state cannot be read")
