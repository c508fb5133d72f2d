"""Where a prefix is, for whatever only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from resegment.outcomes.dataset import WINDOW
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.sealing.opener import PLAIN, RecordOpener

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """A prefix and the clients that read it. `clock` is `wall` or `facts`, `tolerance` how far clocks may be apart (ms)."""

    client: Redis
    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    reader: PrefixReader
    clock: str
    tolerance: int
    facts_per_test: int
    outcome_window: timedelta = WINDOW
    """For how long after a touch an outcome that names none may be credited to it."""
    keys: ProcessKeys | None = None
    """What seals and opens personal fields."""

    @property
    def opener(self) -> RecordOpener:
        """What opens sealed records."""
        return PLAIN if self.keys is None else self.keys.record_opener()

    @property
    def prefix(self) -> str:
        """The name of the prefix."""
        return self.reader.prefix

    @property
    def on_facts(self) -> bool:
        """Whether the prefix runs on the clock of the facts, not on the wall clock."""
        return self.clock == "facts"
