"""What `same` costs: CPU time of the core for a fact of an account with some that may be the same, and for loading it.

Two sources report each job posting. Run it as a script; it prints a Markdown table.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import typer

from resegment.schemas.fact import Fact
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from tests.builders import definition_of
from tests.oracle.cases import segments

DAY: Final = 86_400_000
FILE: Final = segments(
    {"roles": {"count": "hiring", "where": {"change": "opened"}, "within": "90d"}},
    growing={"roles": {"gte": 3}},
    other={"event": "funding"},
)
SAME: Final = {"hiring": {"within": "30d"}, "trust": ["/board"]}


def posting(number: int, source: str) -> Fact:
    """A posting; every tenth has the title and place of others."""
    return Fact(
        account="acme.com",
        kind="hiring",
        id=f"{source}-{number}",
        source=source,
        record=f"{source}-{number}",
        time=number * DAY // 10,
        recorded=number * DAY // 10,
        data={
            "change": "opened",
            "url": f"https://acme.com/jobs/{number}",
            "title": "Engineer" if number % 10 == 0 else f"Role {number}",
            "location": "Berlin",
        },
    )


def measure(engine: Engine, facts: list[Fact], rounds: int) -> tuple[float, float, int]:
    """Return the CPU µs of one more fact, those of loading the account, and how many facts count."""
    account = engine.open("acme.com")
    for fact in facts:
        engine.apply_facts(account, [fact], fact.recorded)
    stored = engine.encode(account)
    extra = [posting(10_000 + number // 2, ("/board", "/feed")[number % 2]) for number in range(200)]
    learned, loaded = [], []
    for _ in range(rounds):
        loaded.append(_timed(lambda: engine.load("acme.com", stored)))
        fresh = engine.load("acme.com", stored)
        engine.evaluate(fresh, facts[-1].recorded)
        spent = _timed(
            lambda fresh=fresh: [engine.apply_facts(fresh, [one], one.recorded) for one in extra]  # type: ignore[misc]
        )
        learned.append(spent / len(extra))
    number = next(iter(account.series))
    return median(learned), median(loaded), len(account.series[number].times)


def _timed(do: Callable[[], Any]) -> float:
    gc.collect()
    began = time.process_time_ns()
    do()
    return (time.process_time_ns() - began) / 1_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="each figure is the median of so many")
    options = parser.parse_args()
    gc.disable()
    typer.echo("| facts of the account | `same` | facts that count | one more fact, µs | loading it, µs |")
    typer.echo("| --- | --- | --- | --- | --- |")
    for size in (10, 100, 1_000):
        facts = [posting(number // 2, ("/board", "/feed")[number % 2]) for number in range(size)]
        for name, file in (("no", FILE), ("yes", {**FILE, "same": SAME})):
            engine = Engine(Program(definition_of(file)))
            learned, loaded, counted = measure(engine, facts, options.rounds)
            typer.echo(f"| {size:,} | {name} | {counted:,} | {learned:.1f} | {loaded:,.0f} |")


if __name__ == "__main__":
    main()
