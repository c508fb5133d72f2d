"""Report to Redis how far the archive of a prefix is, so that `status` can say it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from resegment.schemas.times import spell_length
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import archive_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

SILENT_AFTER: Final = 15.0
"""Seconds without a report after which nothing archives the prefix."""


@dataclass(frozen=True, slots=True)
class ArchiveLook:
    """What was reported last: where the archive is, records behind by topic, and what is wrong."""

    path: str
    silent: float
    """Seconds since."""
    lag: dict[str, int]
    gaps: int = 0
    problem: str | None = None

    @property
    def is_running(self) -> bool:
        """Return whether a process archives the prefix now."""
        return self.silent < SILENT_AFTER and self.problem is None

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        found = []
        if self.problem is not None and self.silent < SILENT_AFTER:
            found.append(f"nothing is archived: {self.problem}")
        if self.gaps:
            found.append(
                f"{self.gaps:,} {'gap' if self.gaps == 1 else 'gaps'} in the archive at {self.path}: records were "
                "deleted before they were archived"
            )
        return found

    @property
    def note(self) -> str:
        """Return how far the archive is, in one sentence."""
        behind = sum(self.lag.values())
        if self.is_running:
            return f"archive at {self.path}: {behind:,} records are not written yet"
        return f"archive at {self.path}: no process archives now; the last one reported {spell_length(int(self.silent * 1000))} ago"


def describe_archive(look: ArchiveLook | None) -> dict[str, Any] | None:
    """Return the report as plain JSON data, None where nothing was ever archived."""
    if look is None:
        return None
    return {
        "path": look.path,
        "running": look.is_running,
        "silent_seconds": look.silent,
        "lag": look.lag,
        "gaps": look.gaps,
        "problem": look.problem,
    }


class ArchiveReports:
    """The report of a prefix. Every call raises StoreUnavailable."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, archive_key(prefix)

    async def write(self, path: str, topics: Sequence[dict[str, Any]]) -> None:
        """Report how far it is."""
        await self._put({"path": path, "topics": topics})

    async def write_problem(self, path: str, problem: str) -> None:
        """Report why nothing is archived."""
        await self._put({"path": path, "topics": [], "problem": problem})

    async def read(self) -> ArchiveLook | None:
        """Return the last report, None where nothing was ever archived."""
        with answering("read how far the archive is"):
            answer: Any = self._client.get(self._key)
            value = await answer
        if value is None:
            return None
        entry = orjson.loads(value)
        return ArchiveLook(
            entry["path"],
            max(0.0, time.time() - entry["at"]),
            {one["topic"]: one["lag"] for one in entry["topics"]},
            sum(one["gaps"] for one in entry["topics"]),
            entry.get("problem"),
        )

    async def _put(self, entry: dict[str, Any]) -> None:
        with answering("report how far the archive is"):
            answer: Any = self._client.set(self._key, orjson.dumps({"at": time.time(), **entry}))
            await answer
