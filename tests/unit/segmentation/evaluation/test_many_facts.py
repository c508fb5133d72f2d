"""Accounts with long windows full of facts: what is summed up in chunks is what the definition of the language gives."""

from __future__ import annotations

import random
from typing import Any

import pytest

from resegment.identity.domains import registrable_domain
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import replay_account
from tests.builders import Json, Move, definition_of, facts_of, moves
from tests.oracle.naive import history

START = 1_700_000_000_000
DAY = 86_400_000
HOUR = DAY // 24


def a_file(draw: random.Random) -> Json:
    within = f"{draw.choice([20, 40, 80])}d"
    over: Json = {"field": "score", "within": within}
    traits: Json = {
        "added": ({"sum": "intent", **over}, {"gte": draw.randint(200, 900)}),
        "mean": ({"avg": "intent", **over}, {"gt": 5}),
        "least": ({"min": "intent", **over}, {"gte": -5}),
        "most": ({"max": "intent", **over}, {"gte": 15}),
        "kinds": (
            {"distinct": "intent", "field": "topic", "within": within},
            {"gte": draw.randint(5, 30)},
        ),
        "heat": ({"decay": "intent", "half_life": "9d", **over}, {"gte": draw.randint(20, 200)}),
        "many": ({"count": "intent", "within": within}, {"gte": draw.randint(60, 150)}),
        "newest": ({"latest": "intent", **over}, {"gte": 10}),
        "oldest": ({"earliest": "intent", **over}, {"gte": 10}),
    }
    tested = draw.sample(sorted(traits), k=4)
    play = {
        "message": {"pain": "p", "value_prop": "v", "proof_points": ["p"]},
        "channels": {"primary": "email"},
    }
    return {
        "version": 1,
        "traits": {name: traits[name][0] for name in tested},
        "plays": {"one": play},
        "segments": [
            {"name": name, "when": {name: traits[name][1]}, "play": "one", "route": {"workflow": name}}
            for name in tested
        ],
        "fallback": {"name": "none", "play": "one", "route": {"workflow": "none"}},
    }


def events(draw: random.Random, count: int) -> list[Json]:
    """Facts in bursts, some late, revised, retracted, with fractions, or dated ahead."""
    whole = draw.random() < 0.5
    made: list[Json] = []
    known = START
    for number in range(count):
        known += draw.choice([0, HOUR, 5 * HOUR, 12 * HOUR])
        late = draw.choice([0, 0, 0, 0, 30 * DAY, -2 * DAY])
        record = draw.choice(made)["record"] if made and draw.random() < 0.08 else f"r{number}"
        score: Any = draw.randint(-6, 20) if whole or draw.random() < 0.9 else draw.uniform(-6, 20)
        made.append(
            {
                "specversion": "1.0",
                "id": f"e{number}",
                "source": "crawler",
                "type": "gtm.intent.v1",
                "subject": "acme.com",
                "time": format_instant(known - late),
                "recordedtime": format_instant(known),
                "record": record,
                "op": "retract" if draw.random() < 0.03 else "assert",
                "data": {"topic": f"t{draw.randrange(40)}", "score": score},
            }
        )
    return made


def by_definition(file: Json, stream: list[Json]) -> list[Move]:
    named = [
        (registrable_domain(c.account), c.from_, c.to, c.effective_at) for c in history(file, stream, None)
    ]
    return sorted(named, key=lambda move: (move[3], move[0]))


@pytest.mark.parametrize("seed", range(5))
def test_windows_full_of_facts_are_judged_as_the_language_says(seed: int) -> None:
    draw = random.Random(seed)
    file, stream = a_file(draw), events(draw, 140)
    engine = Engine(Program(definition_of(file)))
    _, changes = replay_account(engine, "acme.com", facts_of(stream))
    assert len(changes) > 1
    assert moves(changes) == by_definition(file, stream)


def test_what_is_kept_of_many_facts_is_the_same_however_they_came_to_be_known() -> None:
    draw = random.Random(1)
    engine = Engine(Program(definition_of(a_file(draw))))
    account = engine.open("acme.com")
    for fact in facts_of(events(draw, 250)):
        engine.advance(account, fact.recorded - 1)
        engine.apply_facts(account, [fact], fact.recorded)
        kept = engine.encode(account)
        assert kept == encode_state(account.state)
        again = engine.open("acme.com", decode_state(kept))
        engine.evaluate(again, fact.recorded)
        assert (again.values, again.deadline) == (account.values, account.deadline)
