"""A replay of real companies under faults, and the figures that an oracle gives of its end."""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
import uuid
from asyncio.subprocess import Process
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from resegment.agents.batch import Batch, Message, PublishFailed, RecordedMessage, is_readable
from resegment.agents.deciding.versions import one_version
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.settings import Settings
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.client import connect_redis
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.ingest import in_order, send_live, send_replay
from resegment.streams.worker.loops.worker_clock import host_clock
from tests import companies
from tests.builders import Move, Published, Routing, moves, net_moves, ticking
from tests.builders import signal as signal_record

ROOT = Path(__file__).parents[2]
WORKER = (str(Path(__file__).with_name("faulty_worker.py")),)
COMMAND = ("-m", "resegment", "worker")
"""The worker as it is delivered, which fails nowhere by itself."""
PATIENCE = float(os.environ.get("PATIENCE", "180"))
PARTITIONS = 4
ONE_IN = 20
POISONED = b"poisoned.example"
"""The key of what a test sends that is none of ours."""
RATE = 250.0
"""Events a second: slow enough that a fault meets work."""

_apply: Callable[[dict[str, Any], dict[str, Any], Any], None] = runpy.run_path(
    str(ROOT / "docs" / "contracts" / "consumer.py")
)["apply"]


@dataclass
class Figures:
    """What the oracle found; every one must be 0."""

    lost: int = 0
    wrong_state: int = 0
    missing: int = 0
    unexpected: int = 0
    doubled: int = 0
    gaps: int = 0
    outbox: int = 0
    lag: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def counts(self) -> list[int]:
        return [getattr(self, one.name) for one in fields(self) if one.name != "examples"]

    def add(self, other: Figures) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def note(self, name: str, found: Sequence[object] | set[Any]) -> None:
        setattr(self, name, getattr(self, name) + len(found))
        self.examples += [f"{name}: {one!r}"[:400] for one in list(found)[:3]]


class Paced(KafkaPublisher):
    """A source: sends at a rate, and sends again what was not acknowledged, as sources must."""

    rate = RATE
    sent = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        step = max(1, int(self.rate / 10))
        for start in range(0, len(messages), step):
            while True:
                try:
                    await super().publish(messages[start : start + step])
                    break
                except PublishFailed:
                    await asyncio.sleep(0.2)
            self.sent += step
            await asyncio.sleep(step / self.rate)


@dataclass
class Scenario:
    """One prefix of its own, its workers, and what befell them."""

    kafka: str
    redis: str
    folder: Path
    settings: dict[str, object]
    prefix: str = field(default_factory=lambda: f"f{uuid.uuid4().hex[:8]}")
    one_in: int = ONE_IN
    worker: Sequence[str] = WORKER
    tree: Path | None = None
    """The checkout whose code the workers run that are started from now on; None: this one."""
    live: list[Process] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)
    frozen: bool = False

    def __post_init__(self) -> None:
        self.topics = Topics(self.prefix)
        if "+" in self.redis:
            self.client = connect_redis(Settings(), self.redis)
        else:
            self.client = Redis.from_url(self.redis, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self.reader = PrefixReader(self.client, self.prefix, PARTITIONS)
        self._logs: list[Path] = []

    # Workers

    async def start(self, faults: str = "", *, wait: bool = True) -> Process:
        """Start one worker, with faults planned."""
        given = {
            "kafka": self.kafka,
            "redis": self.redis,
            "prefix": self.prefix,
            "partitions": PARTITIONS,
            "clock": "facts",
            "route": "all",
            "segments": companies.SEGMENTS,
            "chunk": 50,
            "session_timeout": 2,
            "http_port": 0,
            **self.settings,
        }
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RESEGMENT_")}
        environment |= {f"RESEGMENT_{name.upper()}": str(value) for name, value in given.items()}
        if self.tree is not None:
            environment["PYTHONPATH"] = str(self.tree)
        log = self.folder / f"{self.prefix}-{len(self._logs)}.log"
        self._logs.append(log)
        with log.open("wb") as out:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", *self.worker),
                stdout=out,
                stderr=out,
                env=environment | {"FAULTS": faults, "PYTHONDONTWRITEBYTECODE": "1"},
                cwd=self.folder,
            )
        self.live.append(worker)
        if wait:
            async with asyncio.timeout(PATIENCE):
                while "The worker is running" not in log.read_text() and worker.returncode is None:
                    await asyncio.sleep(0.05)
        return worker

    async def stop(self, worker: Process) -> int:
        """SIGTERM; the seconds are looked at by who asks."""
        self.live.remove(worker)
        with suppress(ProcessLookupError):
            worker.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(worker.wait(), PATIENCE)

    async def kill(self, worker: Process) -> None:
        self.live.remove(worker)
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
        self.deaths[-9] += 1

    async def tend(self) -> None:
        """What supervisors do: start anew what has ended."""
        for worker in [one for one in self.live if one.returncode is not None]:
            self.live.remove(worker)
            assert worker.returncode is not None
            self.deaths[worker.returncode] += 1
            assert self.deaths.total() < 50, f"workers die again and again:\n{self._last_words()}"
            await self.start()

    async def command(self, *words: str, ok: bool = True) -> str:
        """Run the command line on this prefix, and return what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RESEGMENT_")}
        given = {"kafka": self.kafka, "redis": self.redis, "prefix": self.prefix, "clock": "facts"}
        given |= {"partitions": str(PARTITIONS), "segments": str(companies.SEGMENTS)}
        given |= {name: str(value) for name, value in self.settings.items()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "resegment", *words),
            env=environment | {f"RESEGMENT_{name.upper()}": value for name, value in given.items()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert not ok or process.returncode == 0, output.decode()
        return output.decode()

    def said(self, text: str) -> int:
        """How often the workers said it."""
        return sum(log.read_text(errors="replace").count(text) for log in self._logs)

    @property
    def fenced(self) -> int:
        return self.said("is another worker's now")

    @property
    def rolled_back(self) -> int:
        return self.said("is not the one that was written last")

    # Work

    @asynccontextmanager
    async def source(self, rate: float = RATE) -> AsyncIterator[Paced]:
        async with Paced(self.kafka, timeout=5.0) as publisher:
            publisher.rate = rate
            yield publisher

    async def send(self, rate: float = RATE) -> None:
        """The whole replay, at a rate."""
        async with self.source(rate) as publisher:
            await send_replay(
                companies.events(self.one_in),
                publisher,
                self.topics,
                partitions=PARTITIONS,
                until=companies.UNTIL,
            )

    async def until(self, holds: Callable[[], Awaitable[bool]], patience: float = PATIENCE) -> None:
        """Wait until it holds, starting anew whatever worker has ended meanwhile."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    with suppress(StoreUnavailable, KafkaError, TopicUnreadable, ConnectionError):
                        if await holds():
                            return
                    await self.tend()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {patience:.0f} s:\n{self._last_words()}") from None

    def _last_words(self) -> str:
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')[-1500:]}" for log in self._logs[-3:])

    async def done(self) -> int:
        return sum(one.position.offset for one in await self.reader.look() if one.position is not None)

    async def reached(self, mark: int) -> None:
        """Wait until so many signals are committed."""

        async def enough() -> bool:
            return await self.done() >= mark

        await self.until(enough)

    async def drained(self) -> None:
        """Clocks at the end, nothing due, nothing waiting, and nothing left to read by the group's own offsets."""

        async def at_end() -> bool:
            looks = await self.reader.look()
            return (
                all(one.position is not None and not one.outbox and not one.due for one in looks)
                and (
                    self.settings.get("clock") == "wall"
                    or all(
                        one.position is not None and one.position.clock == companies.UNTIL for one in looks
                    )
                )
                and await self.lag() == 0
            )

        await self.until(at_end)

    async def lag(self) -> int:
        """Records that the group has not committed, of all that it reads."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka, request_timeout_ms=5_000)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, request_timeout_ms=5_000)
        try:
            await admin.start()
            await consumer.start()
            held = await admin.list_consumer_group_offsets(self.prefix)
            names = [one.name for one in self.topics if one.name in (self._in_use | self._triggers)]
            wanted = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
            ends = await consumer.end_offsets(wanted)
            return sum(max(0, end - max(0, held[tp].offset if tp in held else 0)) for tp, end in ends.items())
        finally:
            await admin.close()
            await consumer.stop()

    @property
    def _in_use(self) -> set[str]:
        return {
            self.topics.signals.name,
            self.topics.segment_changes.name,
            self.topics.routing_events.name,
        }

    @property
    def _triggers(self) -> set[str]:
        if self.settings.get("clock") == "wall":
            return {one.name for one in self.topics.triggers} - {self.topics.replay.name}
        return {self.topics.replay.name}

    async def records(self, topic: str) -> list[Any]:
        async with reading(self.kafka, topic) as reader:
            return [record async for records in reader.to_end() for record in records]

    async def finish(self) -> None:
        """Stop all cleanly."""
        for worker in list(self.live):
            code = await self.stop(worker)
            assert code == 0, f"a clean stop ended with {code}"

    async def clear(self) -> None:
        """Delete the topics: a broker with thousands of partitions takes a minute to come back."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka, request_timeout_ms=5_000)
        with suppress(KafkaError):
            try:
                await admin.start()
                await admin.delete_topics([one.name for one in self.topics])
            finally:
                await admin.close()

    # The oracle

    async def judge(self, *, oracle: str = "backtest") -> Figures:
        """Hold the end against the oracle: the backtest, or a replay of the log where a clock on the wall decides."""
        figures = Figures()
        values = [
            record.value
            for record in await self.records(self.topics.segment_changes.name)
            if record.key != POISONED and is_readable(record)
        ]
        self._judge_changes(figures, values)
        if oracle == "backtest":
            wanted_moves, wanted_states = companies.expected(self.one_in), await oracle_states(self.one_in)
        else:
            wanted_moves, wanted_states = await self._replay_log()
        given = net_moves(values)
        figures.note("missing", list((Counter(wanted_moves) - Counter(given)).elements()))
        figures.note("unexpected", list((Counter(given) - Counter(wanted_moves)).elements()))
        await self._judge_states(figures, wanted_states, values, check_log=oracle != "backtest")
        await self._judge_commands(figures, values)
        looks = await self.reader.look()
        figures.outbox = sum(one.outbox for one in looks) + await self.routing_outbox()
        figures.lag = await self.lag()
        return figures

    async def routing_outbox(self) -> int:
        """Commits of the router that wait to be published."""
        keys = [PartitionKeys.of(self.prefix, number, "router").outbox for number in range(PARTITIONS)]
        return sum([await self.client.xlen(key) for key in keys])

    def _judge_changes(self, figures: Figures, values: Sequence[bytes]) -> dict[str, Any]:
        unique: dict[str, Any] = {}
        numbers: defaultdict[str, list[int]] = defaultdict(list)
        for event in map(orjson.loads, values):
            known = unique.setdefault(event["id"], event)
            if known is event:
                numbers[event["data"]["account"]].append(event["data"]["sequence_number"])
            elif _lasting(known) != _lasting(event):
                figures.note("doubled", [(known, event)])
        for account, seen in numbers.items():
            if len(seen) != len(set(seen)):
                figures.note("doubled", [("one number, two changes", account, seen)])
            if seen != list(range(1, len(seen) + 1)):  # a later one that comes first hides the earlier
                figures.note("gaps", [(account, seen)])
        return unique

    async def _judge_states(
        self, figures: Figures, wanted: dict[str, AccountState], values: Sequence[bytes], *, check_log: bool
    ) -> None:
        found: dict[str, AccountState] = {}
        async for batch in self.reader.places():
            names = [place.account for place in batch]
            states = await self.reader.states(names)
            found |= {name: state for name, state in zip(names, states, strict=True) if state is not None}
        wrong = [
            (name, _standing(wanted.get(name)), _standing(found.get(name)))
            for name in wanted.keys() | found.keys()
            if _standing(wanted.get(name)) != _standing(found.get(name))
        ]
        figures.note("wrong_state", wrong)
        table: dict[str, tuple[str, int]] = {}
        for event in map(orjson.loads, values):
            _apply(table, {}, event)
        differs = [
            (name, table.get(name), state.membership.segment, state.sequence)
            for name, state in found.items()
            if table.get(name) != (state.membership.segment, state.sequence)
        ]
        figures.note("wrong_state", differs)
        if check_log:
            logged = {
                (fact.account, fact.source, fact.id)
                for record in await self.records(self.topics.signals.name)
                if record.value is not None and record.key != POISONED and is_readable(record)
                for fact in [decode_fact(record.value)]
            }
            sent = {(fact.account, fact.source, fact.id) for fact, _ in companies.events(self.one_in)}
            figures.note("lost", sent - logged)
        else:
            kept = {
                name: {(entry.source, entry.id) for entry in state.entries} for name, state in found.items()
            }
            figures.note(
                "lost",
                [
                    (name, entry.id)
                    for name, state in wanted.items()
                    for entry in state.entries
                    if (entry.source, entry.id) not in kept.get(name, ())
                ],
            )

    async def _judge_commands(self, figures: Figures, values: Sequence[bytes]) -> None:
        rig = Routing(companies.definition(), now=None)
        await rig.take()
        wanted: set[str] = set()
        for start in range(0, len(values), 500):
            wanted |= {one["idempotency_key"] for one in await rig.follow(*values[start : start + 500])}
        bodies: dict[str, Any] = {}
        for record in await self.records(self.topics.workflow_commands.name):
            event = orjson.loads(record.value)
            event["data"].pop("touched_at", None)  # follows the clock of the decision, as `decided_at` does
            known = bodies.setdefault(event["id"], event)
            if known != event:
                figures.note("doubled", [("one key, two commands", known, event)])
        figures.note("doubled", bodies.keys() - wanted)
        figures.note("missing", wanted - bodies.keys())

    async def _replay_log(self) -> tuple[list[Move], dict[str, AccountState]]:
        changes: list[SegmentChange] = []
        states: dict[str, AccountState] = {}
        everything = await self.records(self.topics.signals.name)
        for number in range(PARTITIONS):
            mine = [record for record in everything if record.partition == number]
            some, others = await _replayed(mine)
            changes += some
            states |= others
        return moves(net_changes(changes)), states


def _lasting(event: Any) -> Any:
    """An event without the partition's clock at its decision, which says how far the batch went, not what it decided."""
    return {**event, "data": {**event["data"], "decided_at": None}}


def _standing(state: AccountState | None) -> object:
    if state is None:
        return None
    entries = sorted(state.entries, key=lambda entry: (entry.source, entry.id))
    return entries, state.membership, state.deadline


async def _replayed(records: Sequence[Any]) -> tuple[list[SegmentChange], dict[str, AccountState]]:
    memory = Memory()
    versions = one_version(Engine(Program(companies.definition())))
    owned = OwnedPartition(0, MemoryStore(memory, 0), versions)
    await owned.take("oracle")
    changes: list[SegmentChange] = []
    for start in range(0, len(records), 500):
        batch = Batch("signals", 0, records[start : start + 500])
        done = await segment(
            batch,
            owned,
            versions,
            publisher=Published(),
            factory=None,
            dead_letters="dead-letters",
            ahead={one.offset for one in batch.records if one.timestamp > host_clock() + 3_600_000},
        )
        changes += done.changes
        while owned.due:
            changes += await decide_due(owned, versions, factory=None)
    return changes, {name: decode_state(value) for name, value in memory.accounts.items()}


_oracles: dict[int, dict[str, AccountState]] = {}


async def oracle_states(one_in: int) -> dict[str, AccountState]:
    """Each account's state after the whole history, read in order, without a fault."""
    if one_in not in _oracles:
        ordered: list[Fact] = [fact for fact, _ in in_order(companies.events(one_in))]
        records: list[RecordedMessage] = [signal_record(offset, fact) for offset, fact in enumerate(ordered)]
        records.append(ticking(len(records), companies.UNTIL))
        _, _oracles[one_in] = await _replayed(records)
    return _oracles[one_in]


async def send_wall(scenario: Scenario, events: Sequence[tuple[Fact, bytes]], rate: float = RATE) -> None:
    async with scenario.source(rate) as publisher:
        await send_live(events, publisher, scenario.topics)
