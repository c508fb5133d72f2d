"""How often a source sends events, and when its silence is no longer like it."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.sources.rhythm import HOUR, REMEMBERED, Rhythm, cell_of

MONDAY = 20_458 * 24  # 2026-01-05 00:00 UTC, in hours since the epoch
DAY = 24


def due_in(hours: set[int], **given_: int) -> float | None:
    """So many hours after its last event the source is silent."""
    last = max(hours) * HOUR
    due = Rhythm(hours, last).find_due(**given_)
    return None if due is None else (due - last) / HOUR


def test_the_epoch_began_on_a_thursday() -> None:
    assert cell_of(0) == (False, 0)
    assert [cell_of(MONDAY + DAY * day)[0] for day in range(7)] == [False] * 5 + [True] * 2


def test_a_source_that_sends_all_day_is_silent_after_three_empty_hours() -> None:
    assert due_in(set(range(MONDAY, MONDAY + 21 * DAY))) == 4  # the hour of the last event, and three


def test_a_nightly_export_is_silent_after_three_nights_without_it() -> None:
    nights = {MONDAY + day * DAY + 2 for day in range(21)}
    assert due_in(nights) == 3 * DAY + 1


def test_a_weekend_is_no_silence_of_a_source_that_sends_on_weekdays() -> None:
    days = {MONDAY + day * DAY + hour for day in range(21) if day % 7 < 5 for hour in range(8, 18)}
    friday = {hour for hour in days if hour < MONDAY + 19 * DAY}
    due = due_in(friday)
    last = max(friday)
    assert due is not None
    assert last + due == MONDAY + 21 * DAY + 8 + 3  # on Monday, after three empty hours


def test_a_source_is_unknown_until_two_weeks_have_passed() -> None:
    assert due_in(set(range(MONDAY, MONDAY + 13 * DAY))) is None
    assert due_in({MONDAY + week * 7 * DAY for week in range(5)}) is None  # five hours are too few


def test_what_people_say_counts_instead_of_what_is_learned() -> None:
    assert due_in({MONDAY}, every=30 * HOUR) == 30
    assert due_in(set(range(MONDAY, MONDAY + 21 * DAY)), every=30 * HOUR) == 30


def test_a_source_that_ceased_long_ago_is_judged_by_what_came_before() -> None:
    hours = set(range(MONDAY, MONDAY + 21 * DAY))
    assert due_in(hours | {MONDAY - 2 * REMEMBERED}) == due_in(hours)


@given(chance=st.floats(0.05, 0.95), seed=st.integers(0, 1_000))
@settings(max_examples=5, deadline=None)
def test_a_source_is_seldom_silent_by_chance(chance: float, seed: int) -> None:
    draw = random.Random(seed)
    hours = [hour for hour in range(MONDAY, MONDAY + REMEMBERED) if draw.random() < chance]
    later = [
        hour for hour in range(MONDAY + REMEMBERED, MONDAY + REMEMBERED + 21 * DAY) if draw.random() < chance
    ]
    alarms = 0
    rhythm = Rhythm(set(hours), hours[-1] * HOUR)
    for before, after in pairwise(later):
        due = Rhythm({*rhythm.hours, *(one for one in later if one <= before)}, before * HOUR).find_due()
        alarms += due is not None and due <= after * HOUR
    assert alarms <= 0.01 * len(later) + 2


def test_a_source_is_usual_by_the_middle_and_the_longest_of_its_gaps() -> None:
    nights = {MONDAY + day * DAY + 2 for day in range(21) if day != 9}
    found = Rhythm(nights, max(nights) * HOUR).find_usual()
    assert found is not None
    assert (found.median, found.longest, found.hours) == (DAY * HOUR, 2 * DAY * HOUR, 20)


def test_a_source_that_is_not_known_yet_has_no_usual_gap() -> None:
    assert Rhythm({MONDAY, MONDAY + 1}, (MONDAY + 1) * HOUR).find_usual() is None
