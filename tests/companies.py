"""Four years of real companies, and where a backtest says that they move."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import orjson

from resegment.schemas.fact import Fact
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.sources.providers.yc import read_files
from tests.builders import Move, moves
from tests.events import read_fact

EXAMPLES = Path(__file__).parents[1] / "examples"
SEGMENTS = EXAMPLES / "segments.yaml"
UNTIL = parse_instant("2025-04-01T00:00:00Z")


@cache
def definition() -> Definition:
    return read_definition([(SEGMENTS.name, SEGMENTS.read_bytes())])


@cache
def events(one_in: int = 1) -> list[tuple[Fact, bytes]]:
    """The facts with their events' bytes, of all companies or of one in so many."""
    folder = EXAMPLES / "yc"
    found, _ = read_files(folder / "snapshot-2021-12-02.jsonl.gz", folder / "changes-2022-2025.jsonl.gz")
    pairs = [(read_fact(event), orjson.dumps(event)) for event in found]
    chosen = set(sorted({fact.account for fact, _ in pairs})[::one_in])
    return [pair for pair in pairs if pair[0].account in chosen]


@cache
def expected(one_in: int = 1) -> list[Move]:
    found = backtest(Program(definition()), [fact for fact, _ in events(one_in)], UNTIL)
    return moves(change for _, changes in found for change in changes)


@cache
def final(one_in: int = 1) -> dict[str, str]:
    """Each account's segment in the end."""
    return {account: to for account, _, to, _ in expected(one_in)}
