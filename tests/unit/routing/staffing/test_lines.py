"""When it is the turn of an account in the line of a team that takes only so many a day."""

from __future__ import annotations

import pytest

from resegment.routing.staffing.lines import Turn, find_turn
from resegment.schemas.assignment import LineLook
from resegment.schemas.segments import Team
from resegment.schemas.times import format_instant, parse_instant

NOW = parse_instant("2026-03-27T09:00:00Z")
TEAM = Team(per_day=2)


def line(number: int, granted: int = 0, settles_at: int | None = None) -> LineLook:
    return LineLook({str(place): place for place in range(number)}, granted, settles_at)


def turn(place: int, look: LineLook, team: Team = TEAM) -> Turn:
    found = find_turn("sales", team, look, str(place), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("place", "granted", "days", "at"),
    [
        (20, 2, 11, "2026-04-07T00:00:00Z"),
        (20, 0, 10, "2026-04-06T00:00:00Z"),
        (19, 1, 10, "2026-04-06T00:00:00Z"),
        (0, 2, 1, "2026-03-28T00:00:00Z"),
        (1, 1, 1, "2026-03-28T00:00:00Z"),
        (0, 9, 1, "2026-03-28T00:00:00Z"),
    ],
)
def test_a_turn_follows_from_the_place_and_the_limit(place: int, granted: int, days: int, at: str) -> None:
    found = turn(place, line(45, granted, NOW + 60_000))
    assert (found.days, format_instant(found.at or 0)) == (days, at)
    assert not found.settles
    assert found.tell().startswith(
        f"{place + 1} of 45 waiting for sales; 2 a day, so its turn is in about {days} day"
    )


def test_an_account_for_which_today_has_room_waits_until_the_line_has_settled() -> None:
    found = turn(1, line(5, 0, NOW + 60_000))
    assert (found.settles, found.at) == (True, NOW + 60_000)
    assert found.tell() == (
        "2 of 5 waiting for sales; 2 a day; today has room for it once the line has settled on 2026-03-27T09:01:00Z"
    )
    for settled in (NOW, None):
        over = turn(1, line(5, 0, settled))
        assert (over.settles, over.at) == (True, None)
        assert over.tell().endswith("; today has room for it")


def test_days_are_those_of_the_team_across_a_change_of_its_clock() -> None:
    berlin = Team(per_day=2, timezone="Europe/Berlin")
    assert format_instant(turn(2, line(9, 2), berlin).at or 0) == "2026-03-28T23:00:00Z"
    assert format_instant(turn(6, line(9, 2), berlin).at or 0) == "2026-03-30T22:00:00Z"


def test_a_turn_that_nobody_lives_to_see_has_days_and_no_date() -> None:
    found = turn(99_999, line(100_000), Team(per_day=1))
    assert (found.days, found.at) == (99_999, None)


def test_nothing_is_said_of_who_is_not_in_the_line_or_of_a_team_without_a_limit() -> None:
    assert find_turn("sales", TEAM, line(2), "7", NOW) is None
    assert find_turn("sales", TEAM, line(2), None, NOW) is None
    assert find_turn("sales", Team(), line(2), "0", NOW) is None
