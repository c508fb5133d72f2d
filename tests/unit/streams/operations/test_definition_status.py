"""How far an apply is, and when that is a problem, in words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.streams.operations.definition_status import (
    ApplyLook,
    DefinitionLook,
    describe_definition_look,
    find_definition_notes,
    find_definition_problems,
)

MINUTE = 60_000


def look(**given: Any) -> DefinitionLook:
    """Version 2 of a prefix with four partitions is being applied."""
    plain: dict[str, Any] = {
        "version": 2,
        "since": 0,
        "at": None,
        "partitions": 4,
        "prepared": 1,
        "reached": 0,
        "worked_off": 0,
        "is_driven": True,
    }
    return DefinitionLook(1, 2, ApplyLook(**{**plain, **given}))


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({}, "1 of 4 partitions are prepared"),
        ({"at": MINUTE, "reached": 3}, "3 of 4 partitions have reached 1970-01-01T00:01:00Z"),
        ({"at": 0, "reached": 4, "worked_off": 2}, "2 of 4 partitions have judged all their accounts"),
        ({"refused": ["no list"]}, "refused: no list"),
    ],
)
def test_an_apply_that_goes_its_way_is_a_note_and_no_problem(given: dict[str, Any], note: str) -> None:
    assert find_definition_notes(look(**given)) == [f"version 2 is being applied: {note}"]
    assert find_definition_problems(look(**given), "wall") == []


def test_an_apply_whose_command_is_gone_before_its_instant_is_a_problem() -> None:
    (problem,) = find_definition_problems(look(is_driven=False), "facts")
    assert problem == (
        "the apply of version 2 was interrupted: 1 of 4 partitions are prepared; run the same `resegment apply` again"
    )
    assert find_definition_problems(look(is_driven=False, at=0, reached=4), "wall") == []


def test_a_switch_that_partitions_do_not_reach_or_do_not_work_off_is_stuck() -> None:
    late = look(at=0, reached=3, late=5 * MINUTE, passed=5 * MINUTE)
    (problem,) = find_definition_problems(late, "wall")
    assert problem.startswith("the switch to version 2 is stuck: its instant has passed for 5 min")
    slow = look(at=0, reached=4, worked_off=3, passed=45 * MINUTE)
    assert find_definition_problems(slow, "wall") == [
        "version 2 is in force for 45 min, and only 3 of 4 partitions have judged all their accounts"
    ]


def test_a_shadow_is_named_and_all_of_it_is_plain_data() -> None:
    shadowed = DefinitionLook(1, 2, shadow=2)
    assert find_definition_notes(shadowed) == [
        "version 2 is judged as a shadow: `resegment shadow` compares it"
    ]
    assert describe_definition_look(shadowed) == {"version": 1, "newest": 2, "shadow": 2, "apply": None}
    assert orjson.loads(orjson.dumps(describe_definition_look(look(at=0))))["apply"]["at"] is not None
