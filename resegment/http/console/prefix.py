"""What pages ask of a running prefix: the port that `resegment.streams.live` implements."""

from __future__ import annotations

from typing import Protocol

from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.operations.overview import Overview


class ConsolePrefix(Protocol):
    """A prefix that is read for pages. Methods raise TransientError where Kafka or Redis does not answer."""

    @property
    def name(self) -> str:
        """The name of the prefix."""
        ...

    async def registry(self) -> DefinitionRegistry:
        """Return the versions of the segments file, as workers have them now."""
        ...

    async def overview(self) -> Overview:
        """Return the health of the prefix; it is at most a second old."""
        ...

    async def now(self) -> int:
        """Return the prefix's own time, ms."""
        ...
