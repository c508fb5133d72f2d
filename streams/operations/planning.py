"""Plan a switch of a running prefix: every account as it is at one position of its partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.agents.batch import Batch
from resegment.agents.deciding.folding import begins_at_its_beginning
from resegment.agents.deciding.merging import FoldedFacts
from resegment.errors import UserError
from resegment.routing.policy import Policy, mode_of
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.opening import open_known
from resegment.schemas.state import AccountState
from resegment.schemas.times import format_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.planning.drift import News
from resegment.segmentation.planning.plan import EnrollmentForecast, Folding, PartitionInstant, Plan
from resegment.segmentation.planning.planner import PlannedSwitch, Planner
from resegment.segmentation.planning.switch import describe_folding, plan_switch
from resegment.segmentation.versions.era import Era
from resegment.segmentation.versions.timeline import Timeline, fold_into
from resegment.state.partition_store import Position
from resegment.state.redis.reader import BrokenState, PrefixReader
from resegment.streams.ahead import AheadRecords, leave_out
from resegment.streams.definitions.policies import VersionPolicies
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.runtime import DefinitionRuntime
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.enrollment_forecast import EnrollmentForecaster
from resegment.streams.operations.judging import JudgingPool, judging_pool
from resegment.streams.operations.snapshot import Snapshot, read_snapshot
from resegment.streams.prefix import ROUTING, read_lists

if TYPE_CHECKING:
    from redis.asyncio import Redis

Route = str | tuple[str, ...]
Progress = Callable[[int], None]
Count = Callable[[str, int], Progress]

ROUTES: Final[tuple[Route, ...]] = ("none", "new-only", "all")
SLICE: Final = 1_000
"""Accounts whose routing is read at once."""
FOLDED_AT_ONCE: Final = 100_000
"""Records whose facts are held before they are folded: an account is indexed once for all of them."""
FOLDED_A_SECOND: Final = 15_000
"""Records of the log that workers fold in a second, roughly."""


class InThePast(UserError):
    """A switch cannot be planned for an instant that a partition has passed."""

    def __init__(self, at: str) -> None:
        super().__init__(
            f"{at} is in the past: some partition has decided later facts",
            remedy="Give a later time, or leave --at out for now.",
        )
        self.at = at


@dataclass(frozen=True, slots=True)
class PlannedPrefix:
    """A running prefix, its versions, and how to read it."""

    client: Redis
    reader: PrefixReader
    registry: DefinitionRegistry
    held: Mapping[str, str]
    """The record of the prefix."""
    topics: Topics
    bootstrap: str
    security: Mapping[str, Any]
    ahead: AheadRecords | None
    facts_per_test: int
    forks: bool = True
    """Whether this process may be forked to judge accounts on all cores: a server may not."""

    @property
    def on_facts(self) -> bool:
        """Whether the prefix runs on the clock of the facts."""
        return self.held.get("clock") == "facts"

    def has_log(self, position: Position) -> bool:
        """Return whether the log begins where the partition did."""
        return begins_at_its_beginning(position)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be planned: by default, the switch happens now and `moved` is what the definition says.

    A rollback `goes_back_to` a version, and takes back those from `rollback_of` on.
    """

    definition: Definition
    route: Route = "none"
    at: int | None = None
    moved: Mapping[str, str] | None = None
    rollback_of: int | None = None
    lists: Mapping[str, Collection[str]] | None = None
    """The accounts of the suppressions that are lists, by name; None: those that workers read last."""
    goes_back_to: int | None = None


async def plan_live(prefix: PlannedPrefix, wish: Wish, *, news: News | None = None, count: Count) -> Plan:
    """Return the plan of a switch. `news` notes what changed since an earlier plan, `count` shows progress.

    Raises InThePast, StoreUnavailable, TopicUnreadable, BrokenState, and what compiling the versions raises.
    """
    registry = prefix.registry
    number = registry.definitions.current
    new = DefinitionRuntime.build(
        wish.definition, prefix.topics, facts_per_test=prefix.facts_per_test, controls=registry.controls
    )
    old = registry.current
    switch = plan_switch(
        old.definition,
        new.definition,
        base=number,
        moved=wish.moved,
        route=wish.route,
        rollback_of=wish.rollback_of,
        goes_back_to=wish.goes_back_to,
    )
    run = _Run(prefix, wish, switch, old, new, news)
    return await run.plan(count)


class _Run:
    """One plan in the making."""

    def __init__(
        self,
        prefix: PlannedPrefix,
        wish: Wish,
        switch: PlannedSwitch,
        old: DefinitionRuntime,
        new: DefinitionRuntime,
        news: News | None,
    ) -> None:
        self._prefix, self._wish, self._switch = prefix, wish, switch
        self._old, self._new = old, new
        self._forgotten = False
        definitions = prefix.registry.definitions
        self._number = max(definitions.newest, definitions.current) + 1
        self._earliest = definitions.standing[-1].at + 1 if definitions.standing else 0
        """The instant (ms) after the latest switch, which may still have to come."""
        self._present = prefix.registry.timeline.retaining(Retention(new.engine.program))
        self._planner = Planner(
            switch,
            present=self._present,
            planned=self._plan_at,
            engines=(old.engine, new.engine),
            news=news,
        )

    def _plan_at(self, at: int) -> Timeline:
        moved = self._wish.definition.moved if self._wish.moved is None else self._wish.moved
        switch = self._switch
        era = Era(
            number=self._number,
            at=at,
            engine=self._new.engine,
            moved=moved,
            judges=switch.judges,
            rollback_of=self._wish.rollback_of,
            gates_only=switch.changes == "gates",
            folds_in=bool(switch.needs),
        )
        return self._present.extend(era)

    async def plan(self, count: Count) -> Plan:
        reader, switch = self._prefix.reader, self._switch
        looks = await reader.look()
        total = sum(one.accounts for one in looks)
        positions = {one.number: one.position for one in looks if one.position is not None}
        least = max(self._earliest, *(one.clock + 1 for one in positions.values()), 1)
        if not switch.judges:
            offsets = [
                PartitionInstant(number=number, offset=one.offset, clock=one.clock, digest="")
                for number, one in positions.items()
            ]
            self._planner.skip(await self._choose_instant(least))
            return self._planner.finish(
                accounts=total,
                partitions=offsets,
                folding=self._fold(offsets),
                enrollments=await self._forecast() if self._new.policy.concerns(self._old.policy) else (),
                warnings=list(self._warn()),
            )
        read, judge = count("reading accounts", total), count("judging accounts", total)
        partitions = []
        with judging_pool(self._planner, total, forks=self._prefix.forks) as pool:
            for number in range(reader.partitions):
                snapshot = await read_snapshot(
                    reader,
                    number,
                    bootstrap=self._prefix.bootstrap,
                    topics=self._prefix.topics,
                    security=self._prefix.security,
                    progress=read,
                )
                if snapshot is not None:
                    await self._judge(pool, snapshot, await self._choose_instant(least, snapshot), judge)
                    partitions.append(self._instant_of(snapshot))
        return self._planner.finish(
            enrollments=await self._forecast(),
            folding=self._fold(partitions),
            partitions=partitions,
            warnings=list(self._warn()),
        )

    def _warn(self) -> Iterator[str]:
        """Yield what may make the counts wrong."""
        one = self._prefix.registry.definitions.open
        if one is not None and one.kind == "switch":
            yield f"the apply of version {one.version} is under way: plan again when it is done"
        if self._forgotten:
            yield (
                "facts that the new version reads cannot be folded in, because the embedded broker has forgotten what "
                "came before its last start: `resegment apply` would be refused, and the counts lack those facts"
            )

    async def _choose_instant(self, least: int, snapshot: Snapshot | None = None) -> int:
        """Return when the switch is planned in a partition. The wall clock does not stand still while others are read."""
        passed = least if snapshot is None else max(self._earliest, snapshot.position.clock + 1)
        wanted = self._wish.at
        if wanted is not None:
            if wanted < passed:
                raise InThePast(format_instant(wanted))
            return wanted
        return max(passed, least if self._prefix.on_facts else await self._prefix.reader.now())

    async def _judge(self, pool: JudgingPool, snapshot: Snapshot, at: int, progress: Progress) -> None:
        folded: Mapping[str, AccountState] = {}
        if self._switch.needs:
            self._forgotten |= not self._prefix.has_log(snapshot.position)
            folded = await self._fold_in(snapshot)
        try:
            await pool.judge(snapshot, at, folded, progress)
        except msgspec.DecodeError as error:
            raise BrokenState(f"an account of partition {snapshot.number}", str(error)) from error

    async def _fold_in(self, snapshot: Snapshot) -> dict[str, AccountState]:
        """Return the facts of each account in the log, with all that the new version reads of them."""
        prefix, engine = self._prefix, self._new.engine
        topic, receive = prefix.topics.signals.name, prefix.registry.timeline.receive
        folded: dict[str, AccountState] = {}
        taken: list[tuple[int, Fact]] = []

        async def fold() -> None:
            waiting: dict[str, list[tuple[int, list[Fact]]]] = {}
            for known, fact in await open_known(prefix.registry.keys, taken):
                waiting.setdefault(fact.account, []).append((known, [receive(fact)]))
            for name, groups in waiting.items():
                folded[name] = fold_into(engine, name, folded.get(name), groups)
            taken.clear()

        facts = FoldedFacts()
        clock = read = 0
        async with reading(prefix.bootstrap, topic, [snapshot.number], security=prefix.security) as log:
            async for records in log.between(snapshot.number, log.oldest, snapshot.position.offset):
                for record in await leave_out(prefix.ahead, Batch(topic, snapshot.number, records)):
                    clock = max(clock, record.timestamp)
                    fact = facts.take(record, clock)
                    if fact is not None:
                        taken.append((clock, fact))
                    elif facts.dropped:  # what was known of forgotten accounts
                        taken[:] = [one for one in taken if one[1].account not in facts.dropped]
                        for name in facts.dropped:
                            folded.pop(name, None)
                        facts.dropped.clear()
                read += len(records)
                if read >= FOLDED_AT_ONCE:
                    await fold()
                    read = 0
        taken += [(known, fact) for _, known, fact in facts.rest()]
        await fold()
        for name in facts.closed:
            folded.pop(name, None)
        return folded

    def _instant_of(self, snapshot: Snapshot) -> PartitionInstant:
        position = snapshot.position
        return PartitionInstant(
            number=snapshot.number,
            offset=position.offset,
            clock=position.clock,
            digest=self._planner.digest(snapshot.number),
            latest=self._planner.latest(snapshot.number),
        )

    def _fold(self, partitions: Sequence[PartitionInstant]) -> Folding | None:
        records = sum(one.offset for one in partitions)
        return describe_folding(self._switch, records, records / FOLDED_A_SECOND)

    async def _forecast(self) -> Sequence[EnrollmentForecast]:
        prefix, wish = self._prefix, self._wish
        controls = prefix.registry.controls
        controls.mode = mode_of(prefix.held.get(ROUTING))
        kept = await read_lists(prefix.client, prefix.reader.prefix)
        controls.lists = {name: one.accounts for name, one in kept.items()} | dict(wish.lists or {})
        before: Policy = self._old.policy
        routes = [*ROUTES, *([wish.route] if wish.route not in ROUTES else [])]
        forecaster = EnrollmentForecaster(
            VersionPolicies(prefix.registry, unread_for=0),
            before=before,
            after=self._new.policy,
            number=self._number,
            at=self._planner.at,
            routes=routes,
            rollback_of=wish.rollback_of,
        )
        told = self._planner.told
        for start in range(0, len(told), SLICE):
            some = told[start : start + SLICE]
            states = await prefix.reader.routed([one.account for one in some])
            for one, state in zip(some, states, strict=True):
                decision = one.change or one.gate_change
                if decision is not None:
                    forecaster.take(one.account, decision, state)
        if self._new.policy.concerns(before):
            seen = {one.account for one in told}
            async for batch in prefix.reader.routings():
                for name, routed in batch:
                    if name not in seen:
                        forecaster.look_again(name, routed)
        return forecaster.forecasts()
