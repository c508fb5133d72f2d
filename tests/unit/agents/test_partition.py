"""Taking a partition: where reading goes on, and what is noticed of a log that is not the one that was read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.deciding.decided import count_moves
from resegment.agents.partition import OutOfStep, mark_of
from resegment.schemas.change import Cause, SegmentChange
from resegment.state.memory.partition import PartitionStore
from tests.builders import Rig, facts_of, run, signals, ticking
from tests.oracle.cases import day, funding, hiring, only

WEEK = only({"event": "funding", "within": "7d"})
RECORDS = signals(facts_of([funding(day(0), id="a"), hiring(day(1), id="b"), funding(day(2), id="c")]))


async def test_a_fresh_partition_is_read_from_its_beginning() -> None:
    rig = Rig(WEEK)
    assert await rig.take() == 0
    assert not rig.owned.notices.messages


async def test_who_takes_over_reads_the_last_record_again_to_hold_it_against_what_was_committed() -> None:
    first = await run(Rig(WEEK), [RECORDS[:2]])
    second = Rig(WEEK, memory=first.memory)
    assert await second.take() == 1
    done = await second.feed(*RECORDS[1:])
    assert done.facts == 1
    assert not second.owned.notices.messages


async def test_who_takes_over_gets_what_was_not_published_yet_in_order() -> None:
    file = only({"event": "funding", "within": "1d"})
    first = await run(Rig(file), [[one] for one in RECORDS])
    second = Rig(file, memory=first.memory)
    await second.take()
    await second.deliver()
    await first.deliver()
    assert second.published.messages == first.published.messages
    assert len(second.published.messages) == 3


async def test_who_takes_over_decides_what_is_due() -> None:
    first = Rig(WEEK)
    await first.take()
    await first.feed(*RECORDS[:1])
    await first.feed(ticking(1, day(20)))
    second = Rig(WEEK, memory=first.memory)
    await second.take()
    assert await second.settle() == 1
    assert second.net == [("acme.com", "in", "out", day(7))]


async def test_a_topic_made_anew_is_read_from_its_beginning_with_the_clock_kept() -> None:
    first = await run(Rig(WEEK), [RECORDS])
    second = Rig(WEEK, memory=first.memory, log="another log")
    assert await second.take() == 0
    assert second.owned.notices.new_logs == 1
    assert "another log" in second.owned.notices.messages[0]
    news = signals(facts_of([funding(day(1), id="new", account="zeta.io")]))
    await second.feed(*news)
    assert second.net == [("zeta.io", None, "in", day(2))]

    third = Rig(WEEK, memory=first.memory, log="another log")
    assert (
        await third.take() == 0
    )  # the one record read of the new log, to be held against what was committed
    assert (await third.feed(*news)).facts == 0
    assert not third.owned.notices.messages


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_topic_with_a_new_id_is_the_same_log_if_it_has_the_last_record(is_there: bool) -> None:
    first = await run(Rig(WEEK), [RECORDS])
    second = Rig(WEEK, memory=first.memory, log="another id")
    asked = []

    async def holds(where: str, offset: int, mark: str) -> bool:
        asked.append((where, offset, mark))
        return is_there

    start = await second.owned.take("another id", holds=holds)
    last = len(RECORDS) - 1
    assert asked == [("topic", last, mark_of(RECORDS[-1]))]
    assert start == (last if is_there else 0)
    assert second.owned.notices.new_logs == (0 if is_there else 1)
    assert second.owned.position.log == (first.owned.position.log if is_there else "another id")


async def test_a_topic_with_a_new_id_is_the_same_log_if_nothing_was_read_of_the_old_one() -> None:
    first = Rig(WEEK)
    await first.take()
    second = Rig(WEEK, memory=first.memory, log="another id")

    async def holds(where: str, offset: int, mark: str) -> bool:
        raise AssertionError("there is nothing to look for")

    assert await second.owned.take("another id", holds=holds) == 0
    assert second.owned.notices.new_logs == 0


@pytest.mark.parametrize(
    "other",
    [
        RECORDS[1]._replace(value=b"{}"),
        RECORDS[1]._replace(timestamp=day(1) + 1),
        RecordedMessage(1, day(1), None, None),
    ],
    ids=["another value", "another time", "nothing in it"],
)
async def test_another_last_record_is_noticed_and_the_log_read_from_its_beginning(
    other: RecordedMessage,
) -> None:
    first = await run(Rig(WEEK), [RECORDS[:2]])
    second = Rig(WEEK, memory=first.memory)
    assert await second.take() == 1
    with pytest.raises(OutOfStep):
        await second.feed(other)
    assert await second.take() == 0
    assert second.owned.notices.new_logs == 1
    again = await second.feed(*signals(facts_of([funding(day(3), id="new")])))
    assert again.facts == 1
    assert await second.take() == 0
    assert second.owned.notices.new_logs == 1


async def test_a_log_shorter_than_what_was_committed_is_noticed_and_read_from_its_beginning() -> None:
    first = await run(Rig(WEEK), [RECORDS])
    second = Rig(WEEK, memory=first.memory)
    assert await second.take() == 2
    short = signals(facts_of([funding(day(5), id="new", account="zeta.io")]))
    with pytest.raises(OutOfStep):
        await second.feed(*short)  # the client starts over where the offset asked for does not exist
    assert await second.take() == 0
    await second.feed(*short)
    assert second.net == [("zeta.io", None, "in", day(5))]
    assert second.owned.notices.new_logs == 1


async def test_a_log_that_begins_again_under_its_owner_is_noticed_and_read_from_its_beginning() -> None:
    rig = await run(Rig(WEEK), [RECORDS])
    short = signals(facts_of([funding(day(5), id="new", account="zeta.io")]))
    with pytest.raises(OutOfStep):
        await rig.feed(*short)
    assert await rig.take() == 0
    await rig.feed(*short)
    assert ("zeta.io", None, "in", day(5)) in rig.net
    assert rig.owned.notices.new_logs == 1


async def test_reading_a_log_again_changes_no_account() -> None:
    first = await run(Rig(WEEK), [RECORDS, [ticking(3, day(4))]])
    second = Rig(WEEK, memory=first.memory, log="another log")
    await second.take()
    await second.feed(*RECORDS)
    assert second.net == []
    assert second.standing() == first.standing()


async def test_a_gap_is_noticed_and_what_is_left_is_read() -> None:
    first = await run(Rig(WEEK), [RECORDS[:1]])
    await first.feed(*signals(facts_of([hiring(day(4))]), first=5))
    assert first.owned.notices.gaps == 1
    assert "1 to 4" in first.owned.notices.messages[0]
    assert first.owned.position.offset == 6


async def test_offsets_that_markers_of_transactions_take_are_no_gap() -> None:
    first = await run(Rig(WEEK), [RECORDS[:1]])
    (late,) = signals(facts_of([hiring(day(4))]), first=5)
    records = first.owned.unseen(Batch("signals", 0, [late], start=1))
    assert (records, first.owned.notices.gaps) == ([late], 0)


async def test_a_log_whose_beginning_is_gone_is_noticed() -> None:
    rig = await run(Rig(WEEK), [signals(facts_of([hiring(day(4))]), first=5)])
    assert rig.owned.notices.gaps == 1


async def test_a_partition_that_was_let_go_takes_nothing_in() -> None:
    rig = Rig(WEEK)
    await rig.take()
    rig.owned.forget()
    with pytest.raises(OutOfStep):
        await rig.feed(RECORDS[0])
    assert not rig.memory.accounts


async def test_an_account_beyond_the_memory_of_the_worker_is_read_again() -> None:
    events = [funding(day(n), account=f"c{n % 3}.com", id=f"i{n}") for n in range(9)]
    small = await run(Rig(WEEK, cache_bytes=1), [[one] for one in signals(facts_of(events))])
    large = await run(Rig(WEEK), [[one] for one in signals(facts_of(events))])
    assert small.memory == large.memory


async def test_a_worker_forgets_the_account_first_that_was_not_used_for_longest() -> None:
    one = await run(Rig(WEEK), [signals(facts_of([funding(day(0))]))])
    size = (await one.owned.accounts(["acme.com"]))["acme.com"].measure()
    rig, read = Rig(WEEK, cache_bytes=int(2.9 * size)), list[str]()

    class Watched(PartitionStore):
        async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
            read.extend(accounts)
            return await super().read(accounts)

    rig.owned.store = Watched(rig.memory, 0)
    names = ["a.com", "b.com", "a.com", "c.com", "a.com", "b.com"]
    events = [funding(day(number), account=name, id=f"i{number}") for number, name in enumerate(names)]
    await run(rig, [[one] for one in signals(facts_of(events))])
    assert read == ["a.com", "b.com", "c.com", "b.com"]


def test_sizes_follow_the_net_of_superseded_changes() -> None:
    def change(from_: str | None, to: str, void: str | None = None) -> SegmentChange:
        return SegmentChange(
            id=to, account="a.com", sequence_number=1, from_=from_, to=to, effective_at=0, decided_at=0,
            cause=Cause(), reason={}, also_qualified=(), definition_version="v",
            supersedes=void, supersedes_to=void,
        )  # fmt: skip

    assert dict(count_moves([change(None, "a")])) == {"a": 1}
    assert dict(count_moves([change("a", "b"), change("a", "c", void="b")])) == {"a": -1, "c": 1}
    assert dict(count_moves([change("a", "b"), change("a", "a", void="b")])) == {}
