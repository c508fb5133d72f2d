"""What is known of accounts at their touches: what the engine says at that instant, and nothing later."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from resegment.outcomes.learning.candidates import find_candidates
from resegment.outcomes.learning.observing import Observer
from resegment.segmentation.definition import read_definition
from tests.builders import definition_of, facts_of
from tests.oracle.cases import day, event, hiring, segments

FILE: dict[str, Any] = {
    **segments(
        {
            "openings": {"count": "hiring", "within": "5d"},
            "fit": {
                "score": [
                    {"when": {"condition": "big"}, "points": 3},
                    {"when": {"region": "emea"}, "points": 1},
                ]
            },
            "per_head": {"ratio": ["openings", "employees"]},
        },
        hot={
            "all": [
                {"event": "hiring", "within": "5d", "employees": {"gte": 10}},
                {"not": {"event": "funding", "where": {"round": "seed"}}},
                {"fit": {"gte": 1}},
                {"any": [{"openings": {"gte": 2}}, {"segment": "funded"}]},
            ]
        },
        funded={"event": "funding"},
    ),
    "conditions": {"big": {"employees": {"gte": 100}}, "good": {"fit": {"gte": 3}}},
}


def touches(*rows: tuple[str, str, int]) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows, schema={"touch": pl.String, "account": pl.String, "at": pl.Int64}, orient="row"
    )
    return frame.with_columns(pl.col("at").cast(pl.Datetime("ms", "UTC")))


def test_candidates_are_terms_conditions_and_single_tests_without_those_that_rest_on_a_score() -> None:
    found = {one.text: one.origin for one in find_candidates(definition_of(FILE))}

    assert found == {
        "{condition: big}": "term of fit",
        "{region: emea}": "term of fit",
        "{event: hiring, within: 5d}": "test",
        "{employees: {gte: 10}}": "test",
        "{event: funding, where: {round: seed}}": "test",
        "{openings: {gte: 2}}": "test",
        "{employees: {gte: 100}}": "test",
        "{event: funding}": "test",
    }


def test_an_account_is_seen_as_it_was_known_at_its_touch() -> None:
    facts = facts_of(
        [
            event("firmographic", day(0), employees=120, region="emea"),
            hiring(day(1)),
            event("firmographic", day(9), employees=5, known=day(12)),
            event("funding", day(2), round="seed", known=day(20)),
        ]
    )
    seen = Observer(definition_of(FILE)).observe(
        facts,
        touches(
            ("a", "acme.com", day(1)),
            ("b", "acme.com", day(11)),
            ("c", "acme.com", day(13)),
            ("d", "acme.com", day(21)),
        ),
    )
    rows = {row.pop("touch"): row for row in seen.frame.to_dicts()}

    assert [rows[one]["{condition: big}"] for one in "abcd"] == [True, True, False, False]
    assert [rows[one]["{event: hiring, within: 5d}"] for one in "abcd"] == [True, False, False, False]
    assert [rows[one]["{event: funding}"] for one in "abcd"] == [False, False, False, True]
    assert [rows[one]["employees"] for one in "abcd"] == [120, 120, 5, 5]
    assert [rows[one]["openings"] for one in "abcd"] == [1, 0, 0, 0]
    assert [rows[one]["fit"] for one in "abcd"] == [4, 4, 1, 1]


def test_touches_before_anything_was_known_and_of_unknown_accounts_have_no_row() -> None:
    seen = Observer(definition_of(FILE)).observe(
        facts_of([hiring(day(5))]), touches(("a", "acme.com", day(4)), ("b", "other.com", day(9)))
    )
    assert seen.frame.is_empty()


def test_a_file_with_lists_in_files_is_read_again_with_them() -> None:
    text = """
version: 1
segments:
  - {name: hot, when: {account: {in_file: names.txt}, industry: {in_file: names.txt}}, play: any, route: {workflow: w}}
fallback: {name: rest, play: any}
plays: {any: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
"""
    definition = read_definition([("s", text)], lambda _: b"acme.com\n")
    assert [one.text for one in Observer(definition).candidates] == ["{industry: {in_file: names.txt}}"]


@pytest.mark.parametrize("horizon", [day(2) - day(0)])
def test_a_file_without_any_number_or_score_is_observed_too(horizon: int) -> None:
    seen = Observer(definition_of(segments(hot={"event": "hiring"}))).observe(
        facts_of([hiring(day(0))]), touches(("a", "acme.com", day(0) + horizon))
    )
    assert seen.frame.columns == ["touch", "{event: hiring}"]
