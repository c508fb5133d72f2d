"""Changes between two times come from their topic only where it surely has all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from resegment.agents.batch import RecordedMessage
from resegment.cli.past.changes import find_changes
from resegment.cli.past.looking import PastView
from resegment.schemas.times import format_instant
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import PLAIN

DAY = 86_400_000
NOW = 100 * DAY


def change(offset: int, at: int) -> Any:
    value = orjson.dumps({"data": {"decided_at": format_instant(at)}})
    return SimpleNamespace(partition=0, **RecordedMessage(offset, at, b"a.com", value, ())._asdict())


class Topic:
    """Changes of two partitions, of which the second has forgotten all that it had."""

    def __init__(self, records: Sequence[Any], begins: dict[int, int]) -> None:
        self.records, self.begins = records, begins
        self.newest_beginning = max(begins.values())
        self.archive = None
        self.topics, self.opener = Topics("shop"), PLAIN

    @asynccontextmanager
    async def reading(self, *_: Any) -> AsyncIterator[Topic]:
        yield self

    async def to_end(self) -> AsyncIterator[Sequence[Any]]:
        yield self.records


class Past:
    """Decides that there was no change."""

    asked = 0

    async def changes(self, *_: Any) -> Sequence[Any]:
        self.asked += 1
        return []


@pytest.mark.parametrize(
    ("begins", "start", "decides"),
    [
        pytest.param({0: 0, 1: 0}, 1 * DAY, False, id="nothing-is-gone"),
        pytest.param({0: 5, 1: 0}, 95 * DAY, False, id="what-is-gone-is-older"),
        pytest.param({0: 5, 1: 0}, 85 * DAY, True, id="some-of-the-time-is-gone"),
        pytest.param({0: 5, 1: 7}, 95 * DAY, True, id="a-partition-is-empty"),
    ],
)
async def test_changes_are_decided_again_where_some_may_be_gone(
    begins: dict[int, int], start: int, decides: bool
) -> None:
    source: Any = Topic([change(begins[0], 90 * DAY), change(begins[0] + 1, 96 * DAY)], begins)
    past: Any = Past()
    registry: Any = None
    view = PastView(past, registry, source, 2, "the log", NOW)
    found = await find_changes(view, start, NOW, None)
    assert past.asked == decides
    assert len(found) == (0 if decides else 2)
