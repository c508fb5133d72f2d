"""The faust application, with the settings that lose nothing, run inside a loop that others own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.types.auth import CredentialsT

from resegment.errors import FatalError
from resegment.streams.consumer.config import Feed, Standing
from resegment.streams.consumer.transport import Consumer, Transport
from resegment.streams.shutdown import STOPPED_WITHIN, Stopping


class WorkerCrashed(FatalError):
    """A part of the stream processing ended by itself; `cause` is its error."""

    def __init__(self, cause: BaseException | None) -> None:
        super().__init__(
            f"stream processing ended: {cause!r}", remedy="See the log, then start the worker again."
        )
        self.cause = cause


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False  # what is published goes through KafkaPublisher, which awaits every ack
    enable_web = False


class _NoTables(TableManager):  # type: ignore[misc]
    async def on_start(self) -> None:
        """Start as faust does, without the second that it waits for agents to make tables."""
        await self._update_channels()
        await self.recovery.start()


class Application(faust.App):  # type: ignore[misc]
    """A faust application on the batched transport."""

    BootStrategy = _Boot
    consumer: Consumer

    def __init__(self, *args: Any, feed: Feed, **options: Any) -> None:
        self.feed = feed
        super().__init__(*args, **options)

    def _new_transport(self) -> Transport:
        # not by the URL's scheme: that would work only where the package's entry points are installed
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return self._new_transport()

    def _create_directories(self) -> None:
        """Make none: no table is kept on disk."""

    async def restart(self, topic: str, partition: int) -> None:
        """Drop what was handed out of one partition and read it again from its position hook's offset.

        Returns when the new position is taken; a partition that is not owned is left alone.
        """
        await self.consumer.restart(topic, partition)

    def owned(self) -> list[tuple[str, int]]:
        """Return topic and partition of what this worker owns now."""
        return self.consumer.owned()

    async def standings(self) -> list[Standing]:
        """Return offset, end and lag of each owned partition; the ends are asked from the broker."""
        return await self.consumer.standings()

    async def crashed(self) -> WorkerCrashed:
        """Wait until a part of the application ends by itself, and return why."""
        await self._crashed.wait()
        return WorkerCrashed(self.crash_reason)


def create_app(
    group: str,
    bootstrap: str | Sequence[str],
    *,
    feed: Feed | None = None,
    credentials: CredentialsT | None = None,
    client_id: str = "resegment",
    session_timeout: float = 10.0,
    heartbeat_interval: float = 3.0,
    rebalance_timeout: float = 60.0,
    commit_interval: float = 1.0,
) -> Application:
    """Make an application that consumes as `group` from `bootstrap` (host:port, one or several).

    Times are seconds. Call it inside the running loop, `bind` the agents, then enter `running`.
    The embedded broker wants a session timeout of 6 s and a heartbeat of 2 s: it answers the first join
    after half the session timeout.
    """
    hosts = bootstrap.split(",") if isinstance(bootstrap, str) else bootstrap
    return Application(
        group,
        feed=feed or Feed(),
        broker=";".join(f"aiokafka-batched://{host.strip()}" for host in hosts),
        broker_client_id=client_id,
        broker_credentials=credentials,
        broker_session_timeout=session_timeout,
        broker_heartbeat_interval=heartbeat_interval,
        broker_rebalance_timeout=rebalance_timeout,
        # a join waits for the whole rebalance, so a request may take longer than that
        broker_request_timeout=rebalance_timeout + 30.0,
        broker_commit_interval=commit_interval,
        # a worker that waits for Redis fetches nothing; it must not be thrown out of the group for it
        broker_max_poll_interval=1_000_000.0,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=True,
        # the lanes hold back; faust's own pressure mechanism must not
        stream_buffer_maxsize=1_000_000,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        producer_acks=-1,
        TableManager=_NoTables,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"{group}-unused",
        autodiscover=False,
    )


@asynccontextmanager
async def running(app: Application, *, stopping: Stopping | None = None) -> AsyncIterator[Application]:
    """Run the application in the current loop; leaving stops it, as a step of `stopping`.

    A stop takes no new batch, waits for the ones in work, commits and leaves the group.
    """
    try:
        await app.start()
        yield app
    finally:
        await (stopping or Stopping()).step("the application", STOPPED_WITHIN, app.stop)
