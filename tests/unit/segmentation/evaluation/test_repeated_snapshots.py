"""Snapshots that say what the ones around them say: they are kept once, and nothing means anything else for that."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation import fold
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery
from tests.builders import Json, Move, definition_of, facts_of, moves
from tests.oracle.naive import history

DAY = 86_400_000
FIRST = 19_000
"""The day since 1970 on which everything begins."""
WHENS: list[Json] = [
    {"employees": {"gte": 50}},
    {"employees": {"gte": 50, "known_within": "6d"}},
    {"growing": {"gte": 0.5}},
    {"growing": {"exists": True}},
    {"plan": "pro"},
    {"technologies": {"has_any": ["crm"]}},
    {"all": [{"plan": {"exists": True}}, {"employees": {"lt": 50}}]},
    {"renews": {"within_next": "5d"}},
    {"event": "firmographic", "where": {"plan": "pro"}, "within": "4d", "count": {"gte": 2}},
]
PLAY = {"message": {"pain": "x", "value_prop": "x", "proof_points": ["x"]}, "channels": {"primary": "email"}}


def file(*whens: Json, **given_parts: Any) -> Json:
    segments = [
        {"name": f"s{number}", "when": when, "play": "p", "route": {"workflow": f"w{number}"}}
        for number, when in enumerate(whens)
    ]
    return {
        "version": 1,
        "traits": {"growing": {"growth": "employees", "over": "9d"}},
        **given_parts,
        "segments": segments,
        "fallback": {"name": "rest", "play": "p", "route": {"workflow": "rest"}},
        "plays": {"p": PLAY},
    }


def instant(day: float) -> str:
    return format_instant(int((FIRST + day) * DAY))


def snapshot(
    event_id: str, day: float, data: Json, *, known: float | None = None, **given_parts: Any
) -> Json:
    return {
        "specversion": "1.0",
        "type": "gtm.firmographic.v1",
        "source": given_parts.pop("source", "/crm"),
        "id": event_id,
        "subject": "acme.com",
        "time": instant(day),
        "recordedtime": instant(day if known is None else known),
        "data": data,
        **given_parts,
    }


def follow(engine: Engine, facts: list[Fact], *, stored: bool) -> tuple[Account, list[Move]]:
    account, changes = engine.open("acme.com"), []
    for at, known in groupby(order_of_delivery(facts), key=lambda fact: fact.recorded):
        decisions = engine.advance(account, at - 1)
        decisions.append(engine.apply_facts(account, list(known), at))
        changes += [decision.change for decision in decisions if decision.change is not None]
        if stored:
            account = engine.open("acme.com", decode_state(engine.encode(account)))
    changes += [one.change for one in engine.advance(account, (FIRST + 100) * DAY) if one.change is not None]
    return account, moves(changes)


DATA: list[Json] = [
    {"employees": 60, "plan": "pro"},
    {"employees": 60, "plan": "pro"},
    {"employees": 20, "plan": "pro"},
    {"employees": 60},
    {"employees": None, "plan": "free"},
    {"plan": "pro", "technologies": ["crm"]},
    {"employees": 60, "plan": "pro", "renews": instant(14)},
    {"plan": True},
    {"plan": 1},
]


@st.composite
def nights(draw: Any) -> list[Json]:
    """Nightly snapshots in runs of equal ones; some late, corrected or withdrawn: the first, the last, one between."""
    events: list[Json] = []
    day = 0
    for run in range(draw(st.integers(1, 3))):
        data, length = draw(st.sampled_from(DATA)), draw(st.integers(1, 14))
        source = draw(st.sampled_from(["/crm", "/crm", "/erp"]))
        for night in range(length):
            late = draw(st.sampled_from([0, 0, 0, 0, 1, 3]))
            events.append(snapshot(f"{run}-{night}", day, data, known=day + late, source=source))
            day += 1
    for number in range(draw(st.integers(0, 4))):
        first = draw(st.sampled_from(events))
        known = draw(st.integers(0, day + 12))
        what = draw(st.sampled_from(["retract", "correct", "late"]))
        if what == "late":
            at = draw(st.integers(0, day))
            events.append(
                snapshot(f"late{number}", at + 0.5, draw(st.sampled_from(DATA)), known=max(known, at + 0.5))
            )
            continue
        record = first.get("record", first["id"])
        extra = {"op": "retract"} if what == "retract" else {}
        data = {} if what == "retract" else draw(st.sampled_from(DATA))
        at = draw(st.integers(0, day))
        events.append(
            snapshot(
                f"{what}{number}",
                at,
                data,
                known=known + 0.25,
                record=record,
                source=first["source"],
                **extra,
            )
        )
    return events


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("forgetting", [False, True])
@given(
    retain=st.sampled_from(["10d", "20d"]),
    events=nights(),
    places=st.sets(st.integers(0, len(WHENS) - 1), min_size=1, max_size=3),
)
@settings(max_examples=150)
def test_repeated_snapshots_mean_what_the_definition_says(
    stored: bool, forgetting: bool, retain: str, events: list[Json], places: set[int]
) -> None:
    made = file(*(WHENS[place] for place in sorted(places)), retain=retain)
    few, margin = fold.FEW, fold.MARGIN
    if forgetting:
        fold.FEW, fold.MARGIN = 0, 0
    try:
        _, found = follow(Engine(Program(definition_of(made))), facts_of(events), stored=stored)
    finally:
        fold.FEW, fold.MARGIN = few, margin
    until = (FIRST + 100) * DAY
    expected = [
        tuple(one)
        for one in ((c.account, c.from_, c.to, c.effective_at) for c in history(made, events, until, {}))
    ]
    assert found == expected


@pytest.mark.parametrize("withdrawn", [0, 100, 199, 399])
def test_a_year_of_snapshots_that_say_the_same_is_kept_as_few(withdrawn: int) -> None:
    engine = Engine(Program(definition_of(file({"employees": {"gte": 50}}))))
    data = {"employees": 60, "plan": "pro"}
    facts = facts_of([snapshot(f"crm-{night:05}", night, data) for night in range(400)])

    account, found = follow(engine, facts, stored=False)

    assert [to for _, _, to, _ in found] == ["s0"]
    assert len(account.state.entries) < 60
    assert account.state.dropped == 0
    gone = facts_of([snapshot("gone", 401, {}, record=f"crm-{withdrawn:05}", op="retract")])
    engine.apply_facts(account, gone, (FIRST + 401) * DAY)
    assert account.state.membership.segment == "s0"
    for one in gone:
        assert account.holder(one.source, "gone") is not None


def test_snapshots_that_say_the_same_share_their_data() -> None:
    engine = Engine(Program(definition_of(file({"employees": {"gte": 50}}, attributes={"plan": "text"}))))
    events = [snapshot(f"{night}", night, {"employees": 60, "plan": "pro"}) for night in range(20)]
    account, _ = follow(engine, facts_of(events), stored=False)
    again = engine.open("acme.com", decode_state(encode_state(account.state)))
    for one in (account, again):
        assert len({id(entry.data) for entry in one.state.entries}) == 1


@pytest.mark.parametrize("before", [3_990, 3_996, 3_997, 8_000])
def test_a_long_text_is_cut_as_the_definition_says(before: int) -> None:
    made = file({"plan": {"contains": "last"}}, {"tags": {"contains_any": ["x" * before + "last"]}})
    text = " " + "x" * before + "last" + "y" * 9_000
    events = [snapshot("a", 0, {"plan": text, "tags": [text.strip()[: before + 4]]})]

    _, found = follow(Engine(Program(definition_of(made))), facts_of(events), stored=False)

    expected = [(one.account, one.from_, one.to, one.effective_at) for one in history(made, events, None, {})]
    assert found == expected
    assert [to for _, _, to, _ in found] == ["s0" if before <= 3_996 else "rest"]
