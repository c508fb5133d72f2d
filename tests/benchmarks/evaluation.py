"""What one fact costs: CPU time of the engine by the number of segments, by the size of the account, and by
whether the fact can change anything. Run it as a script; it prints a Markdown table.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
import typer

from resegment.schemas.fact import Fact, Kind
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program

DAY: Final = 86_400_000
START: Final = 1_767_225_600_000
"""2026-01-01, ms."""

FUNCTIONS: Final = (
    "sales",
    "engineering",
    "marketing",
    "finance",
    "support",
    "legal",
    "operations",
    "people",
)
ROLES: Final = ("cro", "vp_sales", "cfo", "cto", "cmo", "vp_marketing", "ceo", "coo")
ROUNDS: Final = ("seed", "series_a", "series_b", "series_c", "series_d", "series_e", "growth", "grant")
PRODUCTS: Final = ("outreach", "salesloft", "gong", "hubspot", "snowflake", "segment", "zendesk", "looker")
INDUSTRIES: Final = ("software", "fintech", "healthtech", "retail", "media", "energy", "travel", "insurance")
TOPICS: Final = ("crm", "forecasting", "dialers", "enrichment", "routing", "coaching", "billing", "analytics")


def make_definition(count: int) -> Definition:
    """A file of so many segments; each eight test another product, role, topic and so on, in other windows."""
    traits: dict[str, Any] = {}
    segments = [_make_segment(number, traits) for number in range(count)]
    play = {
        "message": {"pain": "p", "value_prop": "v", "proof_points": ["p"]},
        "channels": {"primary": "email"},
    }
    file = {
        "version": 1,
        "traits": traits,
        "plays": {"one": play},
        "segments": segments,
        "fallback": {"name": "none", "play": "one", "route": {"workflow": "none"}},
    }
    return read_definition([("generated.json", orjson.dumps(file))])


def _make_segment(number: int, traits: dict[str, Any]) -> dict[str, Any]:
    shape, turn = number % 8, number // 8
    function, role, product = FUNCTIONS[turn % 8], ROLES[turn % 8], PRODUCTS[turn % 8]
    topic, industry, days = TOPICS[turn % 8], INDUSTRIES[turn % 8], f"{30 + 5 * (turn % 12)}d"
    employees = {"employees": {"between": [50 + turn, 5_000 + turn]}}
    if shape == 4:
        traits[f"openings_{turn}"] = {
            "sum": "hiring",
            "field": "openings",
            "where": {"function": function},
            "within": days,
        }
    if shape == 5:
        traits[f"heat_{turn}"] = {
            "decay": "intent",
            "field": "score",
            "where": {"topic": topic},
            "half_life": "7d",
            "within": days,
        }
    when: Any = (
        [{"event": "funding", "where": {"round": [ROUNDS[turn % 8]]}, "within": days}, employees],
        [
            {"event": "hiring", "where": {"function": function}, "within": days, "count": {"gte": 40}},
            employees,
        ],
        [
            {"event": "leadership", "where": {"change": "joined", "role": role}, "within": days},
            {"industry": {"not_in": ["government", industry]}},
        ],
        [{"event": "tech", "where": {"change": "added", "technology": product}, "within": days}, employees],
        [{f"openings_{turn}": {"gte": 400}}, {"country": ["US", "GB"]}],
        [
            {f"heat_{turn}": {"gte": 30}},
            {"not": {"event": "tech", "where": {"technology": product}, "within": days}},
        ],
        [
            {
                "sequence": [
                    {"event": "funding", "where": {"round": ROUNDS[turn % 8]}},
                    {"event": "leadership", "where": {"role": role}},
                    {"event": "hiring", "where": {"function": function}},
                ],
                "within": days,
            }
        ],
        [
            {"technologies": {"has_any": [product]}},
            {"industry": [industry]},
            {"employees": {"gte": 100 + turn}},
        ],
    )[shape]
    return {
        "name": f"segment-{number}",
        "when": {"all": when},
        "play": "one",
        "route": {"workflow": f"workflow-{number}"},
    }


def make_fact(
    draw: random.Random, account: str, number: int, at: int, kinds: Sequence[str], words: int = 8
) -> Fact:
    """A fact of one of these kinds, of the first so many words of the file."""
    kind = kinds[number % len(kinds)]
    word = draw.randrange(words)
    shapes: dict[str, dict[str, Any]] = {
        "funding": {"round": ROUNDS[word], "amount_usd": draw.randrange(1, 400) * 250_000},
        "hiring": {"function": FUNCTIONS[word], "openings": draw.randrange(1, 5)},
        "leadership": {"change": "joined", "role": ROLES[word]},
        "tech": {"change": "added", "technology": PRODUCTS[word]},
        "intent": {"topic": TOPICS[word], "score": draw.randrange(1, 10)},
        "firmographic": {"employees": draw.randrange(100, 4_000)},
        "engagement": {"action": "opened"},
        "other hiring": {"function": "catering", "openings": draw.randrange(1, 5)},
    }
    record = f"ev-{number:08d}-{draw.getrandbits(32):08x}"
    named: Kind = kind.removeprefix("other ")  # type: ignore[assignment]  # a kind, with or without that word
    return Fact(
        account=account,
        kind=named,
        id=record,
        source="/signals/feed-1",
        record=record,
        time=at,
        recorded=at,
        data=shapes[kind],
    )


EVENTS: Final = ("funding", "hiring", "leadership", "tech", "intent")
CASES: Final[dict[str, tuple[str, ...]]] = {
    "an event that 2 to 4 tests count": EVENTS,
    "a new number of employees, which a third of the segments test": ("firmographic",),
    "of a kind that no test reads": ("engagement",),
    "of a kind that tests read, but no `where` matches": ("other hiring",),
}


def make_accounts(engine: Engine, count: int, facts: int) -> list[Account]:
    """Accounts that have so many facts, over the last 25 days before START."""
    accounts = []
    for number in range(count):
        name, draw = f"company-{number}.com", random.Random(number)
        account = engine.open(name)
        profile = {"industry": "software", "employees": 300, "country": "US", "technologies": ["excel"]}
        first = Fact(
            account=name,
            kind="firmographic",
            id="p",
            source="s",
            record="p",
            time=START - 26 * DAY,
            recorded=START - 26 * DAY,
            data=profile,
        )
        engine.apply_facts(account, [first], first.recorded)
        for one in range(facts - 1):
            at = START - 25 * DAY + one * 25 * DAY // facts
            engine.advance(account, at - 1)
            engine.apply_facts(account, [make_fact(draw, name, one, at, (*EVENTS, "firmographic"))], at)
        engine.advance(account, START)
        fresh = engine.load(name, engine.encode(account))
        engine.evaluate(fresh, START)
        fresh.write()
        accounts.append(fresh)
    return accounts


def measure(count: int, facts: int, kinds: Sequence[str], rounds: int) -> tuple[float, float]:
    """CPU µs per fact: to fold and judge, and to encode what changed of the account's state after it."""
    engine = Engine(Program(make_definition(count)))
    accounts = make_accounts(engine, 40, facts)
    draw = random.Random(7)
    todo = [
        (account, make_fact(draw, account.name, 10_000_000 + number, START + 1_000 * (number + 1), kinds, 1))
        for number in range(rounds)
        for account in accounts
    ]
    learning = encoding = 0
    gc.collect()
    gc.freeze()
    for first in range(0, len(todo), len(accounts)):
        turn = todo[first : first + len(accounts)]
        began = time.process_time_ns()
        for account, fact in turn:
            if account.deadline < fact.recorded:
                engine.advance(account, fact.recorded - 1)
            engine.apply_facts(account, [fact], fact.recorded)
        learned = time.process_time_ns()
        for account, _ in turn:
            account.write()
        encoding += time.process_time_ns() - learned
        learning += learned - began
    gc.unfreeze()
    return learning / len(todo) / 1_000, encoding / len(todo) / 1_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=600, help="facts per account and figure")
    parser.add_argument(
        "--repeat", type=int, default=2, help="how often each figure is taken; the least is printed"
    )
    options = parser.parse_args()
    typer.echo(
        "| the fact is | segments | facts of the account | fold and judge, µs | encode what changed, µs |"
    )
    typer.echo("| --- | --- | --- | --- | --- |")
    for name, kinds in CASES.items():
        for count in (8, 64):
            for facts in (10, 1_000):
                runs = [measure(count, facts, kinds, options.rounds) for _ in range(options.repeat)]
                learn, encode = (min(run[part] for run in runs) for part in (0, 1))
                typer.echo(f"| {name} | {count} | {facts:,} | {learn:.1f} | {encode:.1f} |")


if __name__ == "__main__":
    main()
