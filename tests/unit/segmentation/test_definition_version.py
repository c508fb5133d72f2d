"""What of a segments file a prefix keeps to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import definition_of
from tests.oracle.cases import segments

TEAM: dict[str, Any] = {"members": [{"name": "ann", "weight": 2, "territory": {"region": "emea"}}, "bob"]}
FILE: dict[str, Any] = {
    **segments(hot={"event": "funding"}),
    "teams": {"sales": TEAM},
    "qualifications": {"fast": {"sla": "4h"}},
    "suppression": ["customers", {"name": "board", "file": "board.txt"}],
}


def version(**given: Any) -> str:
    return definition_of({**FILE, **given}).version


def member(**given: Any) -> dict[str, Any]:
    return {"sales": {"members": [{**TEAM["members"][0], **given}, "bob"]}}


@pytest.mark.parametrize(
    "given",
    [
        {"teams": member(weight=5)},
        {"teams": member(absences=[{"from": "2026-12-24", "to": "2026-12-31"}])},
        {"teams": {"sales": {**TEAM, "per_day": 3, "fallback": "pool"}, "others": {"members": ["eve"]}}},
        {"qualifications": {}},
        {"suppression": ["customers"]},
    ],
)
def test_how_accounts_are_shared_out_may_change(given: dict[str, Any]) -> None:
    assert version(**given) == version()


@pytest.mark.parametrize(
    "given",
    [
        {"teams": member(territory={"region": "apac"})},
        {"teams": {"sales": {**TEAM, "order": {"highest": "score"}}}},
        {"suppression": ["bounced"]},
        {"suppression": ["customers", {"name": "partners", "when": {"partner": True}}]},
        {"segments": segments(hot={"event": "hiring"})["segments"]},
    ],
)
def test_what_the_segmenter_goes_by_may_not(given: dict[str, Any]) -> None:
    assert version(**given) != version()
