"""Which numbers, money, head counts and times are read from the spellings of exports."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.schemas.times import format_instant
from resegment.sources.adapters.dates import read_moment
from resegment.sources.adapters.values import (
    Money,
    Range,
    read_count,
    read_flag,
    read_money,
    read_money_range,
    read_number,
    read_texts,
)
from resegment.sources.normalizers.rounds import normalize_round


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("1200", 1200), ("1,200", 1200), ("1 200", 1200), ("1'200.5", 1200.5), ("1.234.567,89", 1234567.89), ("12k", 12000), ("1.2M", 1200000),
        ("-3", -3), (5.0, 5), ("0.25", 0.25), ("1,5", 1.5), ("3 million", 3000000), ({"value": "7"}, 7),
    ],
)  # fmt: skip
def test_numbers(given: Any, number: float) -> None:
    assert read_number(given) == number


@pytest.mark.parametrize(
    "given", ["", "abc", "1,2,3", "1.2.3.4", "Q3", True, [], {}, float("nan"), float("inf"), "1e400", 10**30]
)
def test_what_is_no_number(given: Any) -> None:
    with pytest.raises(ValueError, match=r"number|large"):
        read_number(given)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (51, 51), ("1,250", 1250), ("51-200", Range(51, 200)), ("51 – 200", Range(51, 200)), ("11 to 50 employees", Range(11, 50)), ("10,001+", Range(10001, None)),
        ("5000+ people", Range(5000, None)), ("c_00051_00100", Range(51, 100)), ("over 100", Range(100, None)), ("<10", Range(0, 10)), ([1, 10], Range(1, 10)),
        ({"min": 5, "max": None}, Range(5, None)), ("250 - 500", Range(250, 500)), ("c_10001_max", Range(10001, None)), ("1K-5K", Range(1000, 5000)),
        ("1.200", 1200), ("1.001-5.000", Range(1001, 5000)), ("11-50 Mitarbeiter", Range(11, 50)), ("51-200 employés", Range(51, 200)), ("1.5k", 1500), ("12.5", 12.5),
    ],
)  # fmt: skip
def test_head_counts(given: Any, count: Any) -> None:
    assert read_count(given) == count


@pytest.mark.parametrize("given", ["many", "-5", "200-51", "myself only", None, [], "1-2-3", "50.000"])
def test_what_is_no_head_count(given: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_count(given)


@pytest.mark.parametrize(
    ("given", "money"),
    [
        ("$12,000,000", Money(12000000, "USD")), ("€1.2M", Money(1200000, "EUR")), ("USD 3 million", Money(3000000, "USD")), ("£5m", Money(5000000, "GBP")),
        (7, Money(7, None)), ({"value": 5, "currency": "eur"}, Money(5, "EUR")), ({"value_usd": 5}, Money(5, "USD")), ("CA$2k", Money(2000, "CAD")), ("1000 SEK", Money(1000, "SEK")), ("1.5 Mrd. €", Money(1500000000, "EUR")), ("5 Milliarden Euro", Money(5000000000, "EUR")), ("2 millions euros", Money(2000000, "EUR")),
    ],
)  # fmt: skip
def test_money(given: Any, money: Money) -> None:
    assert read_money(given) == money


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("$1M-$10M", Range(1000000, 10000000, "USD")),
        ("$1B+", Range(1000000000, None, "USD")),
        ("€10M-€50M", Range(10000000, 50000000, "EUR")),
        ("CHF 10M - 50M", Range(10000000, 50000000, "CHF")),
        ("10-50M", Range(10000000, 50000000)),
        ("$5", Money(5, "USD")),
    ],
)
def test_ranges_of_money(given: str, found: Any) -> None:
    assert read_money_range(given) == found


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("2026-01-01", "2026-01-01T00:00:00Z"), ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"), ("2026-01-01 10:00:00+00", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00.000+0000", "2026-01-01T10:00:00Z"), ("2026-11-14T09:00:00-05:00", "2026-11-14T14:00:00Z"), (1767225600, "2026-01-01T00:00:00Z"),
        (1767225600000, "2026-01-01T00:00:00Z"), ("1767225600000", "2026-01-01T00:00:00Z"), (1767225600000000, "2026-01-01T00:00:00Z"), ("11/21/2026", "2026-11-21T00:00:00Z"),
        ("21/11/2026", "2026-11-21T00:00:00Z"), ("03.04.2026", "2026-04-03T00:00:00Z"), ("Nov 21, 2026", "2026-11-21T00:00:00Z"), ("21 November 2026", "2026-11-21T00:00:00Z"),
        ("2024-01-01T12:34:56:00.00+00.00", "2024-01-01T12:34:56Z"), ("Wed, 21 Oct 2026 07:28:00 GMT", "2026-10-21T07:28:00Z"), ("11/21/2026 3:04 PM", "2026-11-21T15:04:00Z"),
        ("20261121", "2026-11-21T00:00:00Z"), ("2020-12-30 3:15:52", "2020-12-30T03:15:52Z"), (1767225600.5, "2026-01-01T00:00:00.500Z"),
    ],
)  # fmt: skip
def test_times(given: Any, time: str) -> None:
    assert format_instant(read_moment(given).ms) == time


@pytest.mark.parametrize("given", ["Q3 2020", "2020", "tomorrow", "2026-02-30", "03/04/2026", "13/13/2026", "", True, None, [], "99999999999999999999", 5, "2026-01-01T25:00:00Z", "0000-00-00", "1767225600 x"])  # fmt: skip
def test_what_is_no_time(given: Any) -> None:
    with pytest.raises(ValueError, match=r"time|month|number"):
        read_moment(given)


def test_the_order_of_day_and_month_and_the_zone_can_be_said() -> None:
    assert format_instant(read_moment("03/04/2026", order="mdy").ms)[:10] == "2026-03-04"
    assert format_instant(read_moment("03/04/2026", order="dmy").ms)[:10] == "2026-04-03"
    moment = read_moment("2026-07-01 10:00", zone=ZoneInfo("America/New_York"))
    assert (format_instant(moment.ms), moment.zoned) == ("2026-07-01T14:00:00Z", False)


@given(st.text(max_size=30) | st.integers() | st.floats() | st.none() | st.booleans())
def test_any_value_is_read_or_is_an_error(value: Any) -> None:
    for read in (read_number, read_count, read_money, read_money_range, read_flag, read_moment):
        try:
            read(value)  # type: ignore[operator]
        except ValueError:
            continue


def test_lists_are_split_at_the_first_separator_they_have() -> None:
    assert read_texts("Outreach;Salesforce") == ["Outreach", "Salesforce"]
    assert read_texts("Outreach, Salesforce") == ["Outreach", "Salesforce"]
    assert read_texts("a, b; c") == ["a, b", "c"]
    assert read_texts([{"name": "x"}, "y", None]) == ["x", "y"]


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("Series A", "series_a"), ("series-a", "series_a"), ("Series A - Extension", "series_a"), ("Series A1", "series_a"), ("series-c+", "series_c"), ("Angel", "pre_seed"),
        ("Pre-Seed", "pre_seed"), ("Seed", "seed"), ("Seed Round", "seed"), ("Convertible Note", "bridge"), ("series_b_bridge", "bridge"), ("Debt Financing", "debt"),
        ("Venture - Series Unknown", "other"), ("series_unknown", "other"), ("Post-IPO Debt", "debt"), ("Post-IPO Equity", "other"), ("Grant", "grant"), ("IPO", "ipo"),
        ("Private Equity", "other"), ("Series J", "other"), ("Série B", "series_b"), ("Rodada Série A", "series_a"), ("Corporate Round", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_rounds(raw: str, word: str) -> None:
    assert normalize_round(raw) == word
