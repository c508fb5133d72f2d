"""Which worker reads which partition: the same of all topics, however many workers there are."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.transport.drivers import aiokafka as driver

from resegment.streams.consumer.config import ConsumerConfig
from resegment.streams.consumer.consumer_thread import ConsumerThread

TOPICS = ["outcomes", "routing-events", "segment-changes", "signals"]


class Cluster:
    """The partitions of every topic."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self.partitions))


class Client:
    """A client as faust makes it."""

    _partition_assignment_strategy: tuple[Any, ...] = ("of faust",)


def assignors(monkeypatch: pytest.MonkeyPatch, *, rolling: bool = True) -> tuple[Any, ...]:
    """What a worker offers to share out partitions with, the one it prefers first."""
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: Client())
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.app = None
    monkeypatch.setattr(
        "resegment.streams.consumer.consumer_thread.config_of",
        lambda _: ConsumerConfig(rolling=rolling),
    )
    made: tuple[Any, ...] = thread._create_worker_consumer(None)._partition_assignment_strategy
    return made


@pytest.mark.parametrize(("partitions", "workers"), [(4, 1), (4, 2), (4, 3), (12, 5), (3, 4)])
def test_a_worker_reads_the_same_partitions_of_every_topic(
    monkeypatch: pytest.MonkeyPatch, partitions: int, workers: int
) -> None:
    first, *others = assignors(monkeypatch)
    assert others == ["of faust"]  # workers of the release before know no other
    members = {f"w{number}": ConsumerProtocolMemberMetadata(0, TOPICS, b"") for number in range(workers)}
    given: defaultdict[str, set[tuple[int, ...]]] = defaultdict(set)
    read: list[int] = []
    for member, one in first.assign(Cluster(partitions), members).items():
        for topic, numbers in one.assignment:
            given[member].add(tuple(numbers))
            read += numbers if topic == "signals" else []
    assert all(len(one) <= 1 for one in given.values())
    assert sorted(read) == list(range(partitions))


def test_a_worker_that_no_other_release_works_beside_offers_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert assignors(monkeypatch, rolling=False) == (RangePartitionAssignor,)
