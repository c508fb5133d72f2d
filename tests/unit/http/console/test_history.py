"""Sizes of segments over time, counted back from those of now; and how fresh decisions are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resegment.http.console.charts import draw_bars, draw_line, draw_sparkline
from resegment.http.console.history import HOUR, Window, choose_window, trace
from resegment.streams.reports.freshness import find_freshness
from tests.console import PrefixInMemory

DAY = 24 * HOUR


def test_sizes_are_counted_back_from_those_of_now() -> None:
    window = choose_window("24h", begin=0, now=2 * DAY, replayed=False)
    assert (window.since, window.bucket, len(window.starts)) == (DAY, HOUR, 24)
    moves = [
        (DAY, "", "cold", 3),
        (DAY + HOUR, "cold", "hot", 2),
        (DAY + 23 * HOUR, "hot", "", 1),
        (0, "", "cold", 9),
    ]
    past = trace(window, moves, {"cold": 10, "hot": 1}, ["hot", "cold"])
    assert list(past.segments) == ["hot", "cold"]
    assert past.segments["cold"].sizes[:3] == (12, 10, 10)
    assert past.segments["hot"].sizes[0] == 0
    assert past.segments["hot"].sizes[-2:] == (2, 1)
    assert (past.segments["cold"].entries, past.segments["cold"].exits) == (3, 2)
    assert (sum(past.moves), sum(past.first)) == (3, 3)


@pytest.mark.parametrize(
    ("name", "replayed", "chosen", "hours"),
    [("24h", False, "24h", 1), (None, False, "7d", 2), ("90d", False, "90d", 48), ("soon", False, "7d", 2), (None, True, "all", 216)],
)  # fmt: skip
def test_a_window_has_a_name_and_whole_buckets(
    name: str | None, replayed: bool, chosen: str, hours: int
) -> None:
    window = choose_window(name, begin=0, now=700 * DAY, replayed=replayed)
    assert (window.name, window.hours) == (chosen, hours)
    assert window.since % HOUR == 0
    assert len(window.starts) <= 85


def test_a_window_begins_no_earlier_than_what_is_known() -> None:
    window = choose_window("30d", begin=9 * DAY + 5, now=10 * DAY, replayed=False)
    assert window.since == 9 * DAY


def test_charts_of_nothing_and_of_one_bucket_are_drawn() -> None:
    window = choose_window("24h", begin=DAY, now=DAY + 5, replayed=False)
    assert draw_sparkline(()) == ""
    assert "<path" in draw_line((3,), window)
    assert "1 moved" in draw_bars((1,), (0,), window, with_first=False)


async def test_decisions_are_as_old_as_what_waits_and_a_quiet_prefix_is_fresh(prefix: PrefixInMemory) -> None:
    look = await prefix.overview()
    (part,), (worker,) = look.partitions, look.workers
    later = look.now + DAY
    quiet = find_freshness(replace(look, now=later, workers=[replace(worker, silent=1_500)]))
    assert (quiet.told, quiet.is_good) == ("1 s ago", True)
    behind = find_freshness(replace(look, now=later, workers=[replace(worker, behind=[0])]))
    assert (behind.told, behind.is_good) == ("24 h ago", False)
    due = find_freshness(replace(look, partitions=[replace(part, next_deadline=look.now - 42_000)]))
    assert (due.told, due.is_good) == ("42 s ago", False)
    alone = find_freshness(replace(look, now=later, workers=[]))
    assert (alone.told, alone.is_good) == ("24 h ago", False)
    lag = {f"{look.prefix}.signals": 79_000, f"{look.prefix}.triggers.hiring": 1_000, "x.segment-changes": 9}
    flooded = find_freshness(replace(look, workers=[replace(worker, lag=lag, silent=0)]))
    assert (flooded.title, flooded.told) == ("Newest decision", "0 s ago")
    assert flooded.note.startswith("80,000 events wait; 10 s allowed")
    assert "a replay" in find_freshness(replace(look, clock="facts")).note
    assert find_freshness(replace(look, partitions=[])).told == "never"


def test_the_segments_that_grew_and_shrank_most_are_named() -> None:
    moves = [(0, "", "a", 9), (0, "a", "b", 5), (HOUR, "b", "c", 3), (HOUR, "c", "d", 1), (HOUR, "d", "a", 1)]
    past = trace(Window("all", 0, 2 * HOUR, HOUR), moves, {"a": 5, "b": 2, "c": 2}, ["a", "b", "c", "d", "e"])
    assert [(one.name, one.net) for one in past.gained(2)] == [("a", 5), ("b", 2)]
    assert past.lost(3) == []
    back = trace(Window("all", 0, HOUR, HOUR), [(0, "a", "b", 4), (0, "c", "b", 1)], {}, ["a", "b", "c"])
    assert [(one.name, one.net) for one in back.lost(3)] == [("a", -4), ("c", -1)]
