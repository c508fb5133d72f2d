"""Report each worker's partitions and lag to Redis, so that commands can see which workers run."""

from __future__ import annotations

import os
import re
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec import to_builtins

from resegment.errors import UserError
from resegment.state.redis.errors import FAILURES, answering
from resegment.state.redis.keys import workers_key
from resegment.streams.reports.pace import PaceReport, read_pace

if TYPE_CHECKING:
    from redis.asyncio import Redis

SILENT_AFTER = 10.0
"""Seconds after which a worker that does not report counts as gone."""
FORGOTTEN_AFTER = 3_600.0
"""Seconds after which its entry is removed; clocks of machines may differ by less."""
REPLACES_WITHIN = 60.0
"""Seconds after its start within which a worker takes the place of one that was lost before."""
MOST_DROPPED = 10
"""Tests that a report names."""
LOOKED_EVERY = 5
"""Reports between two looks at the other workers."""


class WorkersRunning(UserError):
    """The prefix is in use."""

    def __init__(self, prefix: str, workers: int) -> None:
        super().__init__(f"prefix {prefix} has running workers: {workers}", remedy="Stop them first.")
        self.prefix, self.workers = prefix, workers


class Heartbeat:
    """The entry of this worker."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._key = client, workers_key(prefix)
        self.frozen: str | None = None
        """Why a suppression list cannot be read, while the worker uses the last one that it could read."""
        self.keys_away: str | None = None
        """Why the key store does not answer, so that batches wait."""
        self._skipped: dict[str, int] = {}
        self._dropped: dict[str, tuple[int, int]] = {}
        self._repeated: dict[str, int] = {}
        self.version = 0
        """The number of the version in force, as it was reported last."""
        self._differs: str | None = None
        self._pace: PaceReport | None = None
        self.lost = 0
        """Other workers that were killed or ended with an error and that none replaced, as of the last look."""
        self.name = name_process()
        self._reports, self._replaces = 0, True
        self._started = time.time()

    async def report(self, partitions: Sequence[int], lag: Mapping[str, int]) -> None:
        """Report the owned partitions and their lag. Raises StoreUnavailable."""
        entry = {
            "at": time.time(),
            "partitions": partitions,
            "lag": lag,
            "frozen": self.frozen,
            "keys_away": self.keys_away,
            "skipped": self._skipped,
            "dropped": self._dropped,
            "repeated": self._repeated,
            "version": self.version,
            "differs": self._differs,
            "pace": None if self._pace is None else to_builtins(self._pace),
        }
        with answering("report"):
            answer: Any = self._client.hset(self._key, self.name, orjson.dumps(entry))
            await answer
            if self._reports % LOOKED_EVERY == 0:
                await self._look_at_others()
        self._reports += 1

    async def _look_at_others(self) -> None:
        """Count the workers that were lost, take the place of one of them, and forget those of long ago."""
        answer: Any = self._client.hgetall(self._key)
        entries = {name.decode(): orjson.loads(value) for name, value in (await answer).items()}
        now = time.time()
        lost = {name: one["at"] for name, one in entries.items() if name != self.name and _is_lost(one, now)}
        dead = [name for name, at in lost.items() if now - at > FORGOTTEN_AFTER]
        for name in dead:
            del lost[name]
        if dead:
            answer = self._client.hdel(self._key, *dead)
            await answer
        self._replaces = self._replaces and now - self._started < REPLACES_WITHIN
        before = [name for name, at in lost.items() if at < self._started]
        if self._replaces and before:
            own = self.name.partition(":")[0]
            place = min(before, key=lambda name: (name.partition(":")[0] != own, lost[name]))
            answer = self._client.hdel(self._key, place)
            self._replaces = not await answer  # another new worker may have been faster
            del lost[place]
        self.lost = len(lost)

    def note_frozen(self, reason: str | None) -> None:
        """Report from now on why a list cannot be read; None once it can."""
        self.frozen = reason

    def note_skipped(self, lines: Mapping[str, int]) -> None:
        """Report from now on how many lines of each list are skipped."""
        self._skipped = {name: count for name, count in lines.items() if count}

    def note_dropped(self, facts: Mapping[str, tuple[int, int]]) -> None:
        """Report from now on the tests for which most facts were dropped: how many, and of how many accounts."""
        self._dropped = dict(sorted(facts.items(), key=lambda one: -one[1][0])[:MOST_DROPPED])

    def note_repeated(self, events: Mapping[str, int]) -> None:
        """Report from now on the sources that sent most events with the id of an earlier one and other data."""
        self._repeated = dict(sorted(events.items(), key=lambda one: -one[1])[:MOST_DROPPED])

    def note_pace(self, pace: PaceReport) -> None:
        """Report from now on how fast the worker is."""
        self._pace = pace

    def note_version(self, number: int, differs: str | None) -> None:
        """Report from now on the version in force, and in what way the worker's own file differs from it."""
        self.version, self._differs = number, differs

    async def leave(self, *, failed: bool = False) -> None:
        """Remove the entry, or leave word that an error has ended the worker. If Redis is down, it expires by its age."""
        try:
            entry = {"at": time.time(), "partitions": [], "lag": {}, "failed": True}
            answer: Any = (
                self._client.hset(self._key, self.name, orjson.dumps(entry))
                if failed
                else self._client.hdel(self._key, self.name)
            )
            await answer
        except FAILURES:
            return


def _is_lost(entry: Mapping[str, Any], now: float) -> bool:
    """Return whether a worker does not report any more, though it did not leave."""
    return bool(entry.get("failed")) or now - entry["at"] >= SILENT_AFTER


def name_process() -> str:
    """Return a name for this process that no other one has, on any host."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


async def read_workers(client: Redis, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the workers that reported within SILENT_AFTER, by name. Raises StoreUnavailable."""
    with answering("read the workers"):
        answer: Any = client.hgetall(workers_key(prefix))
        entries = {name.decode(): orjson.loads(value) for name, value in (await answer).items()}
    now = time.time()
    return {name: one for name, one in entries.items() if not _is_lost(one, now)}


async def check_stopped(client: Redis, prefix: str) -> None:
    """Raise WorkersRunning while workers of the prefix run, and StoreUnavailable."""
    if workers := await read_workers(client, prefix):
        raise WorkersRunning(prefix, len(workers))


@dataclass(frozen=True, slots=True)
class WorkerLook:
    """One worker: the partitions of `signals` that it owns, its lag by topic, and for how long it is silent (ms).

    `frozen` says why it cannot read a suppression list, if it cannot. `skipped` counts the lines that name no company.
    """

    name: str
    partitions: Sequence[int]
    lag: Mapping[str, int]
    silent: int
    frozen: str | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    differs: str | None = None
    """In what way its segments file is not the version in force, None if it is."""
    dropped: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Facts that the limit of a test dropped since it started, and how many accounts came over the limit, by test."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """Events with the id of an earlier one and other data since it started, by source."""
    behind: Sequence[int] = ()
    """Partitions of `signals` that have records which it has not worked off."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Its lag by `topic:partition`."""
    pace: PaceReport | None = None
    """How fast it is; None where the worker is of an earlier release."""
    keys_away: str | None = None
    """Why the key store does not answer it, so that its batches wait."""


_SIGNALS: Final = re.compile(r"(?:^|\.)signals:\d+$")
"""A partition of `signals` in what a worker reports of its lag."""


def look_at_worker(name: str, entry: Mapping[str, Any], now: float) -> WorkerLook:
    """Return a worker as its report says; `now` is in seconds."""
    lag: dict[str, int] = {}
    for place, behind in entry["lag"].items():
        topic = place.rpartition(":")[0]
        lag[topic] = lag.get(topic, 0) + behind
    silent = max(0, int((now - entry["at"]) * 1000))
    signals = [place for place, behind in entry["lag"].items() if behind and _SIGNALS.search(place)]
    return WorkerLook(
        name,
        sorted(entry["partitions"]),
        lag,
        silent,
        entry.get("frozen"),
        entry.get("skipped") or {},
        entry.get("differs"),
        {test: (facts, accounts) for test, (facts, accounts) in (entry.get("dropped") or {}).items()},
        entry.get("repeated") or {},
        sorted(int(place.rpartition(":")[2]) for place in signals),
        entry["lag"],
        read_pace(entry.get("pace")),
        entry.get("keys_away"),
    )
