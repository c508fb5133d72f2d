"""Compare the shadow of a prefix with the version in force, beside pages; and look one account up by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from resegment.errors import ResegmentError
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.planning.shadow import ShadowReport
from resegment.segmentation.versions.era import effective_moves
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.planning import read_planned
from resegment.streams.operations.planning import Count
from resegment.streams.operations.shadow import compare_shadow, find_shadow
from resegment.streams.prefix import read_prefix
from resegment.streams.recovery.point_in_time import last_touched

FRESH: Final = 60.0
"""Seconds for which a comparison is shown again."""
REST: Final = 10.0
"""After a comparison that took long, the next one waits for that many times as long."""


@dataclass(frozen=True, slots=True)
class ShadowLook:
    """What is known of the shadow: `version` beside `base`, since when (ms).

    `report` is the newest comparison, None before the first; `step` says how far the one under way is, None where none is.
    """

    version: int
    base: int
    since: int
    report: ShadowReport | None
    step: tuple[int, int] | None
    problem: ResegmentError | None = None


@dataclass(frozen=True, slots=True)
class ShadowedAccount:
    """An account as the shadow has it at `at` (ms); None where it has not judged it yet.

    `behind` counts the records of its partition that workers have decided and the shadow has not judged. `renamed` has new
    names of segments, by those that they have now.
    """

    version: int
    engine: Engine
    at: int
    account: Account | None
    behind: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def segment(self) -> str | None:
        """The segment under the shadow."""
        return None if self.account is None else self.account.state.membership.segment

    def moves(self, segment: str | None) -> bool | None:
        """Whether the shadow has the account elsewhere than in this segment of the version in force; None while it lags."""
        return None if self.behind else self.renamed.get(segment or "", segment) != self.segment


class ShadowWatch:
    """Compares the shadow when somebody looks, one comparison at a time, and not again for a while."""

    def __init__(
        self,
        compare: Callable[[Count], Awaitable[ShadowReport]],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`start` runs work beside pages."""
        self._compare, self._start = compare, start
        self._apply = ""
        self._report: ShadowReport | None = None
        self._problem: ResegmentError | None = None
        self._step: tuple[int, int] | None = None
        self._next = float("-inf")
        self._done = asyncio.Event()
        self._named: frozenset[str] = frozenset()
        """The accounts that the report names."""
        self._forgotten: list[tuple[str, bool]] = []
        """What was forgotten since the comparison under way began."""

    async def look(self, registry: DefinitionRegistry, patience: float) -> ShadowLook | None:
        """Return what is known, None where there is no shadow. Wait up to `patience` seconds for a first comparison."""
        if registry.definitions.shadow is None:
            return None
        apply = find_shadow(registry).apply
        about = f"{apply.id} {registry.definitions.current}"
        if self._apply != about:
            self._apply, self._report, self._problem, self._next = about, None, None, float("-inf")
        if self._step is None and time.monotonic() >= self._next:
            self._step, self._done = (0, 0), asyncio.Event()
            self._forgotten.clear()
            self._start(self._run(about))
        if self._report is None and self._step is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._done.wait()
        return ShadowLook(
            apply.version,
            registry.definitions.current,
            apply.at,
            self._report,
            self._step,
            self._problem,
        )

    def forget(self, account: str, person: bool) -> None:
        """Name an account no more, or give no reasons of it if only a person of it is forgotten. Counts stay."""
        if self._step is not None:
            self._forgotten.append((account, person))
        if self._report is not None and account in self._named:
            self._report = leave_out(self._report, account, person=person)

    async def _run(self, about: str) -> None:
        begun = time.monotonic()
        report: ShadowReport | None = None
        problem: ResegmentError | None = None
        try:
            report = await self._compare(self._count)
        except ResegmentError as error:
            problem = error
        finally:
            self._step = None
            if self._apply == about:  # it was not discarded or begun again meanwhile
                self._problem = problem
                if report is not None:
                    self._take(report)
                ended = time.monotonic()
                self._next = ended + max(FRESH, REST * (ended - begun))
            self._done.set()

    def _take(self, report: ShadowReport) -> None:
        self._report = report
        samples = (one.account for flow in report.flows for one in flow.samples)
        self._named = frozenset(one.account for one in report.elsewhere).union(samples)
        for account, person in self._forgotten:
            self.forget(account, person)

    def _count(self, _: str, total: int) -> Callable[[int], None]:
        def progress(done: int) -> None:
            before = self._step or (0, total)
            self._step = (before[0] + done, total)

        self._step = (0, total)
        return progress


def leave_out(report: ShadowReport, account: str, *, person: bool) -> ShadowReport:
    """Return a comparison that does not name an account, or gives no reasons of it; its counts are the same."""
    flows = tuple(
        replace(flow, samples=tuple(one for one in flow.samples if one.account != account))
        for flow in report.flows
    )
    if person:
        return replace(report, flows=flows)
    return replace(
        report, flows=flows, elsewhere=tuple(one for one in report.elsewhere if one.account != account)
    )


async def compare_live(
    connection: LiveConnection, registry: DefinitionRegistry, count: Count
) -> ShadowReport:
    """Compare the shadow of a running prefix. Raises as `compare_shadow`."""
    held = await read_prefix(connection.client, connection.prefix)
    return await compare_shadow(await read_planned(connection, registry, held), count)


async def look_up_shadowed(
    connection: LiveConnection, registry: DefinitionRegistry, name: str, at: int
) -> ShadowedAccount | None:
    """Look one account up as the shadow has it at `at` (ms); None where there is no shadow. Raises StoreUnavailable."""
    if registry.definitions.shadow is None:
        return None
    shadow = find_shadow(registry)
    version = shadow.apply.version
    engine = registry.runtime(version).engine
    number = connection.reader.partition_of(name)
    reader = PrefixReader(connection.client, connection.prefix, connection.reader.partitions, stage="shadow")
    judged, live = await reader.position(number), await connection.reader.position(number)
    nothing = ShadowedAccount(version, engine, at, None)
    if judged is None or live is None or judged.log != f"{live.log} {shadow.apply.id}":
        return nothing
    (state,) = await reader.states([name])
    if state is None:
        return nothing
    account = shadow.timeline.open(name, state)
    wanted = max(at, last_touched(state))
    shadow.timeline.advance(account, wanted)
    engine.evaluate(account, wanted)
    renamed = effective_moves(registry.current.definition, shadow.apply.moved)
    return ShadowedAccount(version, engine, wanted, account, max(0, live.offset - judged.offset), renamed)
