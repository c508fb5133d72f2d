"""The batched transport, its binding and the publisher on the embedded broker."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.errors import TopicAuthorizationFailedError

from resegment.agents.batch import Batch, Message, PublishFailed
from resegment.embedded.servers import embedded
from resegment.schemas.partitioning import partition_of
from resegment.streams.consumer.application import Application, create_app, running
from resegment.streams.consumer.binding import bind
from resegment.streams.kafka import admin
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.transport.binding import Retry
from resegment.streams.transport.config import ConsumerConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTITIONS = 4
PATIENCE = 120.0
NAMES = count()

Where = tuple[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with embedded(tmp_path_factory.mktemp("embedded")) as servers:
        yield servers.bootstrap


@pytest_asyncio.fixture(loop_scope="module")
async def publisher(bootstrap: str) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(bootstrap, idempotent=False) as publisher:
        yield publisher


@pytest_asyncio.fixture(loop_scope="module")
async def topics(bootstrap: str) -> Topics:
    """Topics of a prefix of the test's own."""
    topics = Topics(f"t{next(NAMES)}")
    await asyncio.to_thread(admin.create_topics, bootstrap, topics, partitions=PARTITIONS)
    return topics


class Seen:
    """Records what a worker was given; awaits what is to come."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._changed = asyncio.Condition()

    async def __call__(self, batch: Batch) -> None:
        async with self._changed:
            self.batches.append(batch)
            self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(holds)

    async def records(self, number: int) -> None:
        await self.until(lambda: sum(map(len, self.values().values())) >= number)

    def values(self) -> dict[Where, list[bytes | None]]:
        values: dict[Where, list[bytes | None]] = defaultdict(list)
        for batch in self.batches:
            values[batch.topic, batch.partition] += [record.value for record in batch.records]
        return values

    def offsets(self) -> list[int]:
        return [record.offset for batch in self.batches for record in batch.records]


def never(error: BaseException) -> None:
    raise AssertionError("not expected to be fatal") from error


def worker(bootstrap: str, group: str, **config: Any) -> Application:
    return create_app(
        group,
        bootstrap,
        config=ConsumerConfig(fetch_wait=0.02, **config),
        session_timeout=2.0,
        heartbeat_interval=0.5,
    )


@asynccontextmanager
async def reading(
    bootstrap: str,
    group: str,
    names: list[str],
    handle: Callable[[Batch], Awaitable[None]],
    *,
    config: dict[str, Any] | None = None,
    **binding: Any,
) -> AsyncIterator[Application]:
    app = worker(bootstrap, group, **(config or {}))
    bind(app, names, handle, name="reader", **{"on_fatal": never, **binding})
    async with running(app):
        yield app


def numbered(topic: str, number: int, partition: int | None = 0, start: int = 0) -> list[Message]:
    return [Message(topic, b"k%d" % i, b"%d" % i, (), partition) for i in range(start, start + number)]


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def committed(app: Application, where: Where) -> int:
    """Wait until all is acknowledged, commit, and return the offset."""
    async with asyncio.timeout(PATIENCE):
        while True:
            progress = {(s.topic, s.partition): s for s in await app.partition_progress()}.get(where)
            if progress is not None and progress.lag == 0 and progress.offset is not None:
                await app.consumer.commit()
                return progress.offset
            await asyncio.sleep(0.01)


async def test_all_records_of_all_topics_arrive_once_in_order_with_headers_and_times(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    names = [topics.funding.name, topics.hiring.name, topics.signals.name]
    headers = (("ce_type", b"gtm.funding.v1"), ("ce_id", b"1"))
    sent: dict[Where, list[bytes | None]] = defaultdict(list)
    messages = []
    for i in range(6000):
        name, key, value = names[i % 3], b"account%d.com" % (i % 97), b"%d" % i
        messages.append(Message(name, key, value, headers, None, 1_700_000_000_000 + i))
        sent[name, partition_of(key, PARTITIONS)].append(value)
    await publisher.publish(messages)
    seen = Seen()
    async with reading(bootstrap, "all", names, seen, config={"chunk_size": 300}):
        await seen.records(6000)
    assert seen.values() == sent
    assert max(len(batch.records) for batch in seen.batches) == 300
    for batch in seen.batches:
        for record in batch.records:
            assert record.timestamp == 1_700_000_000_000 + int(record.value or b"-1")
            assert tuple(record.headers) == headers
            assert record.key is not None
            assert partition_of(record.key, PARTITIONS) == batch.partition


async def test_a_batch_that_was_not_finished_is_seen_again_by_the_next_worker(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-again"
    await publisher.publish(numbered(name, 20))
    stuck = asyncio.Event()

    async def hang_in_the_second(batch: Batch) -> None:
        if batch.records[0].offset >= 10:
            stuck.set()
            await asyncio.Event().wait()

    async with reading(
        bootstrap, group, [name], hang_in_the_second, config={"chunk_size": 10, "drain_timeout": 0.2}
    ):
        await asyncio.wait_for(stuck.wait(), PATIENCE)
    seen = Seen()
    async with reading(bootstrap, group, [name], seen):
        await seen.records(10)
    assert seen.offsets() == list(range(10, 20))


async def test_a_batch_in_work_is_finished_and_committed_before_a_stop(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-finish"
    await publisher.publish(numbered(name, 5))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait_inside(batch: Batch) -> None:
        begun.set()
        await go_on.wait()

    async with reading(bootstrap, group, [name], wait_inside):
        await asyncio.wait_for(begun.wait(), PATIENCE)
        asyncio.get_running_loop().call_later(0.3, go_on.set)
    seen = Seen()
    async with reading(bootstrap, group, [name], seen):
        await publisher.publish(numbered(name, 1, start=5))
        await seen.records(1)
    assert seen.offsets() == [5]


async def test_a_batch_that_fails_is_given_again_and_nothing_is_lost(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name = topics.signals.name
    await publisher.publish([m for p in range(PARTITIONS) for m in numbered(name, 50, p)])
    seen, tries = Seen(), defaultdict[tuple[int, int], int](int)

    async def fail_twice(batch: Batch) -> None:
        which = batch.partition, batch.records[0].offset
        tries[which] += 1
        if tries[which] <= 2:
            raise RuntimeError("for the test")
        await seen(batch)

    retry = Retry(first=0.01, longest=0.01)
    async with reading(bootstrap, "fails", [name], fail_twice, retry=retry, config={"chunk_size": 20}):
        await seen.records(200)
    assert set(tries.values()) == {3}
    assert seen.values() == {(name, p): [b"%d" % i for i in range(50)] for p in range(PARTITIONS)}


async def test_a_batch_that_fails_for_too_long_ends_in_the_fatal_call_and_is_not_skipped(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-fatal"
    await publisher.publish(numbered(name, 20))
    fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    tried: set[int] = set()

    async def fail(batch: Batch) -> None:
        tried.add(batch.records[0].offset)
        raise RuntimeError("for ever")

    retry = Retry(first=0.01, longest=0.01, give_up_after=0.05)
    async with reading(
        bootstrap, group, [name], fail, retry=retry, on_fatal=fatal.set_result, config={"chunk_size": 10}
    ):
        assert str(await asyncio.wait_for(fatal, PATIENCE)) == "for ever"
    assert tried == {0}
    seen = Seen()
    async with reading(bootstrap, group, [name], seen):
        await seen.records(20)
    assert seen.offsets() == list(range(20))


async def test_a_batch_that_takes_too_long_is_broken_off_and_given_again(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-hanging"
    await publisher.publish(numbered(name, 5))
    seen, broken_off = Seen(), 0

    async def hang_once(batch: Batch) -> None:
        nonlocal broken_off
        if not broken_off:
            try:
                await asyncio.Event().wait()
            finally:
                broken_off += 1
        await seen(batch)

    async with reading(bootstrap, group, [name], hang_once, retry=Retry(first=0.01, deadline=0.2)):
        await seen.records(5)
    assert (seen.offsets(), broken_off) == (list(range(5)), 1)


async def test_reading_begins_where_the_position_hook_says_even_before_the_committed_offset(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-position"
    await publisher.publish(numbered(name, 30))
    first = Seen()
    async with reading(bootstrap, group, [name], first) as app:
        await first.records(30)
        assert await committed(app, (name, 0)) == 30

    async def position(topic: str, partition: int) -> int | None:
        return 17 if (topic, partition) == (name, 0) else None

    second = Seen()
    async with reading(bootstrap, group, [name], second, positions=position):
        await second.records(13)
    assert second.offsets() == list(range(17, 30))


async def test_without_an_offset_from_the_hook_reading_goes_on_where_it_was_committed(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-committed"

    async def unknown(topic: str, partition: int) -> int | None:
        return None

    await publisher.publish(numbered(name, 30))
    first, second = Seen(), Seen()
    async with reading(bootstrap, group, [name], first, positions=unknown):
        await first.records(30)
    async with reading(bootstrap, group, [name], second, positions=unknown):
        await publisher.publish(numbered(name, 1, start=30))
        await second.records(1)
    assert (first.offsets(), second.offsets()) == (list(range(30)), [30])


async def test_a_restarted_partition_is_read_again_from_its_position_and_its_old_batches_are_dropped(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name = topics.signals.name
    await publisher.publish([m for p in (0, 1) for m in numbered(name, 60, p)])
    seen, restarted = Seen(), asyncio.Event()
    app: Application

    async def position(topic: str, partition: int) -> int | None:
        return 5 if restarted.is_set() else 0

    async def roll_back_once(batch: Batch) -> None:
        if batch.partition == 0 and batch.records[0].offset == 20 and not restarted.is_set():
            # the batch after this one must be on its way already, or there would be nothing stale to drop
            tracker = app.consumer._trackers[batch.topic, batch.partition]
            await eventually(lambda: tracker.pending == 2)
            restarted.set()
            await app.restart(batch.topic, batch.partition)
            return
        await seen(batch)

    async with reading(
        bootstrap, "restart", [name], roll_back_once, positions=position, config={"chunk_size": 10}
    ) as app:
        await seen.records(60 + 20 + 55)
        assert await committed(app, (name, 0)) == 60
    offsets = [r.offset for b in seen.batches if b.partition == 0 for r in b.records]
    assert offsets == [*range(20), *range(5, 60)]
    assert seen.values()[name, 1] == [b"%d" % i for i in range(60)]


async def test_records_that_arrive_during_restarts_are_not_lost(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name = topics.signals.name
    seen = Seen()
    position = 0

    async def where(topic: str, partition: int) -> int | None:
        await asyncio.sleep(0)
        return position if partition == 0 else None

    async def fold(batch: Batch) -> None:
        nonlocal position
        await seen(batch)
        if batch.partition == 0:
            position = batch.records[-1].offset + 1

    async with reading(bootstrap, "busy", [name], fold, positions=where, config={"chunk_size": 7}) as app:
        for start in range(0, 600, 5):
            await publisher.publish(numbered(name, 5, 0, start))
            await app.restart(name, 0)
        await seen.until(lambda: position == 600)
    assert list(dict.fromkeys(seen.offsets())) == list(range(600))


async def test_two_workers_share_the_partitions_and_one_takes_over_when_the_other_leaves(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, group = topics.signals.name, f"{topics.prefix}-share"
    one, two = Seen(), Seen()
    released: list[int] = []
    total = 0

    async def release(topic: str, partition: int) -> None:
        released.append(partition)

    async def publish() -> None:
        nonlocal total
        await publisher.publish([m for p in range(PARTITIONS) for m in numbered(name, 100, p, total)])
        total += 100

    def complete() -> bool:
        both = one.values(), two.values()
        return all(
            {v for seen in both for v in seen.get((name, p), [])} >= {b"%d" % i for i in range(total)}
            for p in range(PARTITIONS)
        )

    async with reading(bootstrap, group, [name], one, released=release) as first:
        await publish()
        await one.until(complete)
        async with reading(bootstrap, group, [name], two) as second:
            await eventually(lambda: len(first.owned()) == len(second.owned()) == PARTITIONS // 2)
            assert sorted(first.owned() + second.owned()) == [(name, p) for p in range(PARTITIONS)]
            assert sorted(released) == list(range(PARTITIONS))
            await publish()
            await eventually(complete)
            assert two.batches
        await publish()
        await one.until(complete)
        assert len(first.owned()) == PARTITIONS


async def test_each_owned_partition_is_released_at_the_end(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, released = topics.signals.name, list[Where]()

    async def release(topic: str, partition: int) -> None:
        released.append((topic, partition))

    await publisher.publish(numbered(name, 1))
    seen = Seen()
    async with reading(bootstrap, "end", [name], seen, released=release) as app:
        await seen.records(1)
        assert app.owned() == [(name, p) for p in range(PARTITIONS)]
        assert released == []
    assert sorted(released) == [(name, p) for p in range(PARTITIONS)]


async def test_a_position_that_cannot_be_told_is_asked_again_and_holds_up_only_its_own_partition(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    held, free = topics.signals.name, topics.outcomes.name
    await publisher.publish([*numbered(held, 3), *numbered(free, 3)])
    away = True

    async def position(topic: str, partition: int) -> int | None:
        if away:
            raise ConnectionError("the store is away")
        return 0

    seen, others = Seen(), Seen()
    app = worker(bootstrap, f"{topics.prefix}-away")
    bind(app, [held], seen, name="held", on_fatal=never, positions=position)
    bind(app, [free], others, name="free", on_fatal=never)
    async with running(app):
        await others.records(3)
        assert not seen.batches
        away = False
        await seen.records(3)


async def test_a_topic_whose_agent_stands_still_does_not_hold_up_the_others(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    slow, quick = topics.workflow_commands.name, topics.signals.name
    await publisher.publish([m for p in range(PARTITIONS) for m in numbered(slow, 5000, p)])
    standing, go_on, seen = asyncio.Event(), asyncio.Event(), Seen()

    async def stand_still(batch: Batch) -> None:
        standing.set()
        await go_on.wait()

    app = worker(bootstrap, f"{topics.prefix}-slow", chunk_size=100)
    bind(app, [slow], stand_still, name="slow", on_fatal=never)
    bind(app, [quick], seen, name="quick", on_fatal=never)
    async with running(app):
        await asyncio.wait_for(standing.wait(), PATIENCE)
        for i in range(20):
            await publisher.publish(numbered(quick, 1, i % PARTITIONS))
            await seen.records(i + 1)
        partitions = [s for s in await app.partition_progress() if s.topic == slow]
        assert [s.lag for s in partitions] == [5000] * PARTITIONS
        go_on.set()


async def test_an_error_of_the_kafka_client_ends_the_application_visibly(
    bootstrap: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(bootstrap, f"{topics.prefix}-crash", [topics.signals.name], Seen()) as app:

        async def refuse(*_: Any) -> None:
            raise TopicAuthorizationFailedError(topics.signals.name)

        monkeypatch.setattr(app.consumer._thread, "fetch", refuse)
        crash = await asyncio.wait_for(app.crashed(), PATIENCE)
        assert isinstance(crash.cause, TopicAuthorizationFailedError)


async def test_what_is_published_without_a_key_is_spread(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics
) -> None:
    name, seen = topics.dead_letters.name, Seen()
    await publisher.publish([Message(name, None, b"x") for _ in range(8)])
    async with reading(bootstrap, "spread", [name], seen):
        await seen.records(8)
    assert {where: len(values) for where, values in seen.values().items()} == {
        (name, p): 2 for p in range(PARTITIONS)
    }


async def test_more_than_fits_in_one_kafka_batch_keeps_its_order(bootstrap: str, topics: Topics) -> None:
    name, seen = topics.signals.name, Seen()
    async with KafkaPublisher(bootstrap, idempotent=False, batch_bytes=2000) as publisher:
        await publisher.publish(numbered(name, 1000))
    async with reading(bootstrap, "order", [name], seen):
        await seen.records(1000)
    assert seen.values()[name, 0] == [b"%d" % i for i in range(1000)]


async def test_a_broker_that_gives_no_producer_ids_is_published_to_without_them(
    bootstrap: str, topics: Topics
) -> None:
    name, seen = topics.signals.name, Seen()
    async with KafkaPublisher(bootstrap, idempotent=True) as publisher:
        await publisher.publish(numbered(name, 3))
    async with reading(bootstrap, "ids", [name], seen):
        await seen.records(3)


async def test_publishing_to_a_broker_that_is_away_fails_by_name(unused_tcp_port: int) -> None:
    publisher = KafkaPublisher(f"127.0.0.1:{unused_tcp_port}", timeout=0.5)
    with pytest.raises(PublishFailed) as caught:
        await publisher.publish([Message("signals", b"k", b"v")])
    assert caught.value.topics == ["signals"]


async def test_topics_are_made_once_with_their_retention_and_left_alone_after(bootstrap: str) -> None:
    topics = Topics(f"made{next(NAMES)}")
    override = {topics.intent.name: timedelta(days=30)}
    made = await asyncio.to_thread(admin.create_topics, bootstrap, topics, partitions=3, retention=override)
    again = await asyncio.to_thread(admin.create_topics, bootstrap, topics, partitions=3)
    assert made == sorted(topic.name for topic in topics)
    assert again == []


async def test_a_topic_with_another_number_of_partitions_is_refused(bootstrap: str, topics: Topics) -> None:
    with pytest.raises(admin.PartitionsDiffer, match="has 4 partitions, not 5"):
        await asyncio.to_thread(admin.create_topics, bootstrap, topics, partitions=5)


async def test_topics_of_a_broker_that_is_away_fail_by_name(unused_tcp_port: int) -> None:
    with pytest.raises(admin.TopicsUnavailable):
        await asyncio.to_thread(
            admin.create_topics, f"127.0.0.1:{unused_tcp_port}", Topics(), bootstrap_timeout_ms=500
        )


async def test_a_lone_event_is_handed_over_soon(
    bootstrap: str, publisher: KafkaPublisher, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    name, seen, waits = topics.signals.name, Seen(), list[float]()
    async with reading(bootstrap, "lone", [name], seen) as app:
        for i in range(60):
            await asyncio.sleep(random.uniform(0.01, 0.05))
            sent = time.perf_counter()
            await publisher.publish(numbered(name, 1, i % PARTITIONS))
            await seen.records(i + 1)
            waits.append((time.perf_counter() - sent) * 1000)
        assert len(app.owned()) == PARTITIONS
    waits.sort()
    with capsys.disabled():
        print(f"\nlone event, sent to handled: p50 {waits[30]:.1f} ms, p98 {waits[58]:.1f} ms")
