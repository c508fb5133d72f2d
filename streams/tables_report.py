"""Report to Redis how far the tables of a prefix are, so that `status` can say it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from resegment.schemas.times import spell_length
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import tables_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

SILENT_AFTER: Final = 30.0
"""Seconds without a report after which a writer has ended."""


@dataclass(frozen=True, slots=True)
class TablesLook:
    """What a writer reported last: where its tables are, records behind by topic, and what is wrong."""

    address: str
    silent: float
    """Seconds since."""
    lag: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    problem: str | None = None

    @property
    def is_running(self) -> bool:
        """Return whether a process writes these tables now."""
        return self.silent < SILENT_AFTER

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        if not self.is_running:
            ago = spell_length(int(self.silent * 1000))
            return [f"nothing writes the tables at {self.address}: the process that did reported {ago} ago"]
        return [] if self.problem is None else [f"nothing is written to the tables: {self.problem}"]

    @property
    def note(self) -> str:
        """Return how far the tables are, in one sentence."""
        refused = f", and {self.refused:,} became no row: see sync_log" if self.refused else ""
        return f"tables at {self.address}: {sum(self.lag.values()):,} records are not written yet{refused}"


def describe_tables(looks: Sequence[TablesLook]) -> list[dict[str, Any]]:
    """Return the reports as plain JSON data."""
    return [
        {
            "address": one.address,
            "running": one.is_running,
            "silent_seconds": one.silent,
            "lag": one.lag,
            "refused": one.refused,
            "problem": one.problem,
        }
        for one in looks
    ]


class TablesReports:
    """The reports of a prefix, one for each place. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, tables_key(prefix)

    async def write(self, address: str, topics: Sequence[dict[str, Any]], problem: str | None = None) -> None:
        """Report how far the tables are, and what keeps them from being written."""
        entry = {"at": time.time(), "topics": topics, "problem": problem}
        with answering("report how far the tables are"):
            answer: Any = self._client.hset(self._key, address, orjson.dumps(entry).decode())
            await answer

    async def remove(self, address: str) -> None:
        """Forget a writer that was stopped."""
        with answering("report that tables are written no more"):
            answer: Any = self._client.hdel(self._key, address)
            await answer

    async def read(self) -> list[TablesLook]:
        """Return the last report of each writer that was not stopped."""
        with answering("read how far the tables are"):
            answer: Any = self._client.hgetall(self._key)
            held = await answer
        looks = []
        for address, value in sorted(held.items()):
            entry = orjson.loads(value)
            looks.append(
                TablesLook(
                    address.decode() if isinstance(address, bytes) else address,
                    max(0.0, time.time() - entry["at"]),
                    {one["topic"]: one["lag"] for one in entry["topics"]},
                    sum(one["refused"] for one in entry["topics"]),
                    entry["problem"],
                )
            )
        return looks
