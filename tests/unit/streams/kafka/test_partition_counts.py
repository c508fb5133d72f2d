"""How many partitions topics have beyond those of the prefix, from answers in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from resegment.metrics import Metrics
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.kafka import admin, partition_counts
from resegment.streams.kafka.partition_counts import PartitionCounts
from resegment.streams.kafka.topics import Topics

TOPICS = Topics("unit")
COMMANDS, CHANGES, LETTERS = (
    one.name for one in (TOPICS.workflow_commands, TOPICS.segment_changes, TOPICS.dead_letters)
)


class Brokers:
    """The number of partitions of each topic."""

    def __init__(self) -> None:
        self.topics = {COMMANDS: 4, CHANGES: 4, LETTERS: 9}

    def connect(self, **_: object) -> Brokers:
        return self

    def list_topics(self) -> list[str]:
        return list(self.topics)

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [{"name": name, "partitions": [{}] * self.topics[name]} for name in names]

    def close(self) -> None:
        pass


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    monkeypatch.setattr(admin, "KafkaAdminClient", brokers.connect)
    monkeypatch.setattr(partition_counts, "COUNTED_EVERY", 0.0)
    return brokers


def surplus_of(metrics: Metrics) -> dict[str, float]:
    (family,) = metrics.partitions_surplus.collect()
    return {one.labels["topic"]: one.value for one in family.samples}


async def of_four() -> int | None:
    return 4


async def test_a_topic_that_was_altered_has_more_than_the_prefix_and_one_that_may_differ_is_left_out(
    brokers: Brokers,
) -> None:
    metrics = Metrics()
    counts = PartitionCounts("nowhere", {}, TOPICS, of_four, metrics.partitions_surplus)
    await counts.look()
    assert surplus_of(metrics) == {COMMANDS: 0, CHANGES: 0}
    brokers.topics[COMMANDS], brokers.topics[CHANGES] = 6, 3
    await counts.look()
    assert surplus_of(metrics) == {COMMANDS: 2, CHANGES: -1}
    del brokers.topics[CHANGES]
    await counts.look()
    assert surplus_of(metrics) == {COMMANDS: 2}


async def test_nothing_is_said_of_a_prefix_that_there_is_not_yet(brokers: Brokers) -> None:
    async def of_none() -> int | None:
        return None

    metrics = Metrics()
    await PartitionCounts("nowhere", {}, TOPICS, of_none, metrics.partitions_surplus).look()
    assert surplus_of(metrics) == {}


async def test_it_counts_again_after_a_server_was_away(brokers: Brokers) -> None:
    metrics, looks = Metrics(), 0

    async def wanted() -> int:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise StoreUnavailable("away")
        return 4

    async with (
        asyncio.timeout(60),
        PartitionCounts("nowhere", {}, TOPICS, wanted, metrics.partitions_surplus).running(),
    ):
        while not surplus_of(metrics):
            await asyncio.sleep(0)
    assert looks >= 3
