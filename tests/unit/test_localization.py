"""Dates and money as the locale of the reader writes them."""

from dataclasses import replace

import pytest

from resegment.localization import US, UnknownLocale, read_locale
from resegment.schemas.times import parse_instant

MORNING = parse_instant("2026-11-24T09:00:00Z")


def test_americans_read_dates_and_money_as_they_write_them() -> None:
    assert US.day(MORNING) == "Nov 24, 2026"
    assert US.moment(MORNING) == "Nov 24, 2026, 9:00 AM"
    assert US.instant(MORNING) == "Nov 24, 2026, 9:00 AM UTC"
    assert [US.money(one) for one in (12_000_000, 1_250_000, 999_960, 512.5, 0, -3_000_000_000)] == [
        "$12M", "$1.2M", "$1M", "$512.5", "$0", "-$3B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "day", "money"),
    [
        ("de-DE", "24.11.2026", "12 Mio. €"),
        ("en_GB", "24 Nov 2026", "€12m"),
        ("ja_JP", "2026/11/24", "€1200万"),
    ],
)
def test_other_readers_get_their_own_spelling(name: str, day: str, money: str) -> None:
    locale = read_locale(name)
    assert (locale.day(MORNING), locale.money(12_000_000, "EUR")) == (day, money)


def test_midnight_is_the_day_and_seconds_are_shown_only_where_there_are_any() -> None:
    assert US.instant(parse_instant("2026-11-24T00:00:00Z")) == "Nov 24, 2026"
    assert US.instant(MORNING + 5_000) == "Nov 24, 2026, 9:00:05 AM UTC"


def test_instants_and_days_in_a_text_are_respelled_and_nothing_else() -> None:
    text = "in hot since 2026-03-02T08:00:00Z, on 2026-03-03; f-2021-12-02.jsonl, 2026-13-99, id 1-2026-01-01"
    assert US.rewrite(text) == (
        "in hot since Mar 2, 2026, 8:00 AM UTC, on Mar 3, 2026; f-2021-12-02.jsonl, 2026-13-99, id 1-2026-01-01"
    )


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_every_day_of_the_calendar_can_be_spelled(day: str) -> None:
    assert str(int(day[:4])) in US.rewrite(day)


@pytest.mark.parametrize("name", ["", "xx_YY", "english", "de_"])
def test_an_unknown_locale_is_refused_with_examples_of_known_ones(name: str) -> None:
    with pytest.raises(UnknownLocale) as caught:
        read_locale(name)
    assert "en_US" in (caught.value.remedy or "")


def test_what_is_no_code_of_a_currency_stays_as_it_is() -> None:
    assert US.money(5_000, "pieces") == "pieces 5K"


def test_a_zone_moves_instants_and_is_named_and_days_stay_days() -> None:
    berlin = replace(US, zone="Europe/Berlin")
    assert berlin.moment(MORNING) == "Nov 24, 2026, 10:00 AM"
    assert berlin.instant(parse_instant("2026-07-01T22:30:00Z")) == "Jul 2, 2026, 12:30 AM CEST"
    assert berlin.rewrite("since 2026-03-02T08:00:00Z, on 2026-03-03") == (
        "since Mar 2, 2026, 9:00 AM CET, on Mar 3, 2026"
    )


@pytest.mark.parametrize(
    "text",
    [
        "id marqvision.com:2025-01-15:firmographic",
        "id 2025-01-15",
        "crm/2025-01-15/acme.csv",
        "export.2025-01-15",
        "2025-01-15:hiring",
        "2025-01-15T09:00",
        "acme.com#2025-01-15T09:00:00Z",
    ],
)
def test_ids_and_names_that_hold_a_day_stay_as_they_are(text: str) -> None:
    assert US.rewrite(f"hiring from /crm, {text}, counts") == f"hiring from /crm, {text}, counts"
