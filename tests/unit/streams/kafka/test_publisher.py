from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    KafkaError,
    MessageSizeTooLargeError,
    UnsupportedVersionError,
)

from resegment.agents.batch import Message, PublishFailed
from resegment.streams.kafka import publisher as module
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics


class Client:
    async def close(self) -> None: ...


class Producer:
    """A producer whose starts with idempotence fail as told, one after the other."""

    failures: ClassVar[list[KafkaError]]
    made: ClassVar[list[bool]]

    def __init__(self, *, enable_idempotence: bool, **_: Any) -> None:
        self.idempotent = enable_idempotence
        self.client = Client()

    async def start(self) -> None:
        if self.idempotent and self.failures:
            raise self.failures.pop(0)
        self.made.append(self.idempotent)

    async def stop(self) -> None: ...


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> type[Producer]:
    class Mine(Producer):
        failures: ClassVar[list[KafkaError]] = []
        made: ClassVar[list[bool]] = []

    monkeypatch.setattr(module, "AIOKafkaProducer", Mine)
    return Mine


async def test_an_error_that_passes_does_not_cost_idempotence(producers: type[Producer]) -> None:
    producers.failures = [CoordinatorNotAvailableError()]
    publisher = KafkaPublisher("nowhere")
    with pytest.raises(PublishFailed):
        await publisher.start()
    await publisher.start()
    assert producers.made == [True]


async def test_a_broker_without_producer_ids_is_asked_for_one_again_at_the_next_connection(
    producers: type[Producer],
) -> None:
    producers.failures = [UnsupportedVersionError()]
    publisher = KafkaPublisher("nowhere")
    await publisher.start()
    await publisher.stop()
    await publisher.start()
    assert producers.made == [False, True]


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), CoordinatorNotAvailableError()])
async def test_a_failure_says_whether_the_messages_are_too_large(
    producers: type[Producer], monkeypatch: pytest.MonkeyPatch, error: KafkaError
) -> None:
    class Refusing(producers):  # type: ignore[misc, valid-type]
        async def partitions_for(self, topic: str) -> set[int]:
            raise error

    monkeypatch.setattr(module, "AIOKafkaProducer", Refusing)
    with pytest.raises(PublishFailed) as failed:
        await KafkaPublisher("nowhere").publish([Message("t", None, b"")])
    assert failed.value.too_large is isinstance(error, MessageSizeTooLargeError)


def test_topics_take_messages_of_a_million_bytes_whatever_the_brokers_own_limit_is() -> None:
    assert {topic.configs["max.message.bytes"] for topic in Topics("p")} == {"1048588"}


async def test_a_topic_that_was_made_again_with_fewer_partitions_is_looked_up_again(
    producers: type[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = [8, 1]
    sent: list[int] = []

    class Shrinking(producers):  # type: ignore[misc, valid-type]
        async def partitions_for(self, topic: str) -> set[int]:
            return set(range(counts.pop(0)))

        def create_batch(self) -> Any:
            return DefaultRecordBatch()

        async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
            assert partition == 0, "Unrecognized partition"
            sent.append(partition)
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

    class DefaultRecordBatch:
        def append(self, **_: Any) -> object:
            return object()

        def close(self) -> None: ...

    monkeypatch.setattr(module, "AIOKafkaProducer", Shrinking)
    publisher, message = KafkaPublisher("nowhere"), Message("t", None, b"", partition=5)
    with pytest.raises(PublishFailed):
        await publisher.publish([message])
    await publisher.publish([Message("t", b"key", b"")])
    assert (sent, counts) == ([0], [])
