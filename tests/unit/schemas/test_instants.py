"""Instants and durations: as milliseconds, and as they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resegment.schemas.times import (
    EPOCH,
    HORIZON,
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
    spell_duration,
    spell_length,
)

FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


@given(st.integers(FIRST, HORIZON))
@example(FIRST)
@example(HORIZON)
@example(-1)
@example(0)
@example(1_709_164_800_000)  # 29 February
def test_an_instant_is_written_as_the_calendar_says_and_read_back(ms: int) -> None:
    text = format_instant(ms)
    assert datetime.fromisoformat(text) == EPOCH + timedelta(milliseconds=ms)
    assert parse_instant(text) == ms


@pytest.mark.parametrize(
    ("ms", "text"),
    [(1_769_850_000_000, "2026-01-31T09:00:00Z"), (1_769_850_000_007, "2026-01-31T09:00:00.007Z")],
)
def test_milliseconds_are_written_only_where_there_are_any(ms: int, text: str) -> None:
    assert format_instant(ms) == text


@given(number=st.integers(1, 10**9), unit=st.sampled_from("smhdw"))
def test_durations_are_written_as_they_are_read(number: int, unit: str) -> None:
    assert parse_duration(format_duration(parse_duration(f"{number}{unit}"))) == parse_duration(
        f"{number}{unit}"
    )


@pytest.mark.parametrize(
    ("ms", "spelt"),
    [(0, "0 s"), (119_000, "119 s"), (120_000, "2 min"), (7_300_000, "2 h"), (5 * 86_400_000, "5 d")],
)
def test_lengths_are_spelt_in_the_greatest_unit_that_fits_twice(ms: int, spelt: str) -> None:
    assert spell_length(ms) == spelt


@pytest.mark.parametrize(
    ("ms", "spelt"),
    [(0, "0s"), (86_400_000, "1 day"), (90 * 86_400_000, "90 days"), (5_400_000, "90m"), (1, "1ms")],
)
def test_an_exact_duration_is_spelled_in_days_where_it_is_whole_days(ms: int, spelt: str) -> None:
    assert spell_duration(ms) == spelt


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-20T24:00:00Z",
        "2026-02-20T24:00:00.000+01:00",
        "2026-02-20T10:60:00Z",
        "2026-02-20T10:00:60+01:00",
        "2026-02-20T10:00:00+01:60",
        "2026-02-20T10:00:00-24:00",
    ],
)
def test_an_hour_or_a_minute_beyond_the_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_instant(text)
