"""How the consumer hands records to agents, and the hooks through which a topic's owner takes part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from resegment.streams.transport.taking import Take, take_records

GIVE_UP_AFTER: Final = 300.0
"""Seconds for which a worker retries at one place before it exits, so that its supervisor restarts it."""

Positions = Callable[[str, int], Awaitable[int | None]]
Lost = Callable[[str, int, int], None]
"""Called with topic, partition, and the number of records that retention deleted before they were read."""
Leaving = Callable[[Any], None]
"""Called with the client's coordinator before it leaves the group."""
Released = Callable[[str, int], Awaitable[None]]


class Hooks(NamedTuple):
    """Callbacks of a topic's owner, for each of its partitions."""

    positions: Positions | None = None
    """Return the offset at which reading begins; None: at the committed one, else at the earliest."""
    released: Released | None = None
    """Called after a partition was revoked, lost, or given back at the end."""


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    """How the consumer hands records to agents. Times are in seconds."""

    chunk_size: int = 1000
    """The largest number of records in a chunk."""
    chunks_ahead: int = 2
    """How many chunks of one partition may be handed out and not yet acknowledged."""
    fetch_wait: float = 0.1
    """How long a broker may hold an empty fetch. The embedded broker polls, and answers after half of it."""
    drain_timeout: float = 3.0
    """How long a stop waits for the chunks in progress and for the commit of their offsets before it cancels them."""
    placement_timeout: float = GIVE_UP_AFTER
    """How long the position of a partition may stay unknown before the worker exits."""
    metadata_age: float = 5.0
    """How long a new partition of a topic may go unnoticed."""
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Whether records of a transaction that is open or was aborted are read."""
    assignors: tuple[type, ...] = ()
    """The classes with which the group shares out partitions, before faust's own."""
    rolling: bool = True
    """Whether members may be in the group that know only faust's own way to share out partitions."""
    take: Take = take_records
    """Takes records out of a fetch."""
    leaving: Leaving | None = None
    lost: Lost | None = None
    hooks: dict[str, Hooks] = field(default_factory=dict)
    """The hooks of each topic, by its name."""


class PartitionProgress(NamedTuple):
    """How far this worker is in a partition that it owns."""

    topic: str
    partition: int
    offset: int | None
    """Everything before this offset is done; None: where reading begins is not known yet."""
    end: int
    """The offset of the next record to be appended, as the broker last said."""

    @property
    def lag(self) -> int | None:
        """Offsets that are not done yet; None while `offset` is unknown."""
        return None if self.offset is None else max(0, self.end - self.offset)


def config_of(app: Any) -> ConsumerConfig:
    """Return the application's own `consumer_config`, or the defaults where it has none."""
    config = getattr(app, "consumer_config", None)
    return config if isinstance(config, ConsumerConfig) else ConsumerConfig()
