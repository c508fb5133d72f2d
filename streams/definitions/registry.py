"""The versions that a process works by, compiled when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from resegment.agents.deciding.versions import Verdict
from resegment.errors import FatalError, ResegmentError
from resegment.routing.policy import RoutingControls
from resegment.schemas.definitions.records import Apply
from resegment.schemas.logs.state_log import StateWrite
from resegment.schemas.privacy.opening import FactKeys
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.runtime import DefinitionRuntime
from resegment.streams.kafka.topics import Topics

log = structlog.get_logger(__name__)

Build = Callable[..., DefinitionRuntime]
FIRST: Final = 1
"""The number of a prefix's first version."""


class VersionUnusable(FatalError):
    """This release cannot compile a version that is in force."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(
            f"version {number} is in force and cannot be compiled here: {problem}",
            remedy="Run the release of the worker that accepted it, or a later one.",
        )
        self.number, self.problem = number, problem


class DefinitionRegistry:
    """Gives the runtime of each version of a prefix, and follows what `definitions` says of switches.

    It is what the agents ask about versions, and the codec of the accounts that are judged by them.
    """

    def __init__(
        self, definitions: Definitions, topics: Topics, *, facts_per_test: int, keys: FactKeys | None = None
    ) -> None:
        """`keys` open sealed facts."""
        self.definitions, self.keys = definitions, keys
        self.topics, self._facts_per_test = topics, facts_per_test
        self._runtimes: dict[int, DefinitionRuntime] = {}
        self.controls = RoutingControls()
        """The mode and the lists, which the policies of all versions share."""
        self.folds_in = False
        """Whether this process folds in facts before a switch, as workers do; a replay has all of them."""
        self._told = asyncio.Event()
        self._timeline: Timeline | None = None
        self._built: tuple[int, str | None] = (0, None)

    def runtime(self, number: int) -> DefinitionRuntime:
        """Return a version, ready to evaluate and route by.

        Raises NoSuchVersion, VersionIncomplete, and InvalidSegments where this release does not accept it.
        """
        if number not in self._runtimes:
            definition = self.definitions.definition_of(number)
            self._runtimes[number] = DefinitionRuntime.build(
                definition, self.topics, facts_per_test=self._facts_per_test, controls=self.controls
            )
            self._runtimes[number].policy.number = number
        return self._runtimes[number]

    @property
    def current(self) -> DefinitionRuntime:
        """Return the version in force, or that a settled switch makes so."""
        return self.runtime(self.definitions.current)

    # What agents ask

    @property
    def timeline(self) -> Timeline:
        """Return the versions of all switches that stand. It keeps also what an apply under way will read.

        Raises VersionUnusable.
        """
        underway = self._preparing()
        wanted = len(self.definitions.standing), underway
        if self._timeline is None or self._built != wanted:
            self._timeline = self._build(self._timeline, underway)
            self._built = wanted
        return self._timeline

    def dropped_at(self, at: int) -> frozenset[str]:
        """Return the fields that are not kept of events that become known at `at` (ms)."""
        return self.timeline.at(at).definition.dropped

    def personal_at(self, at: int) -> frozenset[str]:
        """Return the fields that are personal beside those of the contract, for events that become known at `at` (ms)."""
        return self.timeline.at(at).definition.personal

    def _preparing(self) -> str | None:
        """Return the apply whose version accounts will be judged by, if it stands."""
        one = self.definitions.open
        return None if one is None or one.kind != "switch" or one.verdict is not None else one.id

    def _build(self, timeline: Timeline | None, underway: str | None) -> Timeline:
        if timeline is None:
            first = min(self.definitions.versions, default=FIRST)
            timeline = Timeline((Era(first, ALWAYS, self._compile(first).engine),))
        for one in self.definitions.standing[len(timeline.eras) - 1 :]:
            timeline = timeline.extend(self._era(one))
        return timeline.retaining(self._find_retention(underway))

    def _era(self, apply: Apply) -> Era:
        return Era(
            apply.version,
            apply.at,
            self._compile(apply.version).engine,
            apply.moved,
            apply.judges,
            apply.route,
            apply.rollback_of,
            apply.gates_only,
            apply.folds_in,
        )

    def _compile(self, number: int) -> DefinitionRuntime:
        try:
            return self.runtime(number)
        except ResegmentError as error:
            raise VersionUnusable(number, error.message) from error

    def _find_retention(self, underway: str | None) -> Retention | None:
        """Return what the version of an apply under way reads; None where this release cannot compile it."""
        if underway is None:
            return None
        number = self.definitions.applies[underway].version
        try:
            return Retention(self.runtime(number).engine.program)
        except ResegmentError as error:
            log.warning("a version cannot be compiled", version=number, reason=error.message)
            return None

    def knows(self, apply: str) -> bool:
        """Return whether the apply has been read, so that accounts keep what its version reads, or that there is none."""
        return self.definitions.knows(apply)

    def verdict(self, apply: str) -> Verdict | None:
        """Return whether the switch stands or is void, None while that is open."""
        return self.definitions.verdict(apply)

    def apply_of(self, apply: str) -> Apply | None:
        """Return the record of an apply, None where it is not written or not read yet."""
        one = self.definitions.applies.get(apply)
        return None if one is None else one.apply

    def load(self, name: str, value: bytes | None) -> Account:
        """See `resegment.agents.partition.AccountCodec`."""
        return self.timeline.load(name, value)

    def encode(self, account: Account) -> bytes:
        """See `resegment.agents.partition.AccountCodec`."""
        return self.timeline.encode(account)

    def write(self, account: Account) -> StateWrite | None:
        """See `resegment.agents.partition.AccountCodec`."""
        return account.write()

    # Following

    def take(self, values: Sequence[bytes | None]) -> None:
        """Take further records of `definitions`."""
        for value in values:
            self.definitions.take(value)
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def wait_for(self, what: Callable[[], bool], patience: float) -> bool:
        """Wait until something is so, looked at after each record, for at most `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while not what():
                    await self._told.wait()
                return True
        except TimeoutError:
            return what()
