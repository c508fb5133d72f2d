"""What tests build their cases from: definitions, facts, records, and one partition with its agents around it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson
import pytest

from resegment.agents import segmenter
from resegment.agents.batch import Batch, Headers, Message, PublishFailed, RecordedMessage
from resegment.agents.deciding.versions import KnownVersions, one_version
from resegment.agents.enrolling.offering import offer_queued
from resegment.agents.partition import OwnedPartition
from resegment.agents.relay import relay
from resegment.agents.router import Routed, Router, handle_events, pass_time, route, route_due
from resegment.agents.segmenter import TICK, Segmented, decide_due, segment, set_aside
from resegment.routing.enrollment import EnrollmentMachine
from resegment.routing.policy import OnePolicy, Policies, Policy, RoutingControls
from resegment.schemas.change import SegmentChange
from resegment.schemas.definitions.in_force import decode_in_force
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.routing import Mode, RoutedState, RoutingEvent, decode_routed, encode_routing_event
from resegment.schemas.state import AccountState
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.state.account_cache import CacheBudget
from resegment.state.memory.owners import OwnerStore
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.events import read_fact

Json = Any
Move = tuple[str, str | None, str, int]
"""Account, from, to, effective_at: what a net change comes to."""

EVENT: Json = {
    "specversion": "1.0",
    "id": "1",
    "source": "crawler",
    "type": "gtm.funding.v1",
    "subject": "acme.com",
    "time": "2024-01-01T00:00:00Z",
    "data": {"round": "seed"},
}
"""A good event; tests change what they are about."""

replaces_methods = pytest.mark.skipif(
    not (segmenter.__file__ or "").endswith(".py"), reason="methods of a compiled class cannot be replaced"
)


def raw_event(**given: Json) -> bytes:
    """The bytes of `EVENT` with other attributes; those given as `...` are left out."""
    return orjson.dumps({name: value for name, value in {**EVENT, **given}.items() if value is not ...})


def definition_of(file: Json, files: Mapping[str, str] | None = None) -> Definition:
    """The definition of a file; `files` are the texts of those that `in_file` names, by their paths."""
    texts = files or {}

    def read(path: str) -> bytes:
        if path not in texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        return texts[path].encode()

    return read_definition([("segments.yaml", orjson.dumps(file))], read)


def registry_of(*definitions: Definition) -> DefinitionRegistry:
    """The registry of a prefix with these versions, the first of which is in force."""
    told = Definitions()
    for number, definition in enumerate(definitions, 1):
        chunks, version = to_records(definition, number, at=number)
        for one in (*chunks, version):
            told.take(msgspec.json.encode(one))
    return DefinitionRegistry(told, Topics(), facts_per_test=1_000)


def facts_of(events: Iterable[Json]) -> list[Fact]:
    return [read_fact(event) for event in events]


def signal(offset: int, fact: Fact, at: int | None = None) -> RecordedMessage:
    """The record of a fact, on the clock of the facts unless `at` is given."""
    return RecordedMessage(
        offset, fact.recorded if at is None else at, fact.account.encode(), encode_fact(fact)
    )


def signals(facts: Iterable[Fact], first: int = 0) -> list[RecordedMessage]:
    return [signal(offset, fact) for offset, fact in enumerate(facts, first)]


def ticking(offset: int, at: int) -> RecordedMessage:
    return RecordedMessage(offset, at, None, None, [(TICK, b"")])


def trigger(
    value: bytes | None,
    *,
    offset: int = 0,
    timestamp: int = 0,
    key: bytes | None = None,
    headers: Headers = (),
) -> Batch:
    return Batch("triggers.funding", 3, [RecordedMessage(offset, timestamp, key, value, headers)])


def moves(changes: Iterable[SegmentChange]) -> list[Move]:
    return sorted(
        ((one.account, one.from_, one.to, one.effective_at) for one in changes),
        key=lambda move: (move[3], move[0]),
    )


def net_moves(values: Iterable[bytes]) -> list[Move]:
    """What the events of changes come to, resends left out."""
    events = {event["id"]: event["data"] for event in map(orjson.loads, values)}
    void = {data["supersedes"] for data in events.values()}
    return sorted(
        (
            (data["account"], data["from"], data["to"], parse_instant(data["effective_at"]))
            for change, data in events.items()
            if change not in void and data["from"] != data["to"]
        ),
        key=lambda move: (move[3], move[0]),
    )


def data_of(message: Message) -> Json:
    """What the event of a message says."""
    return orjson.loads(message.value or b"")["data"]


class Published:
    """A `Publisher` that keeps what it is given; it fails as often as it is told to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failures = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise PublishFailed(sorted({one.topic for one in messages}), TimeoutError())
        self.messages += messages

    def to(self, topic: str) -> list[Message]:
        return [one for one in self.messages if one.topic == topic]


class Rig:
    """One partition of `signals` with its agents over a store in memory, as a worker composes them."""

    def __init__(
        self,
        file: Json,
        *,
        files: Mapping[str, str] | None = None,
        memory: Memory | None = None,
        log: str = "log",
        cache_bytes: int = 10**9,
        limits: Limits | None = None,
    ) -> None:
        definition = definition_of(file, files)
        self.engine = Engine(Program(definition, limits))
        self.versions: KnownVersions | DefinitionRegistry = one_version(self.engine)
        self.memory = memory or Memory()
        self.store = PartitionStore(self.memory, 0)
        self.owned = OwnedPartition(0, self.store, self.versions, budget=CacheBudget(cache_bytes))
        self.factory = MessageFactory(definition, Topics())
        self.published = Published()
        self.log = log
        self.changes: list[SegmentChange] = []
        self.results: list[Segmented] = []

    async def take(self) -> int:
        return await self.owned.take(self.log)

    async def set_aside(self, *records: RecordedMessage, fence: int | None = None) -> Segmented:
        """Set one batch aside as too slow."""
        return await set_aside(
            Batch("signals", 0, records),
            self.owned,
            self.versions,
            "slow",
            "too slow",
            publisher=self.published,
            factory=self.factory,
            dead_letters="dead-letters",
            fence=fence,
        )

    async def feed(self, *records: RecordedMessage) -> Segmented:
        """Segment one batch."""
        done = await segment(
            Batch("signals", 0, records),
            self.owned,
            self.versions,
            publisher=self.published,
            factory=self.factory,
            dead_letters="dead-letters",
        )
        self.changes += done.changes
        self.results.append(done)
        return done

    async def settle(self) -> int:
        """Decide whatever is due; return in how many slices."""
        slices = 0
        while self.owned.due:
            self.changes += await decide_due(self.owned, self.versions, factory=self.factory)
            slices += 1
        return slices

    async def deliver(self) -> None:
        """Publish all that waits."""
        while self.owned.outbox.entries:
            await relay(self.owned, publisher=self.published)

    @property
    def net(self) -> list[Move]:
        return moves(net_changes(self.changes))

    def state(self, account: str) -> AccountState:
        return decode_state(self.memory.accounts[account])

    def states(self) -> dict[str, AccountState]:
        """All stored states."""
        return {name: decode_state(value) for name, value in self.memory.accounts.items()}

    def standing(self) -> dict[str, bytes]:
        """What decides each account's future, whatever number of changes led to it."""
        encode = msgspec.msgpack.encode
        return {
            name: encode((one.entries, one.membership, one.deadline)) for name, one in self.states().items()
        }


class Routing:
    """One partition of `segment-changes` and of `routing-events` with the router over stores in memory."""

    def __init__(
        self,
        definition: Definition,
        *,
        mode: Mode = "all",
        memory: Memory | None = None,
        now: int | None = 0,
        policies: Policies | None = None,
    ) -> None:
        self.policy = Policy(definition, RoutingControls(mode=mode))
        self.memory = memory or Memory()
        self.owners = OwnerStore(clock=lambda: self.now or 0)
        self.published = Published()
        self.now = now
        """The wall clock, ms; None: time passes with the changes."""
        self.owned = OwnedPartition(
            0,
            PartitionStore(self.memory, 0),
            EnrollmentMachine(policies or OnePolicy(self.policy), live=now is not None),
        )
        clock = None if now is None else (lambda: self.now or 0)
        self.router = Router(
            self.owned.codec,
            self.owners,
            self.published,
            "workflow-commands",
            "dead-letters",
            clock,  # type: ignore[arg-type]
        )
        self.results: list[Routed] = []
        self._offsets = {"segment-changes": 0, "routing-events": 0}

    async def take(self) -> int:
        return await self.owned.take("log")

    def batch(self, topic: str, values: Iterable[bytes | None]) -> Batch:
        first = self._offsets[topic]
        records = [RecordedMessage(offset, 0, b"key", value) for offset, value in enumerate(values, first)]
        self._offsets[topic] += len(records)
        return Batch(topic, 0, records)

    async def follow(self, *changes: bytes) -> list[Json]:
        """Route a batch of changes; return the data of the commands that it made."""
        return await self._done(route(self.batch("segment-changes", changes), self.owned, self.router))

    async def tell(self, *events: RoutingEvent) -> list[Json]:
        """Tell the router of events beside changes."""
        values = [encode_routing_event(one) for one in events]
        return await self._done(handle_events(self.batch("routing-events", values), self.owned, self.router))

    async def wait_until(self, now: int) -> list[Json]:
        """Let time pass, and decide what is due."""
        self.now = now
        await pass_time(self.owned, now)
        return await self.settle()

    async def settle(self) -> list[Json]:
        """Follow what is due by the partition's clock."""
        made: list[Json] = []
        while self.owned.due:
            made += await self._done(route_due(self.owned, self.router))
        return made

    async def offer(self) -> list[Json]:
        """Offer queued accounts to those who may take them, and follow what comes of it."""
        version = decode_in_force(self.owned.position.definition).number
        policy = self.router.machine.policies.at(version)
        before = len(self.published.messages)
        await offer_queued(
            self.owners, self.published, policy, self.router.clock(self.owned), "routing-events"
        )
        offers = [one.value for one in self.published.messages[before:]]
        if not offers:
            return []
        return await self._done(handle_events(self.batch("routing-events", offers), self.owned, self.router))

    async def _done(self, work: Awaitable[Routed]) -> list[Json]:
        before = len(self.published.messages)
        self.results.append(await work)
        while self.owned.outbox.entries:
            await relay(self.owned, publisher=self.published)
        return [data_of(one) for one in self.published.messages[before:] if one.topic == "workflow-commands"]

    def state(self, account: str) -> RoutedState:
        return decode_routed(self.memory.accounts[account])


async def run(rig: Rig, batches: Iterable[Sequence[RecordedMessage]]) -> Rig:
    """Take the partition, feed it the batches, deciding what is due after each."""
    await rig.take()
    for batch in batches:
        await rig.feed(*batch)
        await rig.settle()
    return rig
