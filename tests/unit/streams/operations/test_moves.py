"""What a switch did to accounts, as its changes tell it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from resegment.console.planning.outcome import render_outcome
from resegment.segmentation.planning.plan import Move, Plan, VersionName
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations import moves
from tests.unit.console.test_plan_views import on_terminal

PLAN = Plan(
    hash="h-1",
    at="2026-01-01T00:00:00Z",
    base=VersionName(number=1, fingerprint="a"),
    target=VersionName(number=None, fingerprint="b"),
    changes="segments",
    accounts=9,
    moves=(Move("a.com", "hot", "warm"),),
)


class Log:
    """The changes of one partition."""

    def __init__(self, values: Sequence[bytes | None]) -> None:
        self.records = [SimpleNamespace(value=one) for one in values]

    async def ends(self) -> Mapping[int, int]:
        return {0: len(self.records)}

    async def between(self, _: int, start: int, end: int) -> AsyncIterator[Sequence[Any]]:
        yield self.records[start:end]


class Settled:
    """A prefix whose outboxes are empty."""

    async def now(self) -> int:
        return 5

    async def look(self) -> Sequence[Any]:
        return []


def moved(account: str, left: str | None, taken: str | None, **cause: Any) -> bytes:
    return orjson.dumps(
        {"id": account, "data": {"account": account, "from": left, "to": taken, "cause": cause}}
    )


async def test_records_that_are_no_changes_are_counted_and_do_not_end_an_apply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    log = Log(
        [
            moved("a.com", "hot", "warm", definition=2),
            moved("b.com", "hot", "warm", definition=2).replace(b"b.com", b"\xff.com"),
            moved("c.com", "hot", "warm", definition=2).replace(b"{", b'{"x":%b,' % nested, 1),
            b"{",
            moved("d.com", "hot", None, merged="a.com"),
        ]
    )

    @asynccontextmanager
    async def reading(*_: Any, **__: Any) -> AsyncIterator[Log]:
        yield log

    monkeypatch.setattr(moves, "reading", reading)
    settled: Any = Settled()
    outcome = await moves.find_outcome(PLAN, 2, {0: 0}, settled, "kafka", Topics(), {})
    assert (outcome.moved, outcome.as_planned, outcome.unread) == (1, 1, 3)
    told = on_terminal(render_outcome(PLAN, 2, None, outcome, pending=False, shadow=False))
    assert "3 records of segment-changes cannot be read: passed over." in told
