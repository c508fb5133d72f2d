"""Which incarnation of each input topic a worker reads: a topic that is deleted and created again is another log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Self

from resegment.streams.kafka.admin import (
    NO_TOPIC,
    LogReplaced,
    TopicsUnavailable,
    join_topic_ids,
    read_topic_id,
)
from resegment.streams.kafka.topics import Topics

CHECKED_EVERY: Final = 30.0
"""Seconds between two checks whether the inputs are still the same topics."""


class InputTopics:
    """The topic ids of `signals`, `segment-changes` and `routing-events`."""

    def __init__(self, bootstrap: str, security: Mapping[str, Any], ids: Mapping[str, str]) -> None:
        self._bootstrap, self._security, self._ids = bootstrap, security, ids

    @classmethod
    async def identify(cls, bootstrap: str, security: Mapping[str, Any], topics: Topics) -> Self:
        """Ask the broker for the ids. Raises TopicsUnavailable."""
        names = [topics.signals.name, topics.segment_changes.name, topics.routing_events.name]
        ids = await asyncio.gather(
            *(asyncio.to_thread(read_topic_id, bootstrap, name, **security) for name in names)
        )
        return cls(bootstrap, security, dict(zip(names, ids, strict=True)))

    def log_of(self, *names: str) -> str:
        """Return what names the incarnation of topics that are read as one."""
        return join_topic_ids(*[self._ids[name] for name in names])

    async def check(self) -> None:
        """Check again and again. Raises LogReplaced: where the new log is long enough, no reader would notice."""
        while True:
            await asyncio.sleep(CHECKED_EVERY)
            for name, held in self._ids.items():
                with suppress(TopicsUnavailable):
                    found = await asyncio.to_thread(read_topic_id, self._bootstrap, name, **self._security)
                    if found not in {held, NO_TOPIC}:
                        raise LogReplaced(name)
