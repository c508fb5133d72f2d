"""The engine's suppressions, persons and lost deals against a naive reading of docs/routing.md, at every instant."""

from __future__ import annotations

import os
from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from tests.builders import definition_of
from tests.oracle.suppressions import DAY, generate_stream, instants, judge

SEEDS = int(os.environ.get("RESEGMENT_SUPPRESSION_SEEDS", "300"))
CHUNK = 50
PLAY = {"message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]}, "channels": {"primary": "email"}}
BUILT_IN = ("customers", "open-opportunities", "do-not-contact", "bounced")


def engine_of(suppression: list[Any], **keys: Any) -> Engine:
    file = {
        "version": 1,
        "suppression": suppression,
        "segments": [
            {"name": "in", "when": {"employees": {"gte": 100}}, "play": "p", "route": {"workflow": "w"}}
        ],
        "fallback": {"name": "out", "play": "p"},
        "plays": {"p": PLAY},
        **keys,
    }
    return Engine(Program(definition_of(file)))


def fact_of(event: dict[str, Any]) -> Fact:
    names = ("kind", "id", "source", "record", "time", "op", "data")
    return Fact(account="acme.com", recorded=event["known"], **{name: event[name] for name in names})


ENGINES = {
    90 * DAY: engine_of(list(BUILT_IN)),
    2 * DAY: engine_of(
        [{"bounced": {"persons": "account"}}, {"do-not-contact": {"persons": "account"}}],
        cooldown_after_lost="2d",
    ),
    0: engine_of([*BUILT_IN[:3], {"bounced": {"persons": "listed"}}], cooldown_after_lost="0d"),
}


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_what_keeps_an_account_out_is_what_the_page_says_at_every_instant(first: int) -> None:
    for seed in range(first, first + CHUNK):
        events = generate_stream(seed)
        facts = order_of_delivery(fact_of(one) for one in events)
        for cooldown, engine in ENGINES.items():
            for at in instants(events):
                account, _ = replay_account(engine, "acme.com", facts, at)
                state = account.state
                expected = judge(events, at, cooldown)
                prefix = "persons:" if cooldown == 2 * DAY else ""
                holding = {name for name in BUILT_IN if f"{prefix}{name}" in expected["holding"]}
                assert (
                    seed,
                    at,
                    {one.removeprefix("suppress:") for one in state.active_gates},
                    list(state.do_not_contact),
                    state.lost_until,
                ) == (seed, at, holding, expected["persons"], expected["lost_until"])


def test_the_generated_streams_show_every_suppression_and_several_persons() -> None:
    seen: set[str] = set()
    persons = 0
    for seed in range(50):
        events = generate_stream(seed)
        for at in instants(events):
            found = judge(events, at, DAY)
            seen |= found["holding"]
            persons = max(persons, len(found["persons"]))

    assert seen == {*BUILT_IN, "persons:do-not-contact", "persons:bounced"}
    assert persons >= 2
