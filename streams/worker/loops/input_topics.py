"""Which incarnation of each input topic a worker reads, and with how many partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from resegment.agents.partition import Holds, Where, mark_of
from resegment.streams.kafka.admin import (
    NO_TOPIC,
    LogReplaced,
    PartitionsDiffer,
    TopicIdentity,
    TopicLooks,
    TopicsUnavailable,
    identify_topics,
    join_topic_ids,
)
from resegment.streams.kafka.topic_reader import read_record
from resegment.streams.kafka.topics import Topics

CHECKED_EVERY: Final = 10.0
"""Seconds between two checks whether the inputs are still the same topics."""
_AT_ONCE: Final = 4
"""Partitions that are looked into at a time: each look opens a connection."""


class InputTopics:
    """The topic ids of `signals`, `segment-changes` and `routing-events`, and their number of partitions."""

    def __init__(
        self, bootstrap: str, security: Mapping[str, Any], identities: Mapping[str, TopicIdentity]
    ) -> None:
        self._bootstrap, self._security, self._identities = bootstrap, security, identities
        self._looks = TopicLooks(bootstrap, security)
        self._looking = asyncio.Semaphore(_AT_ONCE)

    @classmethod
    async def identify(cls, bootstrap: str, security: Mapping[str, Any], topics: Topics) -> Self:
        """Ask the broker for the ids. Raises TopicsUnavailable."""
        names = [topics.signals.name, topics.segment_changes.name, topics.routing_events.name]
        found = await asyncio.to_thread(identify_topics, bootstrap, names, **security)
        return cls(bootstrap, security, found)

    def log_of(self, *names: str) -> str:
        """Return what names the incarnation of topics that are read as one."""
        return join_topic_ids(*[self._identities[name].id for name in names])

    def holding(self, partition: int, topic: str, beside: str | None = None) -> Holds:
        """Return what looks for a record in a partition of a topic, or of the one that is read beside it.

        What it returns raises TopicUnreadable.
        """

        async def holds(where: Where, offset: int, mark: str) -> bool:
            name = topic if where == "topic" else beside
            assert name is not None, "only a partition that reads two topics has a position beside"
            async with self._looking:
                record = await read_record(self._bootstrap, name, partition, offset, security=self._security)
            return record is not None and mark_of(record) == mark

        return holds

    async def refuse_new_partition(self, topic: str, partition: int) -> None:
        """Raise PartitionsDiffer if the topic did not have the partition when the worker started.

        Raises TopicsUnavailable.
        """
        if partition >= self._identities[topic].partitions:
            await self._check([topic])

    async def check(self) -> None:
        """Check again and again. Raises LogReplaced and PartitionsDiffer, which no reader would notice for certain."""
        try:
            while True:
                await asyncio.sleep(CHECKED_EVERY)
                with suppress(TopicsUnavailable):
                    await self._check(list(self._identities))
        finally:
            self._looks.close()

    async def _check(self, names: Sequence[str]) -> None:
        now = await asyncio.to_thread(self._looks.identify, names)
        for name, found in now.items():
            held = self._identities[name]
            if found.id not in {held.id, NO_TOPIC}:
                raise LogReplaced(name)
            if found.partitions > held.partitions:
                raise PartitionsDiffer(name, found.partitions, held.partitions, in_use=True)
