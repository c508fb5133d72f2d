"""The client is made as the settings say: how partitions are shared out, and what is read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.transport.drivers import aiokafka as driver

from resegment.streams.consumer.application import create_app
from resegment.streams.transport.config import ConsumerConfig
from resegment.streams.transport.consumer_thread import ConsumerThread

TOPICS = ["outcomes", "routing-events", "segment-changes", "signals"]
RANGE = ConsumerConfig(assignors=(RangePartitionAssignor,))


class Cluster:
    """The partitions of every topic."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions

    def partitions_for_topic(self, _: str) -> set[int]:
        return set(range(self.partitions))


class Client:
    """A client as faust makes it."""

    _partition_assignment_strategy: tuple[Any, ...] = ("of faust",)
    _isolation_level = "read_uncommitted"
    _fetch_max_wait_ms = 1500


def make_client(monkeypatch: pytest.MonkeyPatch, config: ConsumerConfig) -> Any:
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: Client())
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.app = type("App", (), {"consumer_config": config})()
    return thread._create_worker_consumer(None)


@pytest.mark.parametrize(("partitions", "workers"), [(4, 1), (4, 2), (4, 3), (12, 5), (3, 4)])
def test_a_worker_reads_the_same_partitions_of_every_topic(
    monkeypatch: pytest.MonkeyPatch, partitions: int, workers: int
) -> None:
    first, *others = make_client(monkeypatch, RANGE)._partition_assignment_strategy
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
    client = make_client(monkeypatch, replace(RANGE, rolling=False))
    assert client._partition_assignment_strategy == (RangePartitionAssignor,)


def test_without_settings_partitions_are_shared_out_as_faust_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_client(monkeypatch, ConsumerConfig())._partition_assignment_strategy == ("of faust",)


def test_the_client_reads_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client(monkeypatch, ConsumerConfig(fetch_wait=0.25, isolation_level="read_uncommitted"))
    assert (client._fetch_max_wait_ms, client._isolation_level) == (250, "read_uncommitted")
    assert make_client(monkeypatch, ConsumerConfig())._isolation_level == "read_committed"


def test_every_application_of_the_project_reads_the_same_partitions_of_its_topics() -> None:
    app = create_app("group", "localhost:1", config=ConsumerConfig(chunk_size=7))
    assert app.consumer_config.assignors == (RangePartitionAssignor,)
    assert app.consumer_config.chunk_size == 7
