"""What came from each source lately, by the newest records of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import msgspec

from resegment.http.operations.place import Place
from resegment.schemas.fact import Fact, decode_fact
from resegment.sources.rhythm import Rhythm
from resegment.state.sources.arrivals import ArrivalStore
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.live.cached import Cached

NEWEST: Final = 2_000
"""Records of each partition that are read."""
HOUR: Final = 3_600_000
FRESH: Final = 15.0
"""Seconds for which they are shown again."""


@dataclass(slots=True)
class Recent:
    """What came from one source: `facts` among the newest, by kind, and when (ms) each and the last of them came."""

    facts: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    retractions: int = 0
    last: int = 0
    times: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecentFacts:
    """The newest facts by source: how many were read, and since when (ms) every fact up to `until` is among them."""

    sources: Mapping[str, Recent] = field(default_factory=dict)
    read: int = 0
    since: int = 0
    until: int = 0

    def upto(self, now: int) -> RecentFacts:
        """Return the same up to now (ms): since the newest of them, nothing came. Of an empty log, there is no span."""
        return replace(self, until=max(self.until, now)) if self.until else self

    @property
    def span(self) -> int:
        """For how long (ms) every fact was read."""
        return max(0, self.until - self.since)

    def count(self, source: str) -> int:
        """Return how many facts of a source came in the span."""
        found = self.sources.get(source)
        return 0 if found is None else sum(one >= self.since for one in found.times)

    def find_burst(self, source: str) -> int | None:
        """Return within how long (ms) all facts of a source came, where that is less than half of the span; else None."""
        times = [one for one in self.sources.get(source, Recent()).times if one >= self.since]
        length = max(times) - min(times) if len(times) > 1 else self.span
        return length if 2 * length < self.span else None

    def per_hour(self, source: str) -> float | None:
        """Return how many facts of a source came in an hour, on average over the span; None where that is less than an hour."""
        return self.count(source) * HOUR / self.span if self.span >= HOUR else None


class Sources(Protocol):
    """What came from sources."""

    async def recent(self) -> RecentFacts:
        """Return the newest facts by source. Raises TopicUnreadable."""
        ...

    async def rhythms(self, now: int) -> Mapping[str, Rhythm]:
        """Return in which hours events of each source came; `now` is in ms. Raises StoreUnavailable."""
        ...


class LiveSources:
    """The `Sources` of a running prefix."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._recent: Cached[RecentFacts] = Cached(FRESH)
        self._arrivals = ArrivalStore(place.connection.client, place.connection.prefix)
        self._rhythms: Cached[Mapping[str, Rhythm]] = Cached(FRESH)

    async def rhythms(self, now: int) -> Mapping[str, Rhythm]:
        async def read() -> Mapping[str, Rhythm]:
            known = await self._arrivals.read(now)
            return {name: Rhythm(one.hours, one.last) for name, one in known.arrivals.items()}

        return await self._rhythms.get(read)

    async def recent(self) -> RecentFacts:
        return await self._recent.get(self._read)

    async def _read(self) -> RecentFacts:
        one = self._place.connection
        sources: dict[str, Recent] = {}
        read = until = 0
        begins: dict[int, int] = {}
        async with reading(one.bootstrap, one.topics.signals.name, security=one.security) as log:
            async for records in log.to_end(NEWEST):
                for record in records:
                    begins.setdefault(record.partition, record.timestamp)
                    until = max(until, record.timestamp)
                    if record.key is None or record.value is None:  # a tick, a mark or a step
                        continue
                    try:
                        fact = decode_fact(record.value)
                    except msgspec.DecodeError:
                        continue
                    read += 1
                    _add(
                        sources.setdefault(fact.source, Recent()),
                        fact,
                        record.timestamp,
                    )
            # before the latest of these, some partition may have records that were not read
            since = max if log.skipped else min
        return RecentFacts(sources, read, since(begins.values(), default=0), until)


def _add(recent: Recent, fact: Fact, at: int) -> None:
    recent.facts += 1
    recent.kinds[fact.kind] = recent.kinds.get(fact.kind, 0) + 1
    recent.retractions += fact.op == "retract"
    recent.last = max(recent.last, at)
    recent.times.append(at)
