"""The faust application: the settings under which nothing is lost, run inside the caller's loop."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from faust.types.auth import CredentialsT

from resegment.errors import FatalError
from resegment.redaction import tell_error
from resegment.streams.kafka.group_offsets import enable_leaving
from resegment.streams.kafka.unpacking import FetchResult
from resegment.streams.shutdown import STOPPED_WITHIN, Stopping
from resegment.streams.transport.app import BatchedApp
from resegment.streams.transport.config import ConsumerConfig
from resegment.streams.transport.taking import Taken


class WorkerCrashed(FatalError):
    """A part of stream processing ended by itself; `cause` is its error."""

    def __init__(self, cause: BaseException | None) -> None:
        super().__init__(
            f"stream processing ended: {None if cause is None else tell_error(cause)}",
            remedy="See the log for what went wrong. If the worker ends the same way after a restart, report it with the log.",
        )
        self.cause = cause


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False  # messages go through KafkaPublisher, which awaits every acknowledgment
    enable_web = False


class _NoTables(TableManager):  # type: ignore[misc]
    async def on_start(self) -> None:
        """Start as faust does, but without the second that it waits for agents to create tables."""
        await self._update_channels()
        await self.recovery.start()


class Application(BatchedApp):
    """A faust application on the batched transport."""

    BootStrategy = _Boot

    def _create_directories(self) -> None:
        """Create none: no table is kept on disk."""

    async def crashed(self) -> WorkerCrashed:
        """Wait until a part of the application ends by itself, and return why."""
        await self._crashed.wait()
        return WorkerCrashed(self.crash_reason)


def create_app(
    group: str,
    bootstrap: str | Sequence[str],
    *,
    config: ConsumerConfig | None = None,
    credentials: CredentialsT | None = None,
    client_id: str = "resegment",
    session_timeout: float = 10.0,
    heartbeat_interval: float = 3.0,
    rebalance_timeout: float = 60.0,
    commit_interval: float = 1.0,
) -> Application:
    """Create an application that consumes as `group` from `bootstrap` (host:port, one or several).

    Times are in seconds. Call it inside the running loop, `bind` the agents, then enter `running`.
    The embedded broker answers the first join after half the session timeout: give it 6 s, and a heartbeat of 2 s.
    """
    # The router reads two topics, and needs the same partitions of both. Dealing them out in turn, as faust does,
    # gives them to different workers unless the workers divide the partitions.
    config = replace(
        config or ConsumerConfig(),
        assignors=(RangePartitionAssignor,),
        take=take_unpacked,
        leaving=enable_leaving,
    )
    hosts = bootstrap.split(",") if isinstance(bootstrap, str) else bootstrap
    return Application(
        group,
        consumer_config=config,
        broker=";".join(f"aiokafka-batched://{host.strip()}" for host in hosts),
        broker_client_id=client_id,
        broker_credentials=credentials,
        broker_session_timeout=session_timeout,
        broker_heartbeat_interval=heartbeat_interval,
        broker_rebalance_timeout=rebalance_timeout,
        # a join waits for the whole rebalance, so a request may take longer than that
        broker_request_timeout=rebalance_timeout + 30.0,
        broker_commit_interval=commit_interval,
        # a worker that waits for Redis fetches nothing, and must not be removed from the group for it
        broker_max_poll_interval=1_000_000.0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=int(config.metadata_age * 1000),
        stream_wait_empty=True,
        # the offset trackers hold back; faust's own back-pressure must not
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


def take_unpacked(result: FetchResult, limit: int) -> Taken | None:
    """Take records as they were unpacked, what cannot be read among them."""
    begin = result.next_offset
    records, size = result.take(limit)
    position = result.position
    return None if position is None else Taken(records, position if begin is None else begin, position, size)


@asynccontextmanager
async def running(app: Application, *, stopping: Stopping | None = None) -> AsyncIterator[Application]:
    """Run the application in the current loop; leaving the block stops it, as a step of `stopping`.

    A stop takes no new batch, waits for those in progress, commits, and leaves the group.
    """
    try:
        await app.start()
        yield app
    finally:
        await (stopping or Stopping()).step("the application", STOPPED_WITHIN, app.stop)
