"""What a change says of the segment that was left, and of what holds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.schemas.fact import Fact
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.evidence import MAX_TEXT
from resegment.segmentation.evaluation.program import Program
from tests.builders import Rig, facts_of, run, signals
from tests.oracle.cases import day, funding, hiring, only

DAY = 86_400_000
FILE = """
version: 1
segments:
  - name: left
    when: {WHEN}
    play: p
    route: {workflow: a}
fallback: {name: rest, play: p, route: {workflow: b}}
plays:
  p: {message: {pain: x, value_prop: x, proof_points: [x]}, channels: {primary: email}}
"""


def snapshot(name: str, **given: Any) -> Fact:
    return Fact(
        account="acme.com", kind="firmographic", id=name, source="/s", record="r", op="assert",
        time=0, recorded=DAY, data=given,
    )  # fmt: skip


def no_longer(when: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What the change says that two snapshots, a day apart, give."""
    engine = Engine(Program(read_definition([("segments.yaml", FILE.replace("{WHEN}", when))])))
    account = engine.open("acme.com")
    engine.apply_facts(account, [snapshot("e1", **before)], DAY)
    assert account.state.membership.segment == "left"
    change = engine.apply_facts(account, [snapshot("e2", **after)], 2 * DAY).change
    assert change is not None
    found: list[str] = change.reason["no_longer"]
    return found


ANY = "{country: DE, any: [{employees: {gte: 50}}, {industry: saas}]}"


@pytest.mark.parametrize(
    ("when", "before", "after", "expected"),
    [
        # of an any that is still true, no branch is named
        (
            ANY,
            {"country": "DE", "employees": 60, "industry": "saas"},
            {"country": "FR", "employees": 60, "industry": "ads"},
            ["country = DE"],
        ),
        (
            ANY,
            {"country": "DE", "employees": 60},
            {"country": "DE", "employees": 40, "industry": "ads"},
            ["employees >= 50", "industry = saas"],
        ),
        (
            "{not: {country: DE, industry: saas}}",
            {"country": "DE", "industry": "ads"},
            {"country": "DE", "industry": "saas"},
            ["not: country = DE", "not: industry = saas"],
        ),
        (
            "{industry: ads, not: {country: DE, employees: 7}}",
            {"country": "FR", "industry": "ads", "employees": 7},
            {"country": "FR", "industry": "saas", "employees": 7},
            ["industry = ads"],
        ),
        (
            "{not: {any: [{industry: saas}, {country: DE}]}}",
            {"country": "FR", "industry": "ads"},
            {"country": "FR", "industry": "saas"},
            ["not: industry = saas"],
        ),
        (
            "{any: [{industry: ads, country: FR}, {employees: 7, country: FR}]}",
            {"industry": "ads", "country": "FR", "employees": 7},
            {"industry": "ads", "country": "DE", "employees": 7},
            ["country = FR"],
        ),
    ],
)
def test_only_tests_that_keep_the_segment_left_from_being_true_are_named(
    when: str, before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert no_longer(when, before, after) == expected


async def test_no_value_of_a_change_is_too_great_for_json_nor_too_long_for_a_broker() -> None:
    file = only(
        {"raised": {"gt": 0}, "all": [{"event": "hiring", "where": {"title": {"contains": "s"}}}]},
        {"raised": {"sum": "funding", "field": "amount_usd"}},
    )
    events = [funding(day(0), amount_usd=18 * 10**18, id=f"f{number}") for number in range(3)]
    events += [hiring(day(0), title="s" * 5_000, id=f"h{number}") for number in range(3)]
    rig = await run(Rig(file), [signals(facts_of(events))])
    await rig.deliver()
    (message,) = rig.published.messages
    raised, hired = orjson.loads(message.value or b"")["data"]["reason"]["holds"]
    assert raised["value"] == 3 * 18e18
    assert [len(one["data"]["title"]) for one in hired["evidence"]] == [MAX_TEXT] * 3
