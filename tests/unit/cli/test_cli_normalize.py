"""`resegment normalize`, as JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build


def run(*arguments: str, given: str | None = None) -> list[dict[str, Any]]:
    result = CliRunner().invoke(build(), ["normalize", *arguments], input=given)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("title", "SVP Sales"), {"role": "vp_sales", "function": "sales", "seniority": "vp"}),
        (
            ("title", "Assistant to the CRO"),
            {"role": "unknown", "function": "administration", "seniority": "unknown"},
        ),
        (("round", "Series A - Extension"), {"round": "series_a"}),
        (("money", "€1.2M"), {"amount": 1200000, "currency": "EUR"}),
        (("money", "$1M-$10M"), {"min": 1000000, "max": 10000000, "currency": "USD"}),
        (("headcount", "51-200"), {"min": 51, "max": 200}),
        (("domain", "https://www.Acme.com/x"), {"domain": "acme.com"}),
        (("technology", "SFDC"), {"technology": "salesforce", "name": "Salesforce", "known": True}),
        (("technology", "Nobody Knows It"), {"technology": "nobody-knows-it", "name": None, "known": False}),
    ],
)
def test_a_text_becomes(arguments: tuple[str, ...], found: dict[str, Any]) -> None:
    assert run(*arguments) == [{"text": arguments[1], **found}]


def test_lines_of_standard_input_are_read_and_what_means_nothing_has_an_error() -> None:
    found = run("money", "-", given="$5\nlots\n")
    assert found[0]["amount"] == 5
    assert "amount of money" in found[1]["error"]
    assert "mailbox provider" in run("domain", "jo@gmail.com")[0]["error"]
