"""A prefix in memory, for pages: accounts are replayed from events, and the index is filled as from the topics."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from resegment.errors import UserError
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.report import Report
from resegment.routing.staffing.lines import Turn
from resegment.schemas.definitions.records import Apply, Discarded, Prepare, Stands
from resegment.schemas.fact import Fact
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.routing import RoutedState, decode_routed
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery, replay_account
from resegment.segmentation.planning.shadow import ShadowComparison, ShadowReport
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.partition_store import Position
from resegment.state.redis.reader import PartitionLook
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.heartbeat import WorkerLook
from resegment.streams.kafka.topics import Topics
from resegment.streams.live.account import AccountView, UnknownAccount, find_aliases, resolve
from resegment.streams.live.decoding import Enrolled, decode_change, decode_command, find_enrolled, find_name
from resegment.streams.live.index import Index, Progress
from resegment.streams.live.sampling import Sample, TestCount, qualified_by
from resegment.streams.live.shadow import ShadowedAccount, ShadowLook, ShadowWatch
from resegment.streams.message_factory import MessageFactory
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.definition_status import DefinitionLook
from resegment.streams.operations.overview import Overview
from resegment.streams.operations.planning import Count
from resegment.streams.operations.shadow import find_shadow
from resegment.streams.outcomes.live import known_until
from resegment.streams.recovery.point_in_time import relearn
from tests.builders import Routing, registry_of

T = TypeVar("T")


class PrefixInMemory:
    """See `resegment.http.console.prefix.ConsolePrefix`. One partition, on the wall clock."""

    def __init__(self, definition: Definition, *others: Definition, now: int) -> None:
        self.name = "try"
        self.at = now
        self.definition = definition
        self._registry = registry_of(definition, *others)
        self.engine = Engine(Program(definition))
        self.index = Index()
        self.progress = Progress(accounts_done=True, done={"changes", "commands"})
        self.facts: dict[str, list[Fact]] = {}
        self.routing = Routing(definition)
        self.routed: dict[str, RoutedState] = {}
        """What the router has of accounts, where a test says so."""
        self.turns: dict[str, Turn] = {}
        """When it is the turn of accounts that wait in a line."""
        self.offset = 0
        self.held: dict[str, str] = {}
        """The record of the prefix."""
        self.failure: Exception | None = None
        self.dataset = Dataset.of([])
        self.ledger: list[LedgerItem] = []
        """What accounts are shown at another time from."""
        self.told: dict[str, Any] = {}
        """What `overview` says otherwise."""
        self._news = asyncio.Event()
        self._shadow = ShadowWatch(self._compare_shadow, self._start)
        self._tasks: set[asyncio.Task[None]] = set()
        self.behind = 0
        """How many records the shadow has not judged."""
        self.unjudged: set[str] = set()
        """Accounts that the shadow has not judged."""
        self.comparing = asyncio.Event()
        """Comparisons wait for it."""
        self.compares = asyncio.Event()
        """Set once a comparison has begun."""
        self.comparing.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def add(self, facts: Iterable[Fact]) -> None:
        """Take facts of accounts that are new."""
        factory = MessageFactory(self.definition, Topics())
        await self.routing.take()
        for name, some in by_account(facts).items():
            self.facts[name] = order_of_delivery(some)
            account, changes = replay_account(self.engine, name, self.facts[name], self.at)
            state = account.state
            row = (name, find_name(state), state.membership.segment, state.membership.entered)
            await self.index.put_accounts([row])
            values = [factory.change(one).value or b"" for one in changes]
            await self.publish(*values)
            commands = await self.routing.follow(*values)
            await self.index.put_enrolled([self._enrolled(name)])
            for number, data in enumerate(commands):
                event = {"id": f"{name}-{number}", "time": changes[-1].effective_at, "data": data}
                await self._command(event)

    def _enrolled(self, name: str) -> Enrolled:
        return find_enrolled(name, self._routed(name))

    async def publish(self, *changes: bytes) -> None:
        """Let changes come, as from their topic."""
        decoded = []
        for value in changes:
            decoded.append(decode_change((0, self.offset), value))
            self.offset += 1
        await self.index.add_changes([one for one in decoded if one is not None])
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _command(self, event: Any) -> None:
        import orjson  # noqa: PLC0415

        from resegment.schemas.times import format_instant  # noqa: PLC0415

        found = decode_command((0, 0), orjson.dumps(event | {"time": format_instant(event["time"])}))
        if found is not None:
            await self.index.add_commands([found])

    async def registry(self) -> DefinitionRegistry:
        return self._registry

    async def now(self) -> int:
        return self.at

    async def find(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self.failure is not None:
            raise self.failure
        return await self.index.read(query)

    async def wait_for_changes(self, patience: float) -> None:
        news = self._news
        try:
            async with asyncio.timeout(patience):
                await news.wait()
        except TimeoutError:
            return

    async def identify(self, text: str) -> str | None:
        name = resolve(text, self.held)
        return name if name in self.facts else None

    async def aliases(self, text: str = "", account: str | None = None) -> list[tuple[str, str]]:
        return find_aliases(self.held, text, account)

    async def account(self, name: str, at: int | None) -> AccountView:
        if name not in self.facts:
            raise UnknownAccount(name, at)
        wanted = self.at if at is None else at
        account, _ = replay_account(self.engine, name, self.facts[name], wanted)
        if account.state.membership.segment is None:
            raise UnknownAccount(name, wanted)
        version = self._registry.definitions.version(1)
        stored = account.state.membership.segment
        return AccountView(
            self.engine, account, wanted, self.at, 1, version.fingerprint, self._routed(name), stored, self.turns.get(name)
        )  # fmt: skip

    def _routed(self, name: str) -> RoutedState | None:
        if name in self.routed:
            return self.routed[name]
        value = self.routing.memory.accounts.get(name)
        return None if value is None else decode_routed(value)

    def begin_shadow(self, version: int, at: int) -> None:
        """Judge a version beside the one in force from an instant (ms) on."""
        apply = Apply(id=f"shadow-{version}", version=version, base=1, at=at, kind="shadow")
        prepare = Prepare(apply=apply.id, version=version, base=1, at=at, kind="shadow")
        for one in (prepare, apply, Stands(apply=apply.id)):
            self._registry.definitions.take(msgspec.json.encode(one))

    def end_shadow(self, at: int = 0) -> None:
        """Discard the shadow, at an instant (ms)."""
        shadow = find_shadow(self._registry)
        self._registry.definitions.take(msgspec.json.encode(Discarded(apply=shadow.apply.id, at=at)))

    def forget(self, account: str, *, person: bool = False) -> None:
        """Tell the shadow's comparison what is forgotten, as the follower of the index does."""
        self._shadow.forget(account, person)

    async def shadow(self, patience: float) -> ShadowLook | None:
        return await self._shadow.look(self._registry, patience)

    async def _compare_shadow(self, count: Count) -> ShadowReport:
        self.compares.set()
        await self.comparing.wait()
        shadow = find_shadow(self._registry)
        live, other = self._registry.current, self._registry.runtime(shadow.apply.version)
        comparison = ShadowComparison((self._registry.timeline, shadow.timeline), (live.engine, other.engine))
        comparison.begin(self.at)
        progress = count("comparing partitions", 1)
        for name in self.facts:
            comparison.take(
                name,
                *(one.encode(self._relearn(one, name)) for one in (self._registry.timeline, shadow.timeline)),
            )
        progress(1)
        return comparison.finish(version=shadow.apply.version, base=1, since=shadow.apply.at, differences=())

    def _relearn(self, timeline: Timeline, name: str) -> Account:
        known = [(one.recorded, [timeline.receive(one)], []) for one in self.facts[name]]
        return relearn(timeline, name, known, self.at)

    async def shadowed_account(self, name: str, at: int) -> ShadowedAccount | None:
        if self._registry.definitions.shadow is None:
            return None
        shadow = find_shadow(self._registry)
        engine = self._registry.runtime(shadow.apply.version).engine
        if name in self.unjudged:
            return ShadowedAccount(shadow.apply.version, engine, at, None)
        account = self._relearn(shadow.timeline, name)
        engine.evaluate(account, at)
        return ShadowedAccount(shadow.apply.version, engine, at, account, self.behind)

    async def sample(self) -> Sample:
        found: dict[Any, Counter[bool | None]] = {part: Counter() for part in self.engine.program.conditions}
        qualify: Counter[str] = Counter()
        for name, facts in self.facts.items():
            account, _ = replay_account(self.engine, name, facts, self.at)
            self.engine.evaluate(account, self.at)
            qualify.update(qualified_by(self.engine.program)(account.values))
            for part, number in self.engine.program.conditions.items():
                found[part][account.values[number]] += 1
        counts = {part: TestCount(one[True], one[False], one[None]) for part, one in found.items()}
        return Sample(len(self.facts), self.at, 1, counts, qualify)

    async def outcomes(self, by: By) -> Report:
        from resegment.outcomes.measuring.measure import measure  # noqa: PLC0415

        until = datetime.fromtimestamp(self.at / 1000, UTC)
        return measure(self.dataset, MeasureOptions(until=until, by=by))

    async def account_outcomes(self, name: str, until: int | None = None) -> Dataset:
        if until is None:
            return self.dataset.of_account(name, {})
        return Dataset.of(known_until(self.ledger, until)).of_account(name, {})

    async def overview(self) -> Overview:
        if self.failure is not None:
            raise self.failure
        sizes: Counter[str] = Counter()
        for name, facts in self.facts.items():
            account, _ = replay_account(self.engine, name, facts, self.at)
            sizes[account.state.membership.segment or ""] += 1
        position = Position(offset=1, clock=self.at - 2_000)
        look = PartitionLook(0, position, len(self.facts), sizes, 0, None, 0, 0, None)
        worker = WorkerLook("worker-1", [0], {"signals": 0}, 500)
        return Overview(
            prefix=self.name,
            clock="wall",
            definition=self.definition.version,
            now=self.at,
            partitions=[look],
            **{
                "letters": DeadLetterCount(),
                "workers": [worker],
                "definitions": DefinitionLook(1, self._registry.definitions.newest),
                **self.told,
            },
        )

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.index.close()


class Refusal(UserError):
    """Something that a test makes fail."""

    def __init__(self) -> None:
        super().__init__("it was asked to fail", remedy="Ask for something else.")
