"""A faust application on the batched transport."""

from __future__ import annotations

from typing import Any

import faust

from resegment.streams.transport.config import ConsumerConfig, PartitionProgress
from resegment.streams.transport.transport import Consumer, Transport


class BatchedApp(faust.App):  # type: ignore[misc]
    """Takes its `consumer_config` as a value, and its transport without an entry point."""

    consumer: Consumer

    def __init__(self, *args: Any, consumer_config: ConsumerConfig | None = None, **options: Any) -> None:
        self.consumer_config = consumer_config or ConsumerConfig()
        super().__init__(*args, **options)

    def _new_transport(self) -> Transport:
        # not looked up by the URL's scheme: that needs the package's entry points to be installed
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return self._new_transport()

    async def restart(self, topic: str, partition: int) -> None:
        """Drop what was handed out of one partition, and read it again from the offset that its hook returns.

        Return when reading begins at the new position. A partition that is not owned is left alone.
        """
        await self.consumer.restart(topic, partition)

    def owned(self) -> list[tuple[str, int]]:
        """Return topic and partition of everything that this worker owns now."""
        return self.consumer.owned()

    async def partition_progress(self) -> list[PartitionProgress]:
        """Return offset, end and lag of each owned partition; the broker is asked for the ends."""
        return await self.consumer.partition_progress()
