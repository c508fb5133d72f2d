"""How people read the values of a fact."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.console.dates import reading_in
from resegment.console.facts import spell_fields, spell_values
from resegment.localization import Locale


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"round": "series_a", "amount_usd": 10_700_000}, ["series_a", "$10.7M"]),
        ({"amount": 2_500_000, "currency": "EUR"}, ["€2.5M", "EUR"]),
        ({"amount": 2_500_000}, ["2500000"]),
        ({"count": 12, "remote": True, "roles": ["cro", "cfo"]}, ["12", "true", "[cro, cfo]"]),
        ({"amount_usd": "undisclosed"}, ["undisclosed"]),
        (None, []),
    ],
    ids=["dollars", "another currency", "an unknown currency", "no money", "text for an amount", "no data"],
)
def test_amounts_are_written_as_money_and_other_values_as_they_are(
    data: dict[str, Any] | None, told: list[str]
) -> None:
    assert [value for _, value in spell_fields(data)] == told


def test_money_follows_the_locale_of_the_reader() -> None:
    with reading_in(Locale("de_DE")):
        assert dict(spell_fields({"amount_usd": 10_700_000})) == {"amount_usd": "10,7 Mio. $"}


def test_a_text_that_names_a_fact_has_its_money_and_its_date_as_people_write_them() -> None:
    text = "when funding (round = seed, amount_usd = 10700000, count = 3) of 2026-11-02 turns 90 days old"
    assert spell_values(text) == (
        "when funding (round = seed, amount_usd = $10.7M, count = 3) of Nov 2, 2026 turns 90 days old"
    )
