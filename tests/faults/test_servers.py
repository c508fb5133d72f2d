"""Kafka and Redis that die, come back, fall behind, are slow, are full, or are empty."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.agents.segmenter import TICK
from resegment.benchmarks.servers import apache
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.schemas.fact import encode_fact
from resegment.schemas.times import parse_instant
from resegment.state.redis.keys import PartitionKeys, Stage
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import in_order, send_replay
from resegment.streams.partition_marks import find_waiting
from resegment.streams.prefix import read_prefix
from tests import companies
from tests.builders import raw_event
from tests.faults.conftest import SEED, Arena
from tests.faults.proxy import proxied
from tests.faults.scenario import PARTITIONS, POISONED, Scenario, send_wall
from tests.integration.conftest import require_apache
from tests.malformed import BAD

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]
OUTAGE = 60.0
"""Seconds that a server is away, longer than the producer's timeout of 30 s."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[apache.Kafka]]:
    require_apache()
    async with apache.cluster(tmp_path_factory.mktemp("three"), 3) as nodes:
        yield nodes


@pytest_asyncio.fixture(loop_scope="session")
async def own_redis(tmp_path: Path) -> AsyncIterator[SystemRedis]:
    """A Redis of the test's own: what is done to it may last."""
    server = SystemRedis(tmp_path / "own")
    await server.start()
    yield server
    await server.stop()


# Kafka


@pytest.mark.faults
async def test_a_broker_that_is_killed_and_one_that_is_restarted_change_nothing(
    arena: Arena, broker: apache.Kafka
) -> None:
    async def harm(run: Scenario) -> int:
        await run.reached(200)
        await broker.kill()
        await broker.start()
        await run.reached(500)
        await broker.stop(deadline=60)
        await broker.start()
        return 2

    await arena.play("broker kill -9, then restart", harm, least=2)


@pytest.mark.faults
async def test_a_worker_goes_on_by_itself_after_a_minute_without_kafka(
    arena: Arena, broker: apache.Kafka
) -> None:
    async def harm(run: Scenario) -> int:
        await run.reached(300)
        await broker.kill()
        await asyncio.sleep(OUTAGE)
        await broker.start()
        await run.reached(700)
        assert not run.deaths, "the worker ended"
        return 1

    await arena.play(f"Kafka away for {OUTAGE:.0f} s", harm)


@pytest.mark.faults
async def test_a_change_of_leaders_on_three_brokers_changes_nothing(
    three: list[apache.Kafka], redis: SystemRedis, tmp_path: Path
) -> None:
    async def harm(run: Scenario) -> int:
        for turn, node in enumerate(three):
            await run.reached(150 + 200 * turn)
            await node.kill()
            await run.reached(250 + 200 * turn)
            await node.start()
        return 3

    arena = Arena(",".join(one.bootstrap for one in three), redis.url, tmp_path)
    await arena.play("leader killed, 3 brokers in turn", harm, least=3, replication=3)


# Redis


async def test_a_redis_that_is_killed_changes_nothing(arena: Arena, own_redis: SystemRedis) -> None:
    async def harm(run: Scenario) -> int:
        for mark in (200, 500):
            await run.reached(mark)
            await own_redis.kill()
            await own_redis.start()
        assert not run.deaths, "the worker ended"
        return 2

    await Arena(arena.kafka, own_redis.url, arena.folder).play("Redis kill -9", harm, least=2)


@pytest.mark.faults
async def test_a_worker_goes_on_by_itself_after_a_minute_without_redis(
    arena: Arena, own_redis: SystemRedis
) -> None:
    async def harm(run: Scenario) -> int:
        await run.reached(300)
        await own_redis.kill()
        await asyncio.sleep(OUTAGE)
        await own_redis.start()
        await run.reached(700)
        assert not run.deaths, "the worker ended"
        return 1

    await Arena(arena.kafka, own_redis.url, arena.folder).play(f"Redis away for {OUTAGE:.0f} s", harm)


@pytest.mark.parametrize("seed", range(SEED, SEED + int(os.environ.get("SEEDS", "1"))))
async def test_a_redis_that_is_rolled_back_under_load_changes_nothing(
    arena: Arena, own_redis: SystemRedis, seed: int
) -> None:
    data = own_redis.folder / "redis"

    async def harm(run: Scenario) -> int:
        await run.reached(random.Random(seed).randrange(100, 400))
        kept = data.with_name("kept")
        shutil.copytree(data, kept)
        before = await run.done()
        await asyncio.sleep(2.5)
        await run.reached(before + 1)
        await own_redis.kill()
        shutil.rmtree(data)
        kept.rename(data)
        await own_redis.start()

        async def noticed() -> bool:
            return run.rolled_back > 0

        await run.until(noticed)
        return run.rolled_back

    await Arena(arena.kafka, own_redis.url, arena.folder).play(
        "Redis rolled back by 2.5 s: ROLLED BACK", harm
    )


@pytest.mark.faults
async def test_a_failover_to_a_replica_changes_nothing(arena: Arena, tmp_path: Path) -> None:
    first, second = SystemRedis(tmp_path / "first"), SystemRedis(tmp_path / "second")
    await first.start()
    await second.start()
    replica = Redis.from_url(second.url)
    try:
        await replica.replicaof("127.0.0.1", str(first.port))
        async with asyncio.timeout(60):
            while (await replica.info("replication"))["master_link_status"] != "up":
                await asyncio.sleep(0.1)
        async with proxied(first.port) as proxy:

            async def harm(run: Scenario) -> int:
                await run.reached(400)
                await first.kill()
                await replica.replicaof("NO", "ONE")
                proxy.cut(second.port)
                await run.reached(700)
                return 1

            url = f"redis://127.0.0.1:{proxy.port}/0"
            await Arena(arena.kafka, url, arena.folder).play("failover to a replica", harm)
    finally:
        await replica.aclose()
        await first.stop()
        await second.stop()


@pytest.mark.faults
async def test_a_redis_half_a_second_away_changes_nothing(arena: Arena, redis: SystemRedis) -> None:
    async with proxied(redis.port) as proxy:

        async def harm(run: Scenario) -> int:
            await run.reached(200)
            proxy.delay = 0.5
            await run.reached(700)
            proxy.delay = 0.0
            return proxy.passed

        url = f"redis://127.0.0.1:{proxy.port}/0"
        await Arena(arena.kafka, url, arena.folder).play("Redis 500 ms away", harm, least=10)


async def test_a_redis_without_memory_left_changes_nothing(arena: Arena, own_redis: SystemRedis) -> None:
    client = Redis.from_url(own_redis.url)

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        await client.config_set("maxmemory", "1mb")

        async def refused() -> bool:
            return run.said("OOM") >= 2 or run.said("used memory") >= 2

        await run.until(refused)
        await client.config_set("maxmemory", "0")
        assert not run.deaths, "the worker ended"
        return max(run.said("OOM"), run.said("used memory"))

    try:
        await Arena(arena.kafka, own_redis.url, arena.folder).play("Redis out of memory", harm, least=2)
    finally:
        await client.aclose()


@pytest.mark.faults
async def test_an_emptied_redis_is_refused_and_rebuilt(arena: Arena, own_redis: SystemRedis) -> None:
    client = Redis.from_url(own_redis.url)

    async def harm(run: Scenario) -> int:
        await run.reached(500)
        await client.flushall()
        (worker,) = run.live
        assert await asyncio.wait_for(worker.wait(), 60) == 1, "state was lost, and nobody said so"
        assert run.said("has lost the state") > 0
        run.live.clear()
        await run.command("rebuild")
        await run.start()
        return 1

    try:
        await Arena(arena.kafka, own_redis.url, arena.folder).play("FLUSHALL under load, then rebuild", harm)
    finally:
        await client.aclose()


@pytest.mark.parametrize("parts", [("accounts",), ("meta", "accounts", "deadlines", "outbox", "sizes")])
@pytest.mark.faults
async def test_a_partition_that_redis_lost_waits_and_is_rebuilt_while_the_others_go_on(
    arena: Arena, parts: tuple[str, ...]
) -> None:
    stages: list[Stage] = ["segmenter"] if len(parts) == 1 else ["segmenter", "router"]

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        keys = [getattr(PartitionKeys.of(run.prefix, 1, stage), part) for stage in stages for part in parts]
        await run.client.delete(*keys)
        await run.until(lambda: waits(run, 1))
        before = await run.done()
        await run.reached(before + 100)  # the others go on
        said = " ".join((await run.command("status", ok=False)).split())
        assert "run `resegment rebuild --partition 1`" in said
        if "meta" in parts:
            assert "lost the state of partition 1" in await run.command("verify", ok=False)
        await run.command("rebuild", "--partition", "1")
        return 1

    what = "accounts of one partition gone" if len(parts) == 1 else "all keys of one partition gone"
    await arena.play(f"{what}, then rebuilt, worker running", harm)


async def waits(run: Scenario, partition: int) -> bool:
    """Whether the workers say that the partition waits for its state."""
    return partition in find_waiting(await read_prefix(run.client, run.prefix))


# What comes in


async def test_events_that_come_twice_late_and_in_any_order_change_nothing(arena: Arena) -> None:
    async def shuffled(run: Scenario) -> None:
        events = [*companies.events(run.one_in), *companies.events(run.one_in)]
        random.Random(SEED).shuffle(events)
        await send_wall(run, events, rate=500)

    async def harm(run: Scenario) -> int:
        twice = len(companies.events(run.one_in))
        await run.reached(2 * twice)
        return twice

    await arena.play(
        "every event twice, shuffled, live clock", harm, least=900, send=shuffled, oracle="log", clock="wall"
    )


@pytest.mark.parametrize("seed", range(SEED, SEED + int(os.environ.get("SEEDS", "1"))))
@pytest.mark.faults
async def test_a_live_worker_that_is_killed_decides_as_its_log_says(arena: Arena, seed: int) -> None:
    async def harm(run: Scenario) -> int:
        draw = random.Random(seed)
        for mark in sorted(draw.sample(range(100, 800), 3)):
            await run.reached(mark)
            await run.kill(run.live[0])
            await run.start()
        return 3

    await arena.play("kill -9, live clock", harm, least=3, send=_live, oracle="log", clock="wall")


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.faults
async def test_a_topic_made_anew_is_noticed(arena: Arena, running: bool) -> None:
    async def nothing(_: Scenario) -> None:
        return

    async def harm(run: Scenario) -> int:
        events = in_order(companies.events(run.one_in))
        half, rest = events[: len(events) // 2], events[len(events) // 2 :]
        async with run.source(1000) as source:
            await send_replay(half, source, run.topics, partitions=PARTITIONS)
        await run.until(lambda: _read_to_end(run))
        if not running:
            await run.finish()
        signals = run.topics.signals.name
        admin = AIOKafkaAdminClient(bootstrap_servers=run.kafka)
        await admin.start()
        await admin.delete_topics([signals])
        while signals in await admin.list_topics():
            await asyncio.sleep(0.1)
        await admin.create_topics(
            [NewTopic(signals, PARTITIONS, 1, topic_configs=run.topics.signals.configs)]
        )
        await admin.close()
        if not running:
            await run.start()

        async def noticed() -> bool:
            return run.said("it is read from its beginning") > 0

        await run.until(noticed)
        assert (run.deaths[1] > 0) == running
        async with run.source(1000) as source:
            await send_replay(rest, source, run.topics, partitions=PARTITIONS, until=companies.UNTIL)
        return run.said("it is read from its beginning")

    name = f"signals recreated, worker {'running' if running else 'stopped'}"
    await arena.play(name, harm, send=nothing)


async def _read_to_end(run: Scenario) -> bool:
    looks = await run.reader.look()
    return await run.done() > 0 and not any(one.outbox or one.due for one in looks) and await run.lag() == 0


# Poison


async def test_poison_in_every_form_is_set_aside_and_stops_nothing(arena: Arena) -> None:
    poison = [value for value, _, _ in BAD.values()]
    letters = 0

    async def harm(run: Scenario) -> int:
        nonlocal letters
        places = [run.topics.funding, run.topics.signals, run.topics.segment_changes]
        async with KafkaPublisher(run.kafka) as publisher:
            for number, value in enumerate(poison):
                await run.reached(10 * number)
                await publisher.publish([Message(place.name, POISONED, value) for place in places])

        async def buried() -> bool:
            nonlocal letters
            letters = len(await run.records(run.topics.dead_letters.name))
            return letters >= 3 * len(poison)

        await run.until(buried)
        assert letters == 3 * len(poison)
        assert not run.deaths, "a worker ended"
        return letters

    row = await arena.play(
        "poison in every form, on three topics",
        harm,
        least=3 * len(poison),
        clock="wall",
        oracle="log",
        send=_live,
    )
    row.remark = f"{letters} dead letters, one for each"


@pytest.mark.parametrize("seed", range(SEED, SEED + int(os.environ.get("SEEDS", "1"))))
async def test_a_clock_ahead_moves_no_partition(arena: Arena, seed: int) -> None:
    """From outside by `recordedtime`; and in `signals` itself, as a host with its clock ahead would write it."""
    far = parse_instant("2090-01-01T00:00:00Z")
    written = 0

    async def harm(run: Scenario) -> int:
        nonlocal written
        written = 0
        draw = random.Random(seed)
        facts = draw.sample([fact for fact, _ in companies.events(run.one_in)], 20)
        async with KafkaPublisher(run.kafka) as publisher:
            for number, fact in enumerate(facts):
                await run.reached(10 * number)
                key, value = fact.account.encode(), encode_fact(fact)
                pinned = raw_event(
                    id=f"pinned-{number}", subject="pinned.com", recordedtime="2099-01-01T00:00:00Z"
                )
                await publisher.publish(
                    [
                        Message(run.topics.funding.name, POISONED, pinned),
                        Message(run.topics.signals.name, key, value, timestamp=far),
                        Message(run.topics.signals.name, None, None, [(TICK, b"")], number % PARTITIONS, far),
                    ]
                )
                written += 2

        async def buried() -> bool:
            return len(await run.records(run.topics.dead_letters.name)) >= written

        await run.until(buried)
        looks = await run.reader.look()
        (state,) = await run.reader.states(["pinned.com"])
        now = await run.reader.now()  # events arrive all the time
        assert all(one.position is not None and one.position.clock <= now for one in looks)
        assert state is not None
        assert all(entry.recorded <= now for entry in state.entries)
        await run.command("verify")
        assert not run.deaths, "a worker ended"
        return written

    row = await arena.play(
        "clocks ahead: recordedtime 2099, signals and ticks of 2090",
        harm,
        least=40,
        clock="wall",
        oracle="log",
        send=_live,
    )
    row.remark = f"{written} records of `signals` refused; `verify` agrees"


@pytest.mark.faults
async def test_a_partition_whose_clock_ran_ahead_is_repaired_as_the_operations_page_says(
    arena: Arena,
) -> None:
    far = parse_instant("2090-01-01T00:00:00Z")

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        await run.finish()
        await run.client.hset(PartitionKeys.of(run.prefix, 1).meta, "clock", far)
        said = " ".join((await run.command("status", ok=False)).split())
        assert "the clock of partition 1 is" in said
        keys = [key async for key in run.client.scan_iter(f"rs:{{{run.prefix}.1}}:*")]
        await run.client.delete(*keys)
        await run.command("rebuild", "--partition", "1")
        await run.start()
        return 1

    await arena.play(
        "clock of a partition ahead, then repaired", harm, clock="wall", oracle="log", send=_live
    )


async def _live(run: Scenario) -> None:
    await send_wall(run, companies.events(run.one_in))
