"""Judge a random sample of accounts, to see what each test says of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from resegment.segmentation.evaluation.compiler import Values, compile_qualifying
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.conditions import Condition
from resegment.state.redis.reader import BrokenState
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.connection import LiveConnection

SAMPLED: Final = 1_000
"""How many accounts are judged."""
_AT_ONCE: Final = 25


@dataclass(frozen=True, slots=True)
class TestCount:
    """Of how many accounts a test is true, false and unknown."""

    true: int = 0
    false: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What tests say of `accounts` accounts at `at` (ms), by version `version`, and how many qualify for each segment."""

    accounts: int
    at: int
    version: int
    counts: dict[Condition, TestCount] = field(default_factory=dict)
    qualify: Mapping[str, int] = field(default_factory=dict)


def qualified_by(program: Program) -> Callable[[Values], list[str]]:
    """Return a function that finds the segments that an account qualifies for by its values, drafts included."""
    segments = [one for one in program.segments if one.when is not None]
    qualifying = compile_qualifying(
        [one.when for one in segments if one.when is not None], program.conditions
    )
    return lambda values: [segments[number].name for number in qualifying(values)]


async def judge_sample(
    connection: LiveConnection, registry: DefinitionRegistry, names: Sequence[str], at: int
) -> Sample:
    """Judge accounts by the version in force, a few at a time. Raises StoreUnavailable."""
    timeline = registry.timeline
    engine = timeline.at(at).engine
    program, taken = engine.program, 0
    found: dict[Condition, Counter[bool | None]] = {part: Counter() for part in program.conditions}
    qualify, find_qualified = Counter[str](), qualified_by(program)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        try:
            states = await connection.reader.states(some)
        except BrokenState:  # of another release: the account's page says so
            continue
        for name, state in zip(some, states, strict=True):
            if state is None or state.membership.segment is None:
                continue
            account = timeline.open(name, state)
            timeline.advance(account, at)
            engine.evaluate(account, at)
            taken += 1
            qualify.update(find_qualified(account.values))
            for part, number in program.conditions.items():
                found[part][account.values[number]] += 1
        await asyncio.sleep(0)  # pages and workers of this process come in between
    counts = {part: TestCount(one[True], one[False], one[None]) for part, one in found.items()}
    return Sample(taken, at, registry.definitions.in_force(at), counts, qualify)
