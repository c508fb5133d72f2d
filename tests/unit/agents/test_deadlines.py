"""Time where no event comes: ticks, and deadlines decided at their exact instant, slice by slice."""

from __future__ import annotations

import pytest

from resegment.agents import partition as ownership
from resegment.agents.batch import PublishFailed
from resegment.agents.deadlines import tick
from resegment.agents.segmenter import TICK
from resegment.schemas.times import format_instant
from tests.builders import Published, Rig, facts_of, run, signals, ticking
from tests.oracle.cases import day, funding, only

WEEK = only({"event": "funding", "within": "7d"})


async def placed(accounts: int = 1) -> Rig:
    events = [funding(day(0) + number, account=f"c{number:04}.com") for number in range(accounts)]
    return await run(Rig(WEEK), [signals(facts_of(events))])


async def ticked(rig: Rig, now: int) -> list[int]:
    return await tick([rig.owned], publisher=rig.published, signals="signals", now=now)


async def test_a_tick_goes_to_the_partition_whose_deadline_has_come_and_not_before() -> None:
    rig = await placed()
    assert await ticked(rig, day(7) - 1) == []
    assert await ticked(rig, day(7)) == [0]
    (message,) = rig.published.messages
    assert (message.topic, message.partition, message.timestamp) == ("signals", 0, day(7))
    assert (message.key, message.value, message.headers) == (None, None, [(TICK, b"")])


async def test_a_partition_whose_own_clock_has_reached_the_deadline_needs_no_tick() -> None:
    rig = await placed()
    await rig.feed(ticking(1, day(7)))
    assert await ticked(rig, day(8)) == []


async def test_a_partition_that_is_not_held_gets_no_tick() -> None:
    rig = await placed()
    rig.owned.forget()
    assert await ticked(rig, day(8)) == []


async def test_a_partition_without_a_deadline_gets_no_tick() -> None:
    rig = Rig(WEEK)
    await rig.take()
    assert await ticked(rig, day(8)) == []
    assert rig.owned.next_deadline is None


async def test_a_tick_that_is_not_published_comes_again() -> None:
    rig = await placed()
    published = Published()
    published.failures = 1
    with pytest.raises(PublishFailed):
        await tick([rig.owned], publisher=published, signals="signals", now=day(8))
    assert await tick([rig.owned], publisher=published, signals="signals", now=day(8)) == [0]


async def test_a_deadline_is_decided_at_its_exact_instant_however_late_the_clock() -> None:
    rig = await placed()
    await rig.feed(ticking(1, day(100)))
    await rig.settle()
    (change,) = rig.changes[1:]
    assert (change.effective_at, change.decided_at) == (day(7), day(100))
    assert change.cause.deadline == format_instant(day(7))


async def test_several_deadlines_of_one_account_are_decided_in_turn() -> None:
    file = only({"event": "funding", "ago": ["2d", "4d"]})
    rig = await run(Rig(file), [signals(facts_of([funding(day(0))])), [ticking(1, day(9))]])
    assert [(one.to, one.effective_at) for one in rig.changes] == [
        ("out", day(0)),
        ("in", day(2)),
        ("out", day(4)),
    ]


async def test_many_deadlines_are_decided_in_slices_between_which_events_come_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ownership, "DUE_SLICE", 10)
    rig = await placed(35)
    await rig.feed(ticking(35, day(8)))
    assert len(rig.owned.due) == 10
    late = signals(facts_of([funding(day(8), account="c0034.com", id="new")]), first=36)
    await rig.feed(*late)
    assert rig.changes[-1].account == "c0034.com"
    assert await rig.settle() == 4
    left = [move for move in rig.net if move[2] == "out"]
    assert left == [(f"c{number:04}.com", "in", "out", day(7) + number) for number in range(35)]
    assert rig.memory.deadlines == {"c0034.com": day(15)}


async def test_who_waits_for_deadlines_wakes_when_the_clock_reaches_one() -> None:
    rig = await placed()
    await rig.feed(ticking(1, day(7)))
    await rig.owned.wait_due()
    assert list(rig.owned.due) == ["c0000.com"]
