"""Working time: against a naive one that looks at the wall clock minute by minute, and the table of docs/routing.md."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resegment.routing.staffing.teams import is_away, members, working_time
from resegment.routing.staffing.working_time import WorkingTime, date_of, day_of, next_day, number_of
from resegment.schemas.segments import Team
from resegment.schemas.times import format_instant, parse_duration, parse_instant
from resegment.schemas.written import Absence
from tests.unit.segmentation.language.test_language_docs import spans, tables_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana",
         "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia"]  # fmt: skip
CHANGES = [
    parse_instant(text)
    for text in (
        "2026-03-08T07:00:00Z",  # New York goes forward
        "2026-11-01T06:00:00Z",  # and back
        "2026-03-29T01:00:00Z",  # Berlin goes forward
        "2026-10-25T01:00:00Z",  # and back
        "2026-04-04T15:00:00Z",  # Lord Howe goes back by half an hour
        "2026-11-01T05:00:00Z",  # Havana goes back to the day before, at midnight
        "2018-11-04T03:00:00Z",  # Sao Paulo had no midnight
        "2018-02-18T02:00:00Z",  # and had one twice
        "2011-12-30T10:00:00Z",  # Apia had no December 30
    )
]
instants = st.one_of(
    st.builds(
        lambda change, minutes: change + minutes * MINUTE,
        st.sampled_from(CHANGES),
        st.integers(-4_000, 2_000),
    ),
    st.integers(20_000_000, 30_000_000).map(lambda minute: minute * MINUTE),
)
zones = st.sampled_from(ZONES)


@st.composite
def weeks(draw: st.DrawFn) -> tuple[tuple[tuple[int, int], ...], ...]:
    week = []
    for _ in range(7):
        cuts = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
        cuts = cuts[: len(cuts) // 2 * 2]
        week.append(tuple((cuts[n] * 15 * MINUTE, cuts[n + 1] * 15 * MINUTE) for n in range(0, len(cuts), 2)))
    return tuple(week)


def naive_is_open(hours: WorkingTime, minute: int) -> bool:
    local = dt.datetime.fromtimestamp(minute // 1000, ZoneInfo(hours.zone))
    of_day = (local.hour * 60 + local.minute) * MINUTE
    spans = hours.week[local.weekday()]
    return number_of(local.date()) not in hours.holidays and any(one <= of_day < two for one, two in spans)


def naive_end(hours: WorkingTime, at: int, minutes: int) -> int | None:
    """The end of the last of so many working minutes; None if it is not within eight days."""
    for minute in range(at, at + 8 * DAY, MINUTE):
        if naive_is_open(hours, minute):
            minutes -= 1
            if minutes == 0:
                return minute + MINUTE
    return None


@settings(deadline=None, max_examples=60)
@given(instants, st.integers(1, 1_500), zones, weeks(), st.sets(st.integers(0, 7), max_size=2))
@example(CHANGES[0] - 2 * DAY, 600, "America/New_York", (((9 * HOUR, 17 * HOUR),),) * 5 + ((), ()), set())
@example(CHANGES[3] - 3 * HOUR, 400, "Europe/Berlin", (((0, 6 * HOUR),),) * 7, set())
def test_working_minutes_are_counted_as_the_wall_clock_shows_them(
    at: int, minutes: int, zone: str, week: tuple[tuple[tuple[int, int], ...], ...], off: set[int]
) -> None:
    first = number_of(date_of(at, zone))
    hours = WorkingTime(zone, week, frozenset(first + one for one in off))
    expected = naive_end(hours, at, minutes)
    found = hours.add(at, minutes * MINUTE)
    if expected is not None:
        assert found == expected
    elif any(week):
        assert found > at + 8 * DAY or found == at + minutes * MINUTE
    assert hours.is_open(at) == naive_is_open(hours, at)


@settings(deadline=None)
@given(instants, zones)
def test_the_next_day_begins_where_the_date_is_later_for_the_first_time(at: int, zone: str) -> None:
    start = next_day(at, zone)
    assert at < start <= at + 50 * HOUR
    assert day_of(start, zone) > day_of(at, zone)
    assert all(date_of(one, zone) <= date_of(at, zone) for one in range(at, start, MINUTE))
    local = dt.datetime.fromtimestamp(at // 1000, ZoneInfo(zone))
    assert day_of(at, zone) == local.strftime("%Y-%m-%d")


def test_without_hours_all_time_counts_and_with_none_at_all_too() -> None:
    at = CHANGES[0]
    assert WorkingTime("America/New_York").add(at, 9 * HOUR) == at + 9 * HOUR
    assert WorkingTime(week=((),) * 7).add(at, HOUR) == at + HOUR
    assert not WorkingTime(week=((),) * 7).is_open(at)


@pytest.mark.parametrize(
    "row", next(iter(tables_of("routing.md", "`timezone`")))[1:], ids=lambda row: row[3][:20]
)
def test_an_sla_ends_where_the_page_says(row: list[str]) -> None:
    (zone,), (hours,), (sla,) = (spans(one) for one in row[:3])
    at, end = (parse_instant(one.split(",")[0].strip()) for one in row[3:])
    found = working_time(Team(timezone=zone, hours=hours)).add(at, parse_duration(sla))
    assert format_instant(found) == format_instant(end)


# Teams and members

FRIDAY = parse_instant("2026-03-06T18:00:00Z")


def test_a_member_has_the_time_of_the_team_unless_they_have_their_own() -> None:
    member = {"name": "kai", "timezone": "Asia/Tokyo", "hours": ["mon-fri 09:00-12:00,13:00-17:00"]}
    team = Team.model_validate(
        {"timezone": "Europe/Berlin", "hours": "mon-fri 09:00-17:00", "holidays": ["2026-03-09"], "members": ["ann", member]}
    )  # fmt: skip
    ann, kai = members(team)
    assert working_time(team, ann) == working_time(team)
    assert working_time(team).add(FRIDAY, HOUR) == parse_instant("2026-03-10T09:00:00Z")
    assert working_time(team, kai).add(FRIDAY, 4 * HOUR) == parse_instant("2026-03-10T05:00:00Z")


def test_spans_that_meet_or_overlap_are_one_and_a_night_ends_on_the_next_day() -> None:
    team = Team.model_validate(
        {"hours": ["fri 22:00-06:00", "sat 05:00-08:00,08:00-09:00", "sun 20:00-04:00"]}
    )
    week = working_time(team).week
    assert week[4:] == (((22 * HOUR, DAY),), ((0, 9 * HOUR),), ((20 * HOUR, DAY),))
    assert week[0] == ((0, 4 * HOUR),)


def test_holidays_are_days_and_ranges_of_days() -> None:
    team = Team(holidays=["2026-03-06", Absence.model_validate({"from": "2026-03-08", "to": "2026-03-09"})])
    assert working_time(team).add(FRIDAY, 30 * HOUR) == parse_instant("2026-03-10T06:00:00Z")


def test_days_and_absences_are_local_days() -> None:
    absence = {"from": "2026-03-07", "to": "2026-03-07"}
    team = Team.model_validate(
        {"timezone": "America/Los_Angeles", "members": [{"name": "ann", "absences": [absence]}]}
    )
    (ann,) = members(team)
    away = [
        is_away(team, ann, parse_instant(f"2026-03-{at}:00:00Z"))
        for at in ("07T07", "07T08", "08T07", "08T08")
    ]
    assert away == [False, True, True, False]


def test_a_members_own_hours_are_a_shift_and_those_of_the_team_are_not() -> None:
    hours = {"hours": "mon-fri 09:00-17:00"}
    team = Team.model_validate(
        {**hours, "holidays": ["2026-03-06"], "members": ["ann", {"name": "bob", **hours}]}
    )
    ann, bob = members(team)
    assert not is_away(team, ann, FRIDAY)
    assert [is_away(team, bob, FRIDAY + days * DAY - 6 * HOUR) for days in (-1, 0, 1, 3)] == [
        False,
        True,
        True,
        False,
    ]
    assert is_away(team, bob, FRIDAY - DAY)


def test_holidays_that_never_end_leave_no_working_time_and_cost_nothing() -> None:
    team = Team(
        members=["Ann"], holidays=[Absence.model_validate({"from": "0001-01-01", "to": "9999-12-31"})]
    )
    time = working_time(team)
    assert len(time.holidays) < 100_000
    assert working_time(team).holidays is time.holidays  # counted once, not for each command
    at = parse_instant("2026-03-06T18:00:00Z")
    assert not time.is_open(at)
    assert time.add(at, 3_600_000) == at + 3_600_000
