"""The tests of an attribute's newest value, whatever other accounts have said of it before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from resegment.schemas.fact import Fact
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.attribute_tests import MAX_REMEMBERED, MOST_VALUES
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program

FILE = """
version: 1
segments:
  - name: taken
    when: {WHEN}
    play: p
    route: {workflow: a}
fallback: {name: rest, play: p, route: {workflow: b}}
plays:
  p: {message: {pain: x, value_prop: x, proof_points: [x]}, channels: {primary: email}}
"""


def make_engine(when: Any) -> Engine:
    text = FILE.replace("{WHEN}", msgspec.json.encode(when).decode())
    return Engine(Program(read_definition([("segments.yaml", text)])))


VALUES = [1, True, 1.0, "1", 0, False, None, "x", "x" * (MAX_REMEMBERED + 1), ["x"]]
"""Some of them are equal, and yet not the same."""


def judge_newly(engine: Engine, value: Any) -> tuple[list[bool | None], list[bool | None]]:
    """Return what the tests say of a value, once with the account new and once with it stored."""
    fact = Fact(
        account="acme.com", kind="firmographic", id="a", source="/s", record="a", op="assert",
        time=5, recorded=5, data={"size": value},
    )  # fmt: skip
    account = engine.open(fact.account)
    engine.apply_facts(account, [fact], fact.recorded)
    again = engine.load(fact.account, engine.encode(account))
    engine.evaluate(again, fact.recorded)
    return account.values, again.values


@pytest.mark.parametrize("first", VALUES, ids=repr)
def test_what_tests_say_of_a_value_does_not_depend_on_what_they_said_of_another(first: Any) -> None:
    when = {"any": [{"size": one} for one in (1, True, "1", "x", 0)]}
    said = make_engine(when)
    judge_newly(said, first)
    for value in VALUES:
        found, again = judge_newly(said, value)
        assert found == again == judge_newly(make_engine(when), value)[0]


def test_tests_remember_no_more_values_than_they_may() -> None:
    engine = make_engine({"size": {"gte": 5_000}})
    for number in (*range(MOST_VALUES + 10), 3, 5_001):
        found, again = judge_newly(engine, number)
        assert found == again
        assert found[0] is (number >= 5_000)
