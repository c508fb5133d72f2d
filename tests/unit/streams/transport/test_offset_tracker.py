from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resegment.streams.transport.offset_tracker import OffsetTracker


def handed_out(*ends: int, start: int = 0) -> OffsetTracker:
    tracker = OffsetTracker(start)
    for end in ends:
        tracker.hand_out(end)
    return tracker


def test_nothing_is_committed_before_the_first_chunk_is_complete() -> None:
    tracker = handed_out(12, start=10)
    assert tracker.committable is None
    assert tracker.pending == 1


def test_a_later_chunk_waits_for_the_one_before_it() -> None:
    tracker = handed_out(2, 4)
    tracker.complete(4)
    assert tracker.committable is None
    tracker.complete(2)
    assert tracker.committable == 4
    assert tracker.pending == 0


def test_gaps_between_offsets_do_not_hold_the_commit_back() -> None:
    tracker = handed_out(6, 96)
    tracker.complete(6)
    tracker.complete(96)
    assert tracker.committable == 96


def test_what_is_committed_is_not_committed_again() -> None:
    tracker = handed_out(1)
    tracker.complete(1)
    tracker.committed = tracker.committable
    assert tracker.committable is None


def test_a_tracker_without_an_offset_is_placed_later() -> None:
    tracker = OffsetTracker()
    assert not tracker.placed
    tracker.place(7)
    assert (tracker.placed, tracker.done, tracker.position, tracker.committable) == (True, 7, 7, None)


def test_a_marker_of_a_transaction_is_done_with_what_was_before_it() -> None:
    tracker = handed_out(3)
    tracker.skip_to(4)
    assert (tracker.position, tracker.committable) == (4, None)
    tracker.complete(3)
    assert tracker.committable == 4
    tracker.skip_to(6)
    assert tracker.committable == 6
    assert tracker.start == 3


@given(st.permutations(range(12)))
def test_only_what_is_complete_without_a_gap_may_be_committed(order: list[int]) -> None:
    tracker = handed_out(*range(1, 13))
    done: set[int] = set()
    for offset in order:
        tracker.complete(offset + 1)
        done.add(offset)
        assert tracker.done == next(number for number in range(13) if number not in done)
    assert tracker.pending == 0


@given(st.data(), st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_the_commit_is_always_the_end_of_the_longest_complete_prefix(
    data: st.DataObject, sizes: list[int]
) -> None:
    ends = [100 + sum(sizes[: index + 1]) for index in range(len(sizes))]
    tracker = handed_out(*ends, start=100)
    complete: set[int] = set()
    for index in data.draw(st.permutations(range(len(ends)))):
        tracker.complete(ends[index])
        complete.add(ends[index])
        prefix = 100
        for end in ends:
            if end not in complete:
                break
            prefix = end
        assert tracker.done == prefix
