"""What brokers answer about topics, from answers in memory."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from resegment.streams.kafka import admin
from resegment.streams.kafka.admin import (
    NO_TOPIC,
    LogReplaced,
    PartitionsDiffer,
    TopicIdentity,
    TopicLooks,
    TopicsUnavailable,
)
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
        self.connections = self.open = self.questions = 0
        self.fails: list[Exception] = []

    def connect(self, **_: object) -> Brokers:
        self.connections += 1
        self._fail()
        self.open += 1
        return self

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop()

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        self._fail()
        self.questions += 1
        answers = {name: self.topics.get(name, (None, 0)) for name in reversed(names)}
        return [
            {"name": name, "topic_id": None if id_ is None else UUID(int=id_), "partitions": [{}] * count}
            for name, (id_, count) in answers.items()
        ]

    def close(self) -> None:
        self.open -= 1


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


async def test_a_topic_that_is_away_for_a_while_is_not_another_log(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resegment.streams.worker.loops.input_topics.CHECKED_EVERY", 0.0)
    inputs = await InputTopics.identify("nowhere", {}, TOPICS)
    del brokers.topics[EVENTS]
    checking = asyncio.create_task(inputs.check())
    async with asyncio.timeout(10):
        while brokers.questions < 4 and not checking.done():
            await asyncio.sleep(0)
    assert not checking.done()
    checking.cancel()
    await asyncio.gather(checking, return_exceptions=True)


def test_many_questions_are_asked_over_one_connection(brokers: Brokers) -> None:
    looks = TopicLooks("nowhere", {})
    for _ in range(3):
        assert looks.identify([CHANGES]) == {CHANGES: TopicIdentity(str(UUID(int=2)), 4)}
    assert (brokers.connections, brokers.open) == (1, 1)
    looks.close()
    assert brokers.open == 0


@pytest.mark.parametrize("failure", [KafkaConnectionError("reset"), RuntimeError("its thread is gone")])
def test_a_question_is_asked_again_where_the_connection_from_before_has_failed(
    brokers: Brokers, failure: Exception
) -> None:
    looks = TopicLooks("nowhere", {})
    looks.identify([CHANGES])
    brokers.fails = [failure]
    assert looks.identify([CHANGES])[CHANGES].partitions == 4
    assert (brokers.connections, brokers.open) == (2, 1)


def test_brokers_that_do_not_answer_leave_no_connection_and_are_asked_again_later(brokers: Brokers) -> None:
    looks = TopicLooks("nowhere", {})
    brokers.fails = [KafkaTimeoutError()]
    with pytest.raises(TopicsUnavailable, match="nowhere"):
        looks.identify([CHANGES])
    looks.identify([CHANGES])
    brokers.fails = [KafkaTimeoutError(), KafkaConnectionError("reset")]
    with pytest.raises(TopicsUnavailable, match="nowhere"):
        looks.identify([CHANGES])
    assert brokers.open == 0
    assert looks.identify([CHANGES])[CHANGES].partitions == 4


def test_a_connection_that_is_closed_during_a_question_is_gone_after_it(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = TopicLooks("nowhere", {})
    open_during = []

    def describe(_: Sequence[str]) -> list[dict[str, Any]]:
        looks.close()
        open_during.append(brokers.open)
        return []

    monkeypatch.setattr(brokers, "describe_topics", describe)
    looks.identify([CHANGES])
    assert (open_during, brokers.open) == ([1], 0)


def test_a_question_that_no_broker_answers_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        with pytest.raises(TopicsUnavailable):
            admin.identify_topics(f"127.0.0.1:{silent.getsockname()[1]}", [SIGNALS], bootstrap_timeout_ms=100)
    assert threading.active_count() == before
