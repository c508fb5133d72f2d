"""How records are handed to agents, and what is asked of and told to the owner of a topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

GIVE_UP_AFTER: Final = 300.0
"""Seconds for which a worker tries on, at one place, before it ends for its supervisor to start it anew."""

Positions = Callable[[str, int], Awaitable[int | None]]
Lost = Callable[[str, int, int], None]
"""Told of a topic's partition how many records retention took that were not read."""
Released = Callable[[str, int], Awaitable[None]]


class Hooks(NamedTuple):
    """What a topic's owner wants to be asked and told about its partitions."""

    positions: Positions | None = None
    """Offset at which reading begins; None: the committed one, else the earliest."""
    released: Released | None = None
    """Called after a partition was revoked, lost or given back at the end."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How records are handed to agents. Times are seconds."""

    chunk_size: int = 1000
    """Most records in a chunk."""
    chunks_ahead: int = 2
    """Most chunks of one partition that are handed out and not yet acknowledged."""
    fetch_wait: float = 0.1
    """How long a broker may hold an empty fetch. One that polls (Tansu) answers after half of it."""
    drain_timeout: float = 3.0
    """How long a stop waits for the chunks in work, and for the commit of their offsets, before it cancels them."""
    placement_timeout: float = GIVE_UP_AFTER
    """How long the position of a partition may stay unknown before the worker gives up."""
    lost: Lost | None = None
    hooks: dict[str, Hooks] = field(default_factory=dict)
    """By topic."""


class Standing(NamedTuple):
    """How far an owned partition is."""

    topic: str
    partition: int
    offset: int | None
    """Up to here all is acknowledged; None: it is not yet known where reading begins."""
    end: int
    """Offset of the next record that will be appended, as far as the broker told."""

    @property
    def lag(self) -> int | None:
        """Records not yet acknowledged; None while `offset` is unknown."""
        return None if self.offset is None else max(0, self.end - self.offset)


def feed_of(app: Any) -> Feed:
    """Return the application's own `feed`, or the defaults if it has none."""
    feed = getattr(app, "feed", None)
    return feed if isinstance(feed, Feed) else Feed()
