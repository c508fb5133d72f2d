"""Check accounts against the log, slice by slice, so that each is checked within the time that the settings promise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from resegment.agents.deciding.folding import changeover_of
from resegment.errors import ResegmentError, TransientError
from resegment.metrics import Metrics
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.comparison import Difference, describe_difference
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.spot_checks import MOST_NAMED, SpotCheck, read_spot_checks, write_spot_check
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.slice_check import AccountSlice, LogCut, SliceCheck, SliceFound

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

SLICE: Final = 5_000
"""About how many accounts are in memory at once."""
OUTGROWN: Final = 2
"""A round in which a partition has grown to so many times its slices is planned again."""
CACHE: Final = 32_000_000
"""About the bytes that they take decoded."""
LOOKED_AT: Final = 0.5
"""Seconds between two looks at which partitions are owned."""
FIRST_AFTER: Final = 60.0
"""Seconds after the start in which nothing is checked, at most."""
AGAIN_AFTER: Final = 2.0
"""Seconds until a slice that could not be checked is checked again."""
ATTEMPTS: Final = 3
SHARE: Final = 0.75
"""The part of the promised time in which a round is planned: the rest is for rounds that take longer."""
NO_LOG: Final = "the log does not begin at its beginning"


@dataclass(slots=True)
class _Partition:
    """What is known of one owned partition."""

    slices: int = 1
    following: int = 0
    """The slice to be checked next."""
    checked: dict[int, int] = field(default_factory=dict)
    """How many accounts each slice had."""
    differing: dict[str, str] = field(default_factory=dict)
    at: float = 0.0
    times: dict[int, float] = field(default_factory=dict)
    """When each slice was checked last."""
    oldest: float | None = None
    """Since when each account was checked."""
    missed: dict[int, list[str]] = field(default_factory=dict)
    """Why slices could not be checked at their last turns."""

    @property
    def stuck(self) -> str | None:
        """Return why a slice can't be checked for two turns by now: one alone may fall into a switch."""
        return next((reasons[-1] for reasons in self.missed.values() if len(reasons) > 1), None)


class SpotChecker:
    """Checks the owned partitions one after another, one slice at a time, and begins again."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        client: Redis,
        reader: PrefixReader,
        source: SignalLog,
        metrics: Metrics,
        *,
        within: float,
        trusts_log: bool = True,
    ) -> None:
        """`within` is the time (s) in which each account is checked once; 0: never.

        `trusts_log`: where it is not known with which log a partition began, it counts as the present one. The embedded
        broker of an earlier release forgot its log at each stop.
        """
        self._trusts_log = trusts_log
        self._registry, self._partitions, self._client = registry, partitions, client
        self._reader, self._source, self._metrics = reader, source, metrics
        self._within = within
        self._known: dict[int, _Partition] = {}
        self._took: list[float] = []
        """How long (s) the checks of the round took."""
        self._promise = within
        self.differing: dict[str, str] = {}
        """The accounts that this worker found to differ, each with what does."""

    async def run(self) -> None:
        """Check until cancelled."""
        while self._within:
            try:
                await self._go_round()
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_AFTER)

    async def _go_round(self) -> None:
        """Check each slice once, evenly spread over the promised time.

        Ends early when other partitions are owned, or when one has many more accounts than were planned for.
        """
        turns = await self._plan()
        if not turns:
            await asyncio.sleep(LOOKED_AT)
            return
        held, began = self._held, time.monotonic()
        pace = self._within * SHARE / len(turns)
        first, self._took = min(pace, FIRST_AFTER), []
        for place, (number, some) in enumerate(turns):
            if not await self._wait_until(began + first + place * pace, held):
                return
            if await self._reader.count(number) > OUTGROWN * SLICE * some.of:
                return  # the accounts of one slice would take too much memory: they are planned again
            since = time.monotonic()
            await self._check(number, some)
            self._took.append(time.monotonic() - since)
            self._promise = max(self._within, sum(self._took) / len(self._took) * len(turns) / SHARE)
            self._metrics.spot_within.set(self._promise)
        await self._wait_until(began + len(turns) * pace, held)

    @property
    def _held(self) -> frozenset[int]:
        return frozenset(one.number for one in self._partitions if one.fence is not None)

    async def _wait_until(self, at: float, held: frozenset[int]) -> bool:
        """Wait until an instant; return False once other partitions are owned."""
        while (left := at - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOKED_AT))
            if self._held != held:
                break
        return self._held == held

    async def _plan(self) -> list[tuple[int, AccountSlice]]:
        """Return the slices of the owned partitions, first those of the partition that was not checked for longest."""
        held = self._held
        for number in self._known.keys() - held:
            for name in self._known.pop(number).differing:
                self.differing.pop(name, None)
        self._metrics.spot_differing.clear()
        kept = await read_spot_checks(self._client, self._reader.prefix)
        for number in held:
            known = self._known.setdefault(number, _recall(kept.get(number)))
            self._metrics.spot_differing.labels(str(number)).set(len(known.differing))
            accounts = await self._reader.count(number)
            slices = max(1, -(-accounts // SLICE))
            if slices != known.slices:
                known.slices, known.following, known.checked, known.times = slices, 0, {}, {}
                known.missed.clear()
        order = sorted(held, key=lambda number: self._known[number].at)
        return [
            (number, AccountSlice((known.following + place) % known.slices, known.slices))
            for number in order
            for known in (self._known[number],)
            for place in range(known.slices)
        ]

    async def _check(self, number: int, some: AccountSlice) -> None:
        """Check one slice, a few times if that can't be done now, and keep what was found."""
        reason = ""
        for _ in range(ATTEMPTS):
            live = self._partitions.get(number)
            if live is None or live.fence is None:
                return
            begun = self._trusts_log or bool(changeover_of(live.position).origin)
            if not begun or not self._source.has_whole(live):
                await self._keep(number, blocked=NO_LOG)
                return
            try:
                found = await SliceCheck(
                    number, some, self._registry, self._source, self._reader, cache_bytes=CACHE
                ).run()
            except LogCut:
                await self._keep(number, blocked=NO_LOG)
                return
            except TransientError as error:
                reason = error.message
                await asyncio.sleep(AGAIN_AFTER)
            except ResegmentError as error:
                log.warning("a spot check ends", partition=number, reason=error.message)
                await self._miss(number, some, error.message)
                return
            except Exception as error:  # the worker's work does not rest on it
                log.exception("a spot check failed", partition=number)
                await self._miss(number, some, f"the check failed: {error!r}")
                return
            else:
                await self._take(number, some, found)
                return
        log.info("a spot check waits for its next turn", partition=number, reason=reason)
        await self._miss(number, some, reason)

    async def _miss(self, number: int, some: AccountSlice, reason: str) -> None:
        """Note why a slice could not be checked at its turn."""
        known = self._known[number]
        known.missed[some.number] = [*known.missed.get(some.number, ())[-1:], reason]
        if known.stuck is not None:
            await self._keep(number)

    async def _take(self, number: int, some: AccountSlice, found: SliceFound) -> None:
        known = self._known[number]
        known.following = (some.number + 1) % some.of
        known.checked[some.number], known.times[some.number] = found.checked, time.time()
        if len(known.times) == known.slices:
            known.oldest = min(known.times.values())
        known.missed.pop(some.number, None)
        self._metrics.spot_checked.inc(found.checked)
        described = {name: _describe(differences) for name, differences in found.differences.items()}
        gone = [name for name in known.differing if some.has(name.encode()) and name not in described]
        for name in gone:
            del known.differing[name]
            self.differing.pop(name, None)
        for name, what in described.items():
            if known.differing.get(name) != what or name not in self.differing:
                log.error(
                    "an account in Redis is not as the log gives it",
                    partition=number,
                    account=name,
                    differs=what,
                    remedy="run `resegment verify` to see every difference; docs/operations.md says how to restore it",
                )
            known.differing[name] = self.differing[name] = what
        await self._keep(number)

    async def _keep(self, number: int, blocked: str | None = None) -> None:
        known = self._known[number]
        known.at = time.time()
        self._metrics.spot_differing.labels(str(number)).set(len(known.differing))
        check = SpotCheck(
            at=known.at,
            checked=sum(known.checked.values()),
            slices=known.slices,
            following=known.following,
            whole=len(known.checked) == known.slices,
            within=self._promise,
            differing=len(known.differing),
            named=dict(sorted(known.differing.items())[:MOST_NAMED]),
            blocked=blocked or known.stuck,
            oldest=known.oldest,
        )
        await write_spot_check(self._client, self._reader.prefix, number, check)
        checks: Mapping[int, SpotCheck] = await read_spot_checks(self._client, self._reader.prefix)
        blocks = [one for one in checks if one in self._known and checks[one].blocked is not None]
        self._metrics.spot_blocked.set(len(blocks))


def _recall(kept: SpotCheck | None) -> _Partition:
    """Return what is known of a partition from before it was owned."""
    if kept is None:
        return _Partition()
    following = kept.following % kept.slices
    return _Partition(kept.slices, following, {}, dict(kept.named), kept.at, oldest=kept.oldest)


def _describe(differences: Sequence[Difference]) -> str:
    return ", ".join(dict.fromkeys(map(describe_difference, differences)))
