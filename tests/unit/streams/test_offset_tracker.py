from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import Batch, RecordedMessage
from resegment.streams.consumer.offset_tracker import Chunk, Lane


def batch(*offsets: int) -> Batch:
    return Batch("signals", 0, [RecordedMessage(offset, 0, None, b"") for offset in offsets])


def lane_at(offset: int) -> Lane:
    lane = Lane()
    lane.place(offset)
    return lane


def test_nothing_is_committed_before_the_first_chunk_is_acknowledged() -> None:
    lane = lane_at(10)
    lane.push(batch(10, 11))
    assert lane.committable is None
    assert lane.unacked == 1


def test_a_later_chunk_waits_for_the_one_before_it() -> None:
    lane = lane_at(0)
    first, second = lane.push(batch(0, 1)), lane.push(batch(2, 3))
    lane.ack(second)
    assert lane.committable is None
    lane.ack(first)
    assert lane.committable == 4
    assert lane.unacked == 0


def test_gaps_between_offsets_do_not_hold_the_commit_back() -> None:
    lane = lane_at(0)
    first, second = lane.push(batch(5)), lane.push(batch(90, 95))
    lane.ack(first)
    lane.ack(second)
    assert lane.committable == 96


def test_what_is_committed_is_not_committed_again() -> None:
    lane = lane_at(0)
    lane.ack(lane.push(batch(0)))
    lane.committed = lane.committable
    assert lane.committable is None


@given(st.data(), st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_the_commit_is_always_the_end_of_the_longest_acknowledged_prefix(
    data: st.DataObject, sizes: list[int]
) -> None:
    lane = lane_at(100)
    chunks: list[Chunk] = []
    offset = 100
    for size in sizes:
        chunks.append(lane.push(batch(*range(offset, offset + size))))
        offset += size
    for index in data.draw(st.permutations(range(len(chunks)))):
        lane.ack(chunks[index])
        prefix = 100
        for chunk in chunks:
            if not chunk.acked:
                break
            prefix = chunk.end
        assert lane.done == prefix
