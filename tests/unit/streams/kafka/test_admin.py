"""What brokers answer about topics, from answers in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from resegment.streams.kafka import admin
from resegment.streams.kafka.admin import NO_TOPIC, LogReplaced, PartitionsDiffer, TopicIdentity
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker.loops.input_topics import InputTopics

TOPICS = Topics("unit")
SIGNALS, CHANGES, EVENTS = (
    one.name for one in (TOPICS.signals, TOPICS.segment_changes, TOPICS.routing_events)
)


class Brokers:
    """Topics with id and number of partitions, and how many clients asked for them."""

    def __init__(self) -> None:
        self.topics = {SIGNALS: (1, 4), CHANGES: (2, 4), EVENTS: (3, 4)}
        self.connections = 0

    def connect(self, **_: object) -> Brokers:
        self.connections += 1
        return self

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "topic_id": UUID(int=self.topics[name][0]),
                "partitions": [{}] * self.topics[name][1],
            }
            for name in reversed(names)
            if name in self.topics
        ]

    def close(self) -> None:
        pass


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    monkeypatch.setattr(admin, "KafkaAdminClient", brokers.connect)
    return brokers


def test_all_topics_are_identified_over_one_connection_in_whatever_order_they_come(brokers: Brokers) -> None:
    assert admin.identify_topics("nowhere", [SIGNALS, CHANGES, "gone"]) == {
        SIGNALS: TopicIdentity(str(UUID(int=1)), 4),
        CHANGES: TopicIdentity(str(UUID(int=2)), 4),
        "gone": TopicIdentity(NO_TOPIC, 0),
    }
    assert brokers.connections == 1


async def test_a_recovery_names_the_logs_as_a_worker_does(brokers: Brokers) -> None:
    inputs = await InputTopics.identify("nowhere", {}, TOPICS)
    assert admin.read_log_ids("nowhere", TOPICS) == (inputs.log_of(SIGNALS), inputs.log_of(CHANGES, EVENTS))
    assert brokers.connections == 2


@pytest.mark.parametrize(
    ("topic", "found", "error"), [(EVENTS, (9, 4), LogReplaced), (CHANGES, (2, 5), PartitionsDiffer)]
)
async def test_a_check_tells_another_log_and_new_partitions_of_any_input(
    brokers: Brokers,
    topic: str,
    found: tuple[int, int],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resegment.streams.worker.loops.input_topics.CHECKED_EVERY", 0.0)
    inputs = await InputTopics.identify("nowhere", {}, TOPICS)
    brokers.topics[topic] = found
    with pytest.raises(error, match=topic):
        await inputs.check()
