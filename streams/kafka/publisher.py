"""Publish messages to Kafka in batches, and wait until all are acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    MessageSizeTooLargeError,
    UnknownError,
    UnsupportedVersionError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from resegment.agents.batch import Message, PublishFailed
from resegment.errors import TransientError
from resegment.schemas.partitioning import partition_of

log = logging.getLogger(__name__)

NO_PRODUCER_IDS: Final = (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    UnknownError,  # what the embedded broker answers
    UnsupportedVersionError,
)
"""Errors of a broker that assigns no producer ids to this client. After any other the same may succeed later."""


class KafkaPublisher:
    """A `Publisher` with its own producer: `acks=all`, and idempotent where the broker supports it.

    `timeout` bounds a whole `publish`, in seconds; `security` is what aiokafka takes (`security_protocol`,
    `ssl_context`, `sasl_*`). After a failure the next `publish` begins with a new producer, so that sequence
    numbers of the failed one cannot get in the way.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        *,
        client_id: str = "resegment",
        idempotent: bool = True,
        batch_bytes: int = 256 * 1024,
        compression: str | None = None,
        timeout: float = 30.0,
        security: Mapping[str, Any] | None = None,
        seal: Callable[[Sequence[Message]], Awaitable[Sequence[Message]]] | None = None,
    ) -> None:
        """`seal` is what seals messages as they are published."""
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "acks": "all",
            "max_batch_size": batch_bytes,
            "compression_type": compression,
            "request_timeout_ms": int(timeout * 1000),
            **(security or {}),
        }
        self._idempotent, self._seal = idempotent, seal
        self._timeout = timeout
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._partitions: dict[str, int] = {}
        self._turn = count()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect. Raises `PublishFailed` if no broker answers."""
        try:
            await self._ready()
        except (KafkaError, TimeoutError) as error:
            raise PublishFailed((), error) from error

    async def look(self) -> None:
        """See whether a broker answers. Raises `PublishFailed` if none does."""
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._ready()
                await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise PublishFailed((), error) from error

    async def stop(self) -> None:
        """Close the connections. Everything for which `publish` returned is already acknowledged."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _discard(producer)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order and return when every one is acknowledged by all in-sync replicas.

        Raises PublishFailed, also where messages are to be sealed and the keys cannot be had now.
        """
        if not messages:
            return
        if self._seal is not None:
            try:
                messages = await self._seal(messages)
            except TransientError as error:
                raise PublishFailed(sorted({message.topic for message in messages}), error) from error
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._timeout):
                producer = await self._ready()
                for topic in {message.topic for message in messages} - self._partitions.keys():
                    self._partitions[topic] = len(await producer.partitions_for(topic))
                acks = [
                    await producer.send_batch(batch, topic, partition=partition)
                    for (topic, partition), batch in self._build(producer, messages)
                ]
                await asyncio.gather(*acks)
        except (KafkaError, TimeoutError, AssertionError) as error:
            # an assertion is how the client says that there is no such partition: the topic is a new one
            self._partitions.clear()
            if producer is not None and producer is self._producer:
                self._producer = None
                await _discard(producer)
            topics = sorted({message.topic for message in messages})
            too_large = isinstance(error, MessageSizeTooLargeError)
            raise PublishFailed(topics, error, too_large=too_large) from error

    def _build(
        self, producer: AIOKafkaProducer, messages: Sequence[Message]
    ) -> list[tuple[tuple[str, int], BatchBuilder]]:
        built: list[tuple[tuple[str, int], BatchBuilder]] = []
        open_ones: dict[tuple[str, int], BatchBuilder] = {}
        partitions = self._partitions
        for topic, key, value, headers, given_partition, timestamp in messages:
            if given_partition is not None:
                target = topic, given_partition
            elif key is not None:
                target = topic, partition_of(key, partitions[topic])
            else:
                target = topic, next(self._turn) % partitions[topic]
            batch = open_ones.get(target)
            given = list(headers)
            if (
                batch is None
                or batch.append(timestamp=timestamp, key=key, value=value, headers=given) is None
            ):
                batch = open_ones[target] = producer.create_batch()
                batch.append(timestamp=timestamp, key=key, value=value, headers=given)
                built.append((target, batch))
        for _, batch in built:
            batch.close()  # otherwise messages of another caller could slip in
        return built

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def _connect(self) -> AIOKafkaProducer:
        if self._idempotent:
            try:
                return await self._start_producer(idempotent=True)
            except NO_PRODUCER_IDS as error:
                # only this producer does without: the next one asks again
                log.info("The broker assigns no producer id (%r): publishing without idempotence", error)
        return await self._start_producer(idempotent=False)

    async def _start_producer(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._settings, enable_idempotence=idempotent)
        try:
            await producer.start()
        except BaseException:
            await _discard(producer)
            raise
        return producer


async def _discard(producer: AIOKafkaProducer) -> None:
    # stop() first waits for all batches, which never ends while the broker is down
    with suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), 1.0)
    await producer.client.close()
