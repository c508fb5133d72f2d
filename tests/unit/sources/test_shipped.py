"""Every row of the shipped rounds is an event, or is counted as refused."""

from __future__ import annotations

import csv
import lzma
from pathlib import Path

import pytest

from resegment.cli.runtime.examples import FOLDER
from resegment.sources.shipped import ROUNDS, read_rounds

ROUND = ["company_permalink", "funding_round_type", "funded_at", "raised_amount_usd"]
COMPANY = ["permalink", "name", "category_code", "country_code", "founded_at", "first_funding_at"]
ACQUISITION = ["company_permalink", "acquirer_name", "acquired_at", "price_amount", "price_currency_code"]


def write(path: Path, *rows: list[str]) -> None:
    with lzma.open(path, "wt") as file:
        csv.writer(file).writerows(rows)


def test_repeats_are_one_event_close_rounds_are_two_and_the_rest_is_counted(tmp_path: Path) -> None:
    first = ["/company/acme", "series-a", "2012-06-30", "1750000"]
    close = ["/company/acme", "series-a", "2012-07-10", "1800000"]
    old = ["/company/acme", "angel", "1960-01-01", ""]
    write(tmp_path / "rounds.csv.xz", ROUND, first, first, close, old)
    acme, dateless = (
        ["/company/acme", "Acme", "web", "USA", "2010-01-01", ""],
        ["/company/b", "B", "", "", "", ""],
    )
    write(tmp_path / "companies.csv.xz", COMPANY, acme, dateless)
    write(tmp_path / "acquisitions.csv.xz", ACQUISITION, ["/company/acme", "Big", "2013-01-01", "5", "USD"])
    events, rounds = read_rounds(tmp_path)
    assert {one["subject"] for one in events} == {"acme.example"}
    assert sorted(one["type"] for one in events) == [
        "gtm.firmographic.v1",
        "gtm.firmographic.v1",
        "gtm.funding.v1",
        "gtm.funding.v1",
    ]
    assert (rounds.repeated, rounds.rows) == (1, {"rounds": 4, "companies": 2, "acquisitions": 1})
    assert rounds.refused == {"rounds: wrong-time": 1, "companies: no-time": 1}


@pytest.mark.full
def test_all_rows_that_ship_are_accounted_for() -> None:
    _, rounds = read_rounds(FOLDER / ROUNDS)
    assert rounds.rows == {"rounds": 31_679, "companies": 17_727, "acquisitions": 4_651}
    assert rounds.events + rounds.repeated + sum(rounds.refused.values()) == sum(rounds.rows.values())
    assert rounds.repeated == 66
    assert sum(rounds.refused.values()) < 40
