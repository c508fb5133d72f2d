"""The whole way of an event through embedded servers: nothing is lost, doubled, early or late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import count, cycle, islice
from typing import ClassVar

import orjson
import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.agents.dead_letters import read_dead_letter
from resegment.embedded.servers import Embedded, embedded
from resegment.schemas.fact import decode_fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.outgoing import SegmentChangeData
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.state.partition_store import Claim, Commit, Committed, StoreUnavailable
from resegment.state.redis.partition import PartitionStore
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.operations.ingest import send_replay
from resegment.streams.worker.wiring import PartClasses
from resegment.streams.worker.worker import Worker
from tests import companies
from tests.builders import definition_of, net_moves, raw_event
from tests.malformed import BAD
from tests.oracle.cases import only

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTITIONS = 8
PATIENCE = 200.0
NAMES = count()
LATE = 15_000
"""How late (ms) a move may come on a busy machine: with no timer, it would never come."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    async with embedded(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def publisher(servers: Embedded) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(servers.bootstrap, idempotent=False) as publisher:
        yield publisher


Compose = Callable[..., Worker]


@pytest.fixture
def compose(servers: Embedded) -> Compose:
    """Makes workers of one prefix, which is the test's own."""
    prefix = f"p{next(NAMES)}"

    def worker(definition: Definition, **given: object) -> Worker:
        settings = Settings(prefix=prefix, partitions=PARTITIONS, **{"route": "all", **given})  # type: ignore[arg-type]
        return Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)

    return worker


async def until(holds: Callable[[], bool | Awaitable[bool]], *workers: Worker) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            for worker in workers:
                assert worker.failure is None
            await asyncio.sleep(0.02)


async def read(servers: Embedded, topic: str) -> list[ConsumerRecord]:
    async with reading(servers.bootstrap, topic) as reader:
        return [record async for records in reader.to_end() for record in records]


async def segments_in_redis(servers: Embedded, prefix: str, accounts: list[str]) -> dict[str, str | None]:
    client = Redis.from_url(servers.redis_url)
    try:
        found: dict[str, str | None] = {}
        for number in range(PARTITIONS):
            names = [name for name in accounts if partition_of(name.encode(), PARTITIONS) == number]
            states = await PartitionStore(client, prefix, number).read(names)
            found |= {
                name: decode_state(value).membership.segment
                for name, value in zip(names, states, strict=True)
                if value is not None
            }
        return found
    finally:
        await client.aclose()


async def test_a_replay_of_real_companies_ends_where_a_backtest_does(
    servers: Embedded, publisher: KafkaPublisher, compose: Compose
) -> None:
    worker = compose(companies.definition(), clock="facts", chunk=300)
    async with worker.running():
        await send_replay(
            companies.events(), publisher, worker.topics, partitions=PARTITIONS, until=companies.UNTIL
        )
        assert await worker.drain(PATIENCE)
        changes = await read(servers, worker.topics.segment_changes.name)
        letters = await read(servers, worker.topics.dead_letters.name)
    assert net_moves(one.value for one in changes) == companies.expected()
    assert not letters
    accounts = list(companies.final())
    assert await segments_in_redis(servers, worker.settings.prefix, accounts) == companies.final()
    numbers = Counter((data["account"], data["sequence_number"]) for data in map(data_in, changes))
    assert set(numbers.values()) == {1}


def data_in(record: ConsumerRecord) -> dict[str, object]:
    return orjson.loads(record.value)["data"]  # type: ignore[no-any-return]


async def test_a_window_that_closes_with_no_event_moves_its_account_at_once_and_never_early(
    servers: Embedded, publisher: KafkaPublisher, compose: Compose
) -> None:
    worker = compose(definition_of(only({"event": "funding", "within": "6s"})))
    accounts = [f"company-{number}.com" for number in range(20)]
    left: dict[str, tuple[SegmentChangeData, float]] = {}
    happened: dict[str, int] = {}

    async def follow() -> None:
        async with reading(servers.bootstrap, worker.topics.segment_changes.name) as reader:
            async for records in reader.follow():
                arrived = time.time() * 1000
                for record in records:
                    data = SegmentChangeData.model_validate(data_in(record))
                    if data.to == "out":
                        left[data.account] = (data, arrived)
                if len(left) == len(accounts):
                    return

    async with worker.running():
        await until(lambda: len(worker.owned) == PARTITIONS, worker)
        await until(worker.is_drained, worker)
        following = asyncio.create_task(follow())
        for account in accounts:
            happened[account] = time.time_ns() // 1_000_000
            value = raw_event(subject=account, time=format_instant(happened[account]))
            await publisher.publish([Message(worker.topics.funding.name, None, value)])
            await asyncio.sleep(0.07)  # so that they leave one by one
        await asyncio.wait_for(following, PATIENCE)
    for account, (data, arrived) in left.items():
        closes = happened[account] + 6_000
        assert data.from_ == "in"
        assert parse_instant(data.effective_at) == closes
        assert parse_instant(data.cause.deadline or "") == closes
        assert closes <= parse_instant(data.decided_at) <= arrived < closes + LATE


class Partial(PartitionStore):
    """A store in which one partition can be away: it refuses, or does not answer at all."""

    away: ClassVar[int | None] = None
    hangs: ClassVar[bool] = False

    async def _answer(self) -> None:
        if self.partition == self.away:
            while self.hangs and self.partition == self.away:
                await asyncio.sleep(0.05)
            raise StoreUnavailable("away, for a test")

    async def claim(self) -> Claim:
        await self._answer()
        return await super().claim()

    async def commit(self, commit: Commit) -> Committed:
        await self._answer()
        return await super().commit(commit)

    async def sizes(self) -> dict[str, int]:
        await self._answer()
        return await super().sizes()


class PartialWorker(Worker):
    classes = PartClasses(store=Partial)


@pytest.mark.parametrize("hangs", [False, True])
async def test_while_one_partition_has_no_store_time_goes_on_in_the_others(
    servers: Embedded, publisher: KafkaPublisher, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    definition = definition_of(only({"event": "funding", "within": "8s"}))
    settings = Settings(prefix=f"p{next(NAMES)}", partitions=PARTITIONS, route="all")
    worker = PartialWorker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
    accounts = [f"company-{number}.com" for number in range(40)]
    waiting = {name for name in accounts if partition_of(name.encode(), PARTITIONS) == 0}
    arrived: dict[tuple[str, str], float] = {}
    left: dict[str, int] = {}

    async def follow() -> None:
        async with reading(servers.bootstrap, worker.topics.segment_changes.name) as reader:
            async for records in reader.follow():
                for record in records:
                    data = SegmentChangeData.model_validate(data_in(record))
                    arrived.setdefault((data.account, data.to), time.time() * 1000)
                    if data.to == "out":
                        left[data.account] = parse_instant(data.effective_at)

    def all_have(segment: str, names: Iterable[str]) -> bool:
        return all((name, segment) in arrived for name in names)

    async with worker.running():
        await until(lambda: len(worker.owned) == PARTITIONS, worker)
        await until(worker.is_drained, worker)
        following = asyncio.create_task(follow())
        happened = time.time_ns() // 1_000_000
        values = [raw_event(subject=name, time=format_instant(happened)) for name in accounts]
        await publisher.publish([Message(worker.topics.funding.name, None, value) for value in values])
        await until(lambda: all_have("in", accounts), worker)
        assert waiting
        monkeypatch.setattr(Partial, "hangs", hangs)
        monkeypatch.setattr(Partial, "away", 0)
        await until(lambda: all_have("out", set(accounts) - waiting), worker)
        assert not any((name, "out") in arrived for name in waiting)
        monkeypatch.setattr(Partial, "away", None)
        await until(lambda: all_have("out", accounts), worker)
        following.cancel()
    closes = happened + 8_000
    assert set(left.values()) == {closes}
    late = {name: arrived[name, "out"] - closes for name in accounts if name not in waiting}
    assert max(late.values()) < LATE, late


async def test_ten_thousand_bad_messages_among_good_ones_are_set_aside_once_each_and_hold_up_nothing(
    servers: Embedded, publisher: KafkaPublisher, compose: Compose
) -> None:
    worker = compose(definition_of(only({"event": "funding"})))
    triggers = cycle(one.name for one in worker.topics.triggers if one is not worker.topics.replay)
    sorts = [*BAD.items(), ("as large as a topic takes", (b"x" * 900_000, "too-large", ""))]
    bad = list(islice(cycle(sorts[:-1]), 9_995)) + sorts[-1:] * 5
    good = [raw_event(id=f"good-{number}", subject=f"company-{number}.com") for number in range(1_000)]
    messages = []
    for number, (name, (value, _, _)) in enumerate(bad):
        headers = [("sort", name.encode()), ("nothing", None)]
        messages.append(Message(next(triggers), b"k%d" % number, value, headers))  # type: ignore[arg-type]
        if number % 10 == 0:
            messages.append(Message(worker.topics.funding.name, None, good[number // 10]))
    async with worker.running():
        for start in range(0, len(messages), 500):
            await publisher.publish(messages[start : start + 500])
        assert await worker.drain(PATIENCE)
        assert worker.failure is None
        letters = await read(servers, worker.topics.dead_letters.name)
        signals = await read(servers, worker.topics.signals.name)
        changes = await read(servers, worker.topics.segment_changes.name)
    told = [read_dead_letter(one.headers, one.key, one.value) for one in letters]
    assert len({one["id"] for one in told}) == len(told) == 10_000
    expected = {name: (value, reason) for name, (value, reason, _) in sorts}
    for letter, about in zip(letters, told, strict=True):
        value, reason = expected[dict(letter.headers)["sort"].decode()]
        assert (letter.value, about["reason"]) == (value, reason)
    assert {one.key for one in letters} == {b"k%d" % number for number in range(10_000)}
    facts = [decode_fact(one.value) for one in signals if one.value]
    assert sorted(fact.id for fact in facts) == sorted(f"good-{number}" for number in range(1_000))
    assert len(changes) == 1_000


async def test_workers_that_join_and_leave_share_the_work_and_lose_nothing(
    servers: Embedded, publisher: KafkaPublisher, compose: Compose
) -> None:
    given = {"clock": "facts", "chunk": 50}
    first, second = compose(companies.definition(), **given), compose(companies.definition(), **given)
    async with asyncio.timeout(2 * PATIENCE), first.running():
        async with second.running():
            await until(lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2, first, second)
            sending = asyncio.create_task(
                send_replay(
                    companies.events(4), publisher, first.topics, partitions=PARTITIONS, until=companies.UNTIL
                )
            )
            await until(lambda: second.changes_decided > 100, first, second)
        await sending
        assert await first.drain(PATIENCE)
        changes = await read(servers, first.topics.segment_changes.name)
    assert first.changes_decided
    assert net_moves(one.value for one in changes) == companies.expected(4)
    accounts = list(companies.final(4))
    assert await segments_in_redis(servers, first.settings.prefix, accounts) == companies.final(4)
