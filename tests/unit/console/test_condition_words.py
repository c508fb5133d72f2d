"""Conditions in words, for people who never read the segments file."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.console.definition.words import Said, say_condition
from tests.builders import definition_of

PLAY = {
    "message": {"pain": "p", "value_prop": "v", "proof_points": ["q"]},
    "channels": {"primary": "email"},
}


def say(when: Any, **more: Any) -> Said:
    file = {
        "version": 1,
        "segments": [{"name": "one", "when": when, "play": "p", "route": {"workflow": "w"}}],
        "fallback": {"name": "rest", "play": "p"},
        "plays": {"p": PLAY},
        **more,
    }
    definition = definition_of(file)
    condition = definition.segment("one").when
    assert condition is not None
    return say_condition(condition, definition.conditions)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"employees": {"gte": 1500}}, "employees is at least 1,500"),
        ({"employees": {"between": [50, 200]}}, "employees is from 50 to 200"),
        ({"status": ["active", "public"]}, "status is one of active or public"),
        ({"industry": {"exists": False}}, "industry is unknown"),
        ({"industry": {"not_in": ["legal"]}}, "industry is none of legal"),
        ({"event": "funding", "within": "180d"}, "at least one funding event, in the last 180 days"),
        (
            {"event": "hiring", "where": {"change": "opened"}, "within": "30d", "count": {"gte": 3}},
            "the number is at least 3 of hiring event whose change is opened, in the last 30 days",
        ),
        (
            {"sequence": [{"event": "funding"}, {"event": "hiring"}], "within": "90d"},
            "funding event, then hiring event, in the last 90 days",
        ),
    ],
)
def test_a_test_is_said_in_a_sentence(when: Any, words: str) -> None:
    assert say(when) == Said(words)


def test_parts_stand_below_what_joins_them_and_a_named_condition_says_what_it_means() -> None:
    said = say(
        {"all": [{"condition": "big"}, {"not": {"any": [{"status": "inactive"}, {"status": "acquired"}]}}]},
        conditions={"big": {"employees": {"gt": 99}}},
    )
    assert said == Said(
        "all of these hold",
        (
            Said("big, which means", (Said("employees is more than 99"),)),
            Said(
                "this does not hold",
                (
                    Said(
                        "at least one of these holds",
                        (Said("status is inactive"), Said("status is acquired")),
                    ),
                ),
            ),
        ),
    )
