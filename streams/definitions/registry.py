"""The versions that a process works by, compiled when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from resegment.routing.policy import RoutingControls
from resegment.schemas.definitions.records import Apply
from resegment.streams.definitions.history import Definitions, Verdict
from resegment.streams.definitions.runtime import DefinitionRuntime
from resegment.streams.kafka.topics import Topics


class DefinitionRegistry:
    """Gives the runtime of each version of a prefix, and follows what `definitions` says of switches."""

    def __init__(self, definitions: Definitions, topics: Topics, *, facts_per_test: int) -> None:
        self.definitions = definitions
        self._topics, self._facts_per_test = topics, facts_per_test
        self._runtimes: dict[int, DefinitionRuntime] = {}
        self.controls = RoutingControls()
        """The mode and the lists, which the policies of all versions share."""
        self._told = asyncio.Event()

    def runtime(self, number: int) -> DefinitionRuntime:
        """Return a version, ready to evaluate and route by.

        Raises NoSuchVersion, VersionIncomplete, and InvalidSegments where this release does not accept it.
        """
        if number not in self._runtimes:
            definition = self.definitions.definition_of(number)
            self._runtimes[number] = DefinitionRuntime.build(
                definition, self._topics, facts_per_test=self._facts_per_test, controls=self.controls
            )
        return self._runtimes[number]

    @property
    def current(self) -> DefinitionRuntime:
        """Return the version in force, or that a settled switch makes so."""
        return self.runtime(self.definitions.current)

    def take(self, values: Sequence[bytes | None]) -> None:
        """Take further records of `definitions`."""
        for value in values:
            self.definitions.take(value)
        told, self._told = self._told, asyncio.Event()
        told.set()

    def apply_of(self, name: str) -> Apply | None:
        """Return the instant and the rest of an apply, None where it is not written or not read yet."""
        one = self.definitions.applies.get(name)
        return None if one is None else one.apply

    async def wait_verdict(self, name: str, patience: float) -> Verdict | None:
        """Wait until an apply stands or is void, for at most `patience` seconds; None where it stays open."""
        try:
            async with asyncio.timeout(patience):
                while (verdict := self.definitions.verdict(name)) is None:
                    await self._told.wait()
                return verdict
        except TimeoutError:
            return self.definitions.verdict(name)
