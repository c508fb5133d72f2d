"""Notice when a source falls silent and when it is back, and tell the router of every partition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from resegment.agents.batch import Message, Publisher, PublishFailed
from resegment.metrics import Metrics
from resegment.schemas.routing import encode_routing_event
from resegment.schemas.sources.silence import Silence, Silences, SourceBack, SourceEvent, SourceSilent
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.language.sameness import plain_source
from resegment.sources.rhythm import Rhythm
from resegment.state.partition_store import StoreUnavailable
from resegment.state.sources.arrivals import Arrival, Arrivals, ArrivalStore, KnownSources
from resegment.streams.heartbeat import read_workers
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker.partitions import PartitionManager

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.streams.worker.wiring import Plan, Shared

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 5.0
"""Seconds between two looks. All workers write what came from sources."""
COMPARED: Final = 60_000
"""After so many ms it is looked again whether all partitions know which sources are silent: one may be rebuilt."""

Every = Mapping[str, int | None]
"""How often (ms) something comes from a source, as the segments file says; None if it is never silent."""


class SourceWatcher:
    """Of all workers, the one that owns partition 0 looks for silence.

    `is_behind` says whether records wait that may be from any source: then no source is found silent.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        store: ArrivalStore,
        partitions: PartitionManager[Account],
        tell: Tell,
        every: Callable[[], Every],
        is_behind: Callable[[], Awaitable[bool]],
        now: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._arrivals, self._store, self._partitions, self._tell = arrivals, store, partitions, tell
        self._every, self._is_behind, self._now, self._metrics = every, is_behind, now, metrics
        self._compared = 0
        self._shown: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled. What fails is done at the next look."""
        while True:
            with suppress(StoreUnavailable, PublishFailed):
                await self.look()
            await asyncio.sleep(LOOKED_AT)

    async def look(self) -> None:
        """Look once. Raises StoreUnavailable and PublishFailed."""
        arrived = self._arrivals.take()
        if arrived:
            try:
                await self._store.note(arrived)
            except StoreUnavailable:
                for source, one in arrived.items():
                    self._arrivals.note({(source, kind): one.last for kind in one.kinds})
                raise
        if self._partitions.get(0) is None:
            self._show({}, {})
            return
        now = self._now()
        known = await self._store.read(now)
        silent = {} if await self._is_behind() else self._find_silent(known, now)
        fresh = {source: one for source, one in silent.items() if source not in known.silent}
        back = {
            source: silence
            for source, silence in known.silent.items()
            if source not in known.arrivals or self._has_come_back(source, silence, known)
        }
        events: list[SourceEvent] = [_tell_silent(source, one) for source, one in fresh.items()]
        events += [SourceBack(source=source, at=max(now, was.at + 1)) for source, was in back.items()]
        if events:
            await self._tell(events)
        if fresh or back:
            await self._store.mark(fresh, back)
            for source, silence in fresh.items():
                log.warning("a source is silent", source=source, since=format_instant(silence.since))
            for source in back:
                log.info("a source is back", source=source)
        now_silent = {name: one for name, one in {**known.silent, **fresh}.items() if name not in back}
        if not events and now - self._compared >= COMPARED:  # else partitions have just been told
            await self._compare(now_silent, now)
            self._compared = now
        self._show(known.arrivals, now_silent)

    async def _compare(self, silent: Silences, now: int) -> None:
        """Tell each partition what it doesn't know: it was rebuilt, or what is kept of sources was lost."""
        for number, heard in enumerate(await self._store.read_partitions(self._tell.partitions)):
            events: list[SourceEvent] = [
                _tell_silent(name, one) for name, one in silent.items() if name not in heard
            ]
            events += [
                SourceBack(source=name, at=max(now, one.at + 1))
                for name, one in heard.items()
                if name not in silent
            ]
            if events:
                await self._tell(events, number)

    def _find_silent(self, known: KnownSources, now: int) -> dict[str, Silence]:
        """Return the sources from which something should have come by now."""
        every, found = self._every(), dict[str, Silence]()
        for source, one in known.arrivals.items():
            name = plain_source(source)
            if name in every and every[name] is None:
                continue
            due = Rhythm(one.hours, one.last).find_due(every.get(name))
            if due is not None and due <= now:
                found[source] = Silence(one.last, tuple(sorted(one.kinds)), now)
        return found

    def _has_come_back(self, source: str, silence: Silence, known: KnownSources) -> bool:
        """Whether something has come since, or the file says now that this is no silence."""
        last = known.arrivals[source].last
        if last > silence.since:
            return True
        every = self._every()
        name = plain_source(source)
        if name not in every:
            return False
        length = every[name]
        return length is None or last + length > self._now()

    def _show(self, sources: Mapping[str, Arrival], silent: Mapping[str, object] | set[str]) -> None:
        gauge, last = self._metrics.source_silent, self._metrics.source_last
        for gone in self._shown - sources.keys():
            gauge.remove(gone)
            last.remove(gone)
        for source, one in sources.items():
            gauge.labels(source).set(source in silent)
            last.labels(source).set(one.last / 1000)
        self._shown = set(sources)


def _tell_silent(source: str, silence: Silence) -> SourceSilent:
    return SourceSilent(source=source, at=silence.at, since=silence.since, kinds=silence.kinds)


class Tell:
    """Tells every partition of the router of events."""

    def __init__(self, publisher: Publisher, topic: str, partitions: int) -> None:
        self._publisher, self._topic, self.partitions = publisher, topic, partitions

    async def __call__(self, events: list[SourceEvent], only: int | None = None) -> None:
        """Publish the events to each partition, or to one. Raises PublishFailed."""
        await self._publisher.publish(
            [
                Message(self._topic, None, encode_routing_event(one), (), number)
                for number in (range(self.partitions) if only is None else (only,))
                for one in events
            ]
        )


async def is_behind(client: Redis, prefix: str, topics: Topics) -> bool:
    """Whether events wait that workers have not taken in, as their heartbeats say, or no worker says. Raises StoreUnavailable."""
    names = {one.name for one in topics.triggers}
    workers = await read_workers(client, prefix)
    return not workers or any(
        behind and place.rpartition(":")[0] in names
        for one in workers.values()
        for place, behind in one["lag"].items()
    )


def watch_sources(
    plan: Plan, shared: Shared, partitions: PartitionManager[Account], publisher: Publisher
) -> SourceWatcher:
    """Return what watches the sources of a prefix."""
    client, prefix, registry = shared.client, plan.settings.prefix, shared.registry
    return SourceWatcher(
        shared.arrivals,
        ArrivalStore(client, prefix),
        partitions,
        Tell(publisher, plan.topics.routing_events.name, plan.settings.partitions),
        lambda: registry.current.definition.sources,
        lambda: is_behind(client, prefix, plan.topics),
        plan.now,
        shared.metrics,
    )
