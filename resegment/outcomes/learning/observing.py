"""Tell what was true of accounts when they were touched: by the engine itself, from what was known by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import orjson
import polars as pl

from resegment.outcomes.learning.candidates import Candidate, find_candidates, find_numbers
from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.compiler import Logic, compile_logic
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery
from resegment.segmentation.language.conditions import Score

Steps = Sequence[tuple[int, Sequence[Fact]]]
Known = Mapping[str, Steps]
"""The facts of accounts, by when (ms) they became known."""

_PREFIX: Final = "learn:"
"""Begins the names of the drafts that stand for candidates."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What was true at each touch. A row of `frame` is a touch whose account was known.

    Its columns are `touch`, a Boolean for each candidate (named by its text; unknown counts as false), and a number for each
    of `numbers` and `scores`.
    """

    frame: pl.DataFrame
    candidates: tuple[Candidate, ...]
    numbers: tuple[str, ...]
    scores: tuple[str, ...]


class Observer:
    """Looks at the accounts of one definition."""

    def __init__(self, definition: Definition) -> None:
        self.candidates = tuple(find_candidates(definition))
        self.numbers = find_numbers(definition)
        self.scores = tuple(name for name, one in definition.traits.items() if isinstance(one, Score))
        self._program = Program(_with_drafts(definition, self.candidates, (*self.numbers, *self.scores)))
        self._engine = Engine(self._program)
        self._logic: list[Logic] = [
            compile_logic(when, self._program.conditions)
            for number in range(len(self.candidates))
            if (when := self._program.definition.segment(f"{_PREFIX}{number}").when) is not None
        ]

    def observe(self, facts: Iterable[Fact], touches: pl.DataFrame) -> Observations:
        """Return what was true of accounts at their touches: a frame with `touch`, `account` and `at`."""
        names = set(touches["account"].to_list())
        grouped = by_account(order_of_delivery(one for one in facts if one.account in names))
        return self.observe_known(
            {
                name: [(at, list(one)) for at, one in groupby(known, key=attrgetter("recorded"))]
                for name, known in grouped.items()
            },
            touches,
        )

    def observe_known(self, known: Known, touches: pl.DataFrame) -> Observations:
        """Return the same from the facts of accounts, in the order in which they became known (ms)."""
        wanted: dict[str, list[tuple[int, str]]] = {}
        for touch, account, at in touches.select("touch", "account", pl.col("at").dt.epoch("ms")).iter_rows():
            wanted.setdefault(account, []).append((at, touch))
        rows: list[tuple[Any, ...]] = []
        for name, steps in known.items():
            if name in wanted:
                rows += self._follow(name, steps, sorted(wanted[name]))
        schema: dict[str, Any] = {"touch": pl.String}
        schema |= {f"\0{number}": pl.Boolean for number in range(len(self.candidates))}
        schema |= dict.fromkeys((*self.numbers, *self.scores), pl.Float64)
        frame = pl.DataFrame(rows, schema=schema, orient="row").rename(
            {f"\0{number}": one.text for number, one in enumerate(self.candidates)}
        )
        return Observations(frame, self.candidates, self.numbers, self.scores)

    def _follow(
        self, name: str, steps: Steps, touches: Sequence[tuple[int, str]]
    ) -> Iterable[tuple[Any, ...]]:
        """Yield a row for each touch of an account, in the order of time."""
        engine = self._engine
        account = engine.open(name)
        taken = 0
        for at, touch in touches:
            while taken < len(steps) and steps[taken][0] <= at:
                known, together = steps[taken]
                engine.advance(account, known - 1)
                engine.apply_facts(account, together, known)
                taken += 1
            if taken:
                engine.advance(account, at)
                yield (touch, *self._look(account, at))

    def _look(self, account: Account, at: int) -> Iterable[Any]:
        self._engine.evaluate(account, at)
        for index, leaf in self._program.derived:
            account.values[index], _ = leaf.evaluate(account, at)
        for logic in self._logic:
            yield logic.is_true(account.values)
        for name in (*self.numbers, *self.scores):
            value = self._program.measure(name).value(account, at)
            yield float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _with_drafts(
    definition: Definition, candidates: Sequence[Candidate], numbers: Sequence[str]
) -> Definition:
    """Return the definition with a draft for each candidate and each number, so that what they read is kept."""
    data: Mapping[str, Any] = definition.document.data
    action = {"play": data["segments"][0]["play"], "route": data["segments"][0]["route"]}
    whens = [(f"{_PREFIX}{number}", one.when) for number, one in enumerate(candidates)]
    whens += [(f"{_PREFIX}{name}", {name: {"gte": 0}}) for name in numbers]
    drafts = [{"name": name, "status": "draft", "when": when, **action} for name, when in whens]
    lists = dict(definition.content.lists)
    text = orjson.dumps(
        {
            **{key: value for key, value in data.items() if key != "include"},
            "segments": [*data["segments"], *drafts],
        }
    )

    def read_file(path: str) -> bytes:
        return lists[path]

    return read_definition([("learn.json", text)], read_file)
