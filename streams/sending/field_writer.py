"""Write the fields of accounts to a CRM: read changes and owners, gather them, and write only what is news."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from resegment.agents.batch import Record
from resegment.agents.sending.fields import find_news, keep_written, read_change, read_owner
from resegment.agents.sending.runner import Later, SignedOut, Unsettled
from resegment.agents.sending.sender import SIGN_IN_AGAIN, Condition
from resegment.agents.sending.work import Performer
from resegment.errors import ResegmentError, TransientError
from resegment.metrics import Metrics
from resegment.schemas.outgoing import CHANGE_TYPE
from resegment.schemas.times import format_instant
from resegment.sinks.port import FieldWriter, RecordFields
from resegment.state.sinks.fields import FieldStore
from resegment.streams.delivery.endpoint_consumer import RESTART_PAUSE, Subscription
from resegment.streams.kafka.group_offsets import leave, place

log = structlog.get_logger(__name__)

POLL_MS: Final = 200
GATHER: Final = 2.0
"""Seconds that changes are gathered before they are written, if there is less than a batch."""
MOST_RECORDS: Final = 1_000
LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts, at most, unless the vendor asks for more."""


class FieldsWriter:
    """The fields of one sink. Run it with `run`."""

    def __init__(
        self,
        performer: Performer,
        writer: FieldWriter,
        subscription: Subscription,
        store: FieldStore,
        metrics: Metrics,
    ) -> None:
        entry = performer.loaded.entry
        assert entry.fields is not None
        self.name, self.condition = performer.loaded.name, Condition()
        self.written = 0
        """How many records were written since the process started."""
        self._performer, self._writer, self._subscription = performer, writer, subscription
        self._store, self._metrics = store, metrics
        self._names = entry.fields.names
        self._pending: dict[str, dict[str, str | None]] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._since = 0.0

    def describe(self) -> dict[str, Any]:
        """Return its state as plain JSON data."""
        return {
            "fields": dict(self._names),
            "records_written": self.written,
            "records_pending": len(self._pending),
            "fields_problem": self.condition.signed_out or self.condition.problem,
        }

    async def run(self) -> None:
        """Write until canceled. Log each failure, and start over."""
        while True:
            try:
                await self._sweep_mapping()
                await self._consume()
            except (ResegmentError, KafkaError, OSError) as error:
                self.condition.problem = str(error)
                self._metrics.failures.labels("fields", type(error).__name__).inc()
                log.warning("fields cannot be written", sink=self.name, error=str(error) or repr(error))
            self.forget()
            await asyncio.sleep(RESTART_PAUSE)

    def forget(self) -> None:
        """Drop what is gathered, and where it ended: it is read again, for nothing of it was committed."""
        self._pending.clear()
        self._ends.clear()

    async def _sweep_mapping(self) -> None:
        """If fields have other names than before, write all accounts again, and empty the old ones."""
        known = await self._store.read_mapping()
        if known == self._names:
            return
        if known is not None:
            log.info("the names of fields changed: all records are written again", sink=self.name)
            async for account in self._store.accounts():
                self._pending.setdefault(account, {})
                if len(self._pending) >= self._performer.loaded.vendor.batch:
                    await self._flush()
            await self._flush()
        await self._store.write_mapping(self._names)

    async def _consume(self) -> None:
        where = self._subscription
        for topic in where.topics:
            while not await place(  # noqa: ASYNC110  # the topic is made by another process
                where.bootstrap, topic, where.group, earliest=True, security=where.security
            ):
                await asyncio.sleep(RESTART_PAUSE)
        consumer = where.make_consumer()
        await consumer.start()
        consumer.subscribe(list(where.topics), listener=_Listener(self))
        try:
            while True:
                fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)
                for tp, records in fetched.items():
                    self._gather(tp, await where.opener.open(records))
                    self._ends[tp] = records[-1].offset + 1
                if self._due():
                    await self._flush()
                if not self._pending and self._ends:
                    with suppress(
                        KafkaError
                    ):  # another process reads the partition now: it writes the same again
                        await consumer.commit(
                            {tp: end for tp, end in self._ends.items() if tp in consumer.assignment()}
                        )
                    self._ends.clear()
        finally:
            await leave(consumer)

    def _gather(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        read = read_change if self._subscription.topics[tp.topic] == CHANGE_TYPE else read_owner
        for record in records:
            try:
                account, values = read(record.value or b"")
            except msgspec.DecodeError:
                continue  # no change: webhooks and sinks put it into the dead letters
            if values:
                if not self._pending:
                    self._since = time.monotonic()
                self._pending.setdefault(account, {}).update(values)

    def _due(self) -> bool:
        waited = time.monotonic() - self._since
        return bool(self._pending) and (
            len(self._pending) >= self._performer.loaded.vendor.batch or waited >= GATHER
        )

    async def _flush(self) -> None:
        """Write what is gathered, however long that takes."""
        attempt = 0
        while self._pending:
            accounts = list(self._pending)[: self._performer.loaded.vendor.batch]
            given = {account: self._pending[account] for account in accounts}
            attempt += 1
            try:
                await self._write(given)
            except (Later, Unsettled) as later:
                wait = min(LONGEST_WAIT, 2.0 ** min(attempt, 10)) if later.wait is None else later.wait
                await self._wait(later.message, wait)
            except SignedOut as out:
                self.condition.signed_out = out.message
                await self._wait(out.message, SIGN_IN_AGAIN)
            except TransientError as error:
                await self._wait(error.message, 1.0)
            else:
                attempt = 0
                self.condition.problem = self.condition.signed_out = self.condition.failing_since = None
                for account in accounts:
                    self._pending.pop(account, None)

    async def _wait(self, problem: str, seconds: float) -> None:
        self.condition.problem = problem
        if self.condition.failing_since is None:
            self.condition.failing_since = time.time()
        for _ in range(max(1, int(seconds))):
            await asyncio.sleep(min(seconds, 1.0))
            if self.condition.signed_out is not None and self._performer.runner.has_new_secrets():
                return

    async def _write(self, given: Mapping[str, dict[str, str | None]]) -> None:
        accounts = list(given)
        before = await self._store.read(accounts)
        owners = self._performer.loaded.owners
        news = {
            account: find_news(before[account], given[account], self._names, owners) for account in accounts
        }
        records = [RecordFields(account, fields) for account, fields in news.items() if fields]
        results = await self._performer.runner.write(self._writer.write_fields(records)) if records else ()
        if self._performer.runner.settings.dry_run:
            return
        after = {}
        for result in results:
            account = result.account
            if result.outcome == "written":
                self.written += 1
                after[account] = keep_written(before[account], given[account], news[account], result.dropped)
            else:  # kept by our names, so that it is written with the next change
                after[account] = keep_written(before[account], given[account], {}, ())
            self._metrics.sink_commands.labels(self.name, "property", result.outcome).inc()
            if result.dropped or result.outcome == "refused":
                self._note(account, result.outcome, result.why, result.dropped)
        await self._store.write(after)

    def _note(self, account: str, outcome: str, why: str, dropped: tuple[str, ...]) -> None:
        text = (
            why or f"the vendor has no field {', '.join(dropped)}: add it there, or take it out of `fields`"
        )
        self.condition.notes.append(
            {
                "at": format_instant(int(time.time()) * 1000),
                "account": account,
                "action": "property",
                "workflow": "",
                "outcome": "partial" if outcome == "written" else outcome,
                "text": text[:500],
                "key": "",
            }
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Drops what is gathered when partitions move: it is read again, here or in another process."""

    def __init__(self, writer: FieldsWriter) -> None:
        self._writer = writer

    async def on_partitions_revoked(self, _: object) -> None:
        self._writer.forget()

    async def on_partitions_assigned(self, _: object) -> None:
        self._writer.forget()


def topics_of(
    changes: str, commands: str, names: Mapping[str, str], types: tuple[str, str]
) -> dict[str, str]:
    """Return the topics to read for these fields, each with the type of its events."""
    topics = {changes: types[0]}
    if "owner" in names:
        topics[commands] = types[1]
    return topics
