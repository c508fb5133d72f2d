"""Which adapter is guessed for a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from resegment.sources.files.located import WrongFile
from resegment.sources.guessing import guess_file
from tests.unit.sources.adapting import DATA


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("hubspot-companies.csv", "hubspot"), ("hubspot-emails.json", "hubspot"), ("salesforce-query.json", "salesforce"), ("segment-calls.json", "segment"), ("crunchbase-rounds.csv", "crunchbase"),
        ("crunchbase-2013-rounds.csv", "crunchbase-2013"), ("crunchbase-2013-companies.csv", "crunchbase-2013"), ("bombora-surge.csv", "bombora"), ("clay-leaders.csv", "clay"), ("rb2b-visit.json", "rb2b"),
        ("tamradar-webhooks.jsonl", "tamradar"), ("peopledatalabs-company.json", "peopledatalabs"), ("debezium-rows.jsonl", "debezium"), ("singer-messages.jsonl", "singer"),
        ("greenhouse-jobs.json", "greenhouse"), ("lever-postings.json", "lever"), ("ashby-jobs.json", "ashby"), ("workable-jobs.json", "workable"), ("smartrecruiters-postings.json", "smartrecruiters"),
        ("events-contract.csv", "events"),
    ],
)  # fmt: skip
def test_the_adapter_of_a_file_is_guessed(file: str, name: str) -> None:
    assert guess_file(str(DATA / file)).splitlines()[0].startswith(f"# The adapter {name} fits")


def test_a_file_that_no_adapter_fits_gets_a_mapping_alone(tmp_path: object) -> None:
    file = f"{tmp_path}/a.csv"
    with open(file, "w", encoding="utf-8") as text:  # noqa: PTH123  # a plain file
        text.write("Colour,Weight\nred,5\n")
    assert guess_file(file).splitlines()[0].startswith("# No adapter fits")


def test_nothing_is_guessed_from_a_file_without_records(tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("", encoding="utf-8")
    with pytest.raises(WrongFile, match="no record to guess from"):
        guess_file(str(file))


@pytest.mark.parametrize(
    ("dates", "order"),
    [(("03/04/2026", "12/31/2025"), "mdy"), (("03/04/2026", "31/12/2025"), "dmy"), (("2026-03-04",), None)],
)
def test_a_mapping_says_what_comes_first_in_dates_that_can_be_read_in_two_ways(
    tmp_path: Path, dates: tuple[str, ...], order: str | None
) -> None:
    file = tmp_path / "partners.csv"
    rows = "".join(f"{one},acme.com,50\n" for one in dates)
    file.write_text(f"Last Update,Company Domain Name,Staff\n{rows}", encoding="utf-8")
    lines = guess_file(str(file)).splitlines()
    assert "  Last Update: time" in lines
    assert any(one.startswith("  Staff: ") and "employees" in one for one in lines)
    assert [one.split()[1] for one in lines if one.startswith("dates:")] == ([order] if order else [])


@pytest.mark.parametrize(
    "text",
    [
        "Account,Home Page,Event Day,Headcount\nAcme,https://acme.com,2026-01-02,5\n",
        "subject,when,employees\nacme.com,2026-01-02T00:00:00Z,5\n",
        "Firma;Webseite;Datum;Mitarbeiter\nAcme;www.acme.de;31.01.2026;51-200\n",
    ],
)
def test_the_account_and_the_time_are_found_by_what_the_columns_say(tmp_path: Path, text: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text, encoding="utf-8")
    columns = text.splitlines()[0].replace(";", ",").split(",")
    account = next(one for one in columns if one in ("Home Page", "subject", "Webseite"))
    time = next(one for one in columns if one in ("Event Day", "when", "Datum"))
    lines = guess_file(str(file)).splitlines()
    assert {f"  {account}: subject", f"  {time}: time"} <= set(lines)
    assert "  Account: subject" not in lines
