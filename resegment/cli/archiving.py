"""Compose an archiver from settings, for `archive` and for the processes that archive beside their work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from resegment.archive.lease import ArchiveBusy
from resegment.archive.storage import Storage
from resegment.errors import ResegmentError
from resegment.redaction import tell_error
from resegment.state.keys.opening import has_keys
from resegment.state.redis.client import connect_redis
from resegment.state.redis.refused_records import RefusedRecords
from resegment.streams.archive_report import ArchiveReports
from resegment.streams.archiving.archiver import ArchivedPrefix, Archiver, TopicProgress, describe_progress
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.topics import Topics

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.metrics import Metrics
    from resegment.settings import Settings

log = structlog.get_logger(__name__)

TRIED_EVERY: Final = 10.0
"""Seconds until a worker looks again whether another one still archives, or whether a problem is solved."""


class ArchiveRun:
    """One archiver of a prefix, which reports how far it is."""

    def __init__(
        self,
        settings: Settings,
        path: str,
        held: Mapping[str, str],
        *,
        bootstrap: str,
        client: Redis,
        metrics: Metrics | None = None,
    ) -> None:
        """`held` is the record of the prefix. Raises ArchiveUnusable."""
        self.path = path
        self._metrics, self._reports = metrics, ArchiveReports(client, settings.prefix)
        on_facts = held.get("clock") == "facts"
        prefix = ArchivedPrefix(
            Topics(settings.prefix),
            int(held["partitions"]),
            "facts" if on_facts else "wall",
            bootstrap,
            secure_kafka(settings).clients(),
            None if on_facts else _Refused(RefusedRecords(client, settings.prefix)),
            has_keys(settings),
        )
        self._archiver = Archiver(Storage(path), prefix, settings.archive_every)

    async def run(self, stop: asyncio.Event | None) -> dict[str, TopicProgress]:
        """See `Archiver.run`."""
        return await self._archiver.run(stop, self._report)

    async def _report(self, progress: Mapping[str, TopicProgress]) -> None:
        if self._metrics is not None:
            self._metrics.archive_failing.set(0)
            for name, one in progress.items():
                self._metrics.archive_lag.labels(name).set(one.lag)
                self._metrics.archive_gaps.labels(name).set(one.gaps)
        await self._reports.write(self.path, describe_progress(progress))

    def stand_by(self) -> None:
        """Note that another process archives."""
        if self._metrics is not None:
            self._metrics.archive_failing.set(0)

    async def report_problem(self, problem: str) -> None:
        """Let `status` say why nothing is archived. Raises StoreUnavailable."""
        if self._metrics is not None:
            self._metrics.archive_failing.set(1)
        await self._reports.write_problem(self.path, problem)


class _Refused:
    """Gives the records of a partition that workers refused."""

    def __init__(self, records: RefusedRecords) -> None:
        self._records = records

    async def __call__(self, partition: int) -> list[tuple[int, int]]:
        return sorted(await self._records.read(partition))


@asynccontextmanager
async def archiving(
    settings: Settings, path: str, *, bootstrap: str, redis_url: str, metrics: Metrics
) -> AsyncIterator[None]:
    """Archive to the path in the block, whenever no other process does.

    A problem of the archive stops nothing else: it is logged, `status` shows it, and it is tried again.
    """
    client = connect_redis(settings, redis_url)
    held = {"clock": settings.clock, "partitions": str(settings.partitions)}
    run = ArchiveRun(settings, path, held, bootstrap=bootstrap, client=client, metrics=metrics)
    stop = asyncio.Event()
    task = asyncio.create_task(_keep_on(run, stop))
    try:
        yield
    finally:
        stop.set()
        try:
            async with asyncio.timeout(settings.drain_timeout):
                await task
        except TimeoutError:
            log.warning("the archive was not finished: it continues at the next start", path=run.path)
        finally:
            await client.aclose()


async def _keep_on(run: ArchiveRun, stop: asyncio.Event) -> None:
    said = ""
    while not stop.is_set():
        try:
            await run.run(stop)
        except ArchiveBusy:
            run.stand_by()
        except ResegmentError as error:
            if error.message != said:
                log.error(  # noqa: TRY400  # the message says all
                    "nothing is archived for now", reason=error.message, remedy=error.remedy
                )
            said = error.message
            await _tell(run, error.message)
        except Exception as error:  # the worker's work does not rest on it
            problem = f"it failed: {tell_error(error)}"
            if problem != said:
                log.exception("nothing is archived for now")
            said = problem
            await _tell(run, problem)
        if not stop.is_set():
            await asyncio.wait({asyncio.ensure_future(stop.wait())}, timeout=TRIED_EVERY)


async def _tell(run: ArchiveRun, problem: str) -> None:
    try:
        await run.report_problem(problem)
    except ResegmentError:
        log.debug("the problem of the archive was not reported")
