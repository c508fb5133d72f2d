"""Which adapter is guessed for a file."""

from __future__ import annotations

import pytest

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
