"""Follow the topic `identities` in a worker, and carry out the merges and forgets that it asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from resegment.agents.batch import Publisher, PublishFailed
from resegment.errors import FatalError, TransientError
from resegment.identity.aliases import use_identities
from resegment.identity.merges import Identities, Operation
from resegment.schemas.identities.records import Settled
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.forgetting.forgetting import Forgetting
from resegment.streams.identities.execution import carry_out
from resegment.streams.identities.live import LivePrefix
from resegment.streams.identities.log import reading_identities, write_identity
from resegment.streams.identities.waiting import PARTITION, WaitingCount, WaitingEvents, again, put_in_again
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.prefix import note_identities, note_waiting
from resegment.streams.sealing.keys import ProcessKeys

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

SETTLING: Final = 1.0
"""Seconds within which every worker learns of a name that is resolved."""
LOOKS_EVERY: Final = 5.0
"""Seconds between two looks for forgets that are not recorded."""
AGAIN_AFTER: Final = 1.0
"""Seconds until what failed is tried again."""


class IdentityFollower:
    """Keeps what the process knows of identities up to date.

    The worker that owns partition 0 also carries out operations, one after another, and notes in Redis what holds.
    """

    def __init__(
        self,
        client: Redis,
        partitions: int,
        publisher: Publisher,
        source: SignalLog,
        leads: Callable[[], bool],
        note: Callable[[int], None] = lambda _: None,
        keys: ProcessKeys | None = None,
    ) -> None:
        """`leads` says whether this worker carries out merges now; `note` is called with how many events wait."""
        self._note = note
        self._client, self._source, self._publisher, self._leads = client, source, publisher, leads
        reader = PrefixReader(client, source.topics.prefix, partitions)
        self._forgetting = Forgetting(client, source.topics.prefix, partitions, keys)
        self._prefix = LivePrefix(reader, publisher, source, self._forgetting)
        self._looked = 0.0
        self.identities = Identities()
        self.waiting = WaitingEvents()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow and carry out until cancelled. What fails is done again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._lead())
            group.create_task(self._follow_waiting())

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except (TopicUnreadable, TransientError) as error:
                log.warning("the identities cannot be followed", reason=error.message)
                await asyncio.sleep(AGAIN_AFTER)

    async def _read(self) -> None:
        place = 0
        source = self._source
        async with reading_identities(source.bootstrap, source.topics, source.security) as reader:
            async for records in reader.to_end():
                place = self._take(place, [one.value for one in records])
            self._changed.set()
            async for records in reader.follow():
                place = self._take(place, [one.value for one in records])
                self._changed.set()

    def _take(self, place: int, values: list[bytes | None]) -> int:
        """Take those of the records from `place` on that are new, and return the place after them."""
        for value in values[max(0, self.identities.taken - place) :]:
            self.identities.take(value)
        use_identities(self.identities.names, self.identities.merged())
        return place + len(values)

    async def _lead(self) -> None:
        noted = -1
        while True:
            try:
                if self._leads():
                    if noted != self.identities.taken:
                        noted = self.identities.taken
                        await note_identities(self._client, self._source.topics.prefix, self.identities)
                    operation = self.identities.open
                    if operation is not None:
                        await self._carry_out(operation)
                        continue
                    if self.identities.unsettled_names:
                        await self._put_in_again(self.identities.unsettled_names)
                        continue
                    await self._record_pending()
                self._changed.clear()
                await asyncio.wait_for(self._changed.wait(), AGAIN_AFTER)
            except TimeoutError:
                continue
            except (TransientError, PublishFailed) as error:
                noted = -1
                log.warning("an operation is not carried out yet", reason=error.message)
                await asyncio.sleep(AGAIN_AFTER)

    async def _record_pending(self) -> None:
        """Record forgets whose command died before it could."""
        if time.monotonic() - self._looked < LOOKS_EVERY:
            return
        self._looked = time.monotonic()
        for one in await self._forgetting.find_orphans(self.identities):
            await write_identity(self._publisher, self._source.topics, one.wish)

    async def _put_in_again(self, names: Mapping[int, str]) -> None:
        """Put in again what waited for names that are resolved now; events that others set aside meanwhile, too."""
        source, known = self._source, dict(names)
        await asyncio.sleep(SETTLING)
        count = await put_in_again(
            set(known.values()),
            *(self._publisher, source.topics, source.bootstrap, source.security, source.opener),
        )
        self.waiting.forget(set(known.values()))
        log.info("events of resolved names are put in again", names=len(known), events=count)
        await write_identity(self._publisher, source.topics, *(Settled(op=one) for one in known))
        await self._wait_for(lambda: known.keys() <= self.identities.settled)

    async def _follow_waiting(self) -> None:
        while True:
            try:
                if self._leads():
                    await self._read_waiting()
                await asyncio.sleep(AGAIN_AFTER)
            except (TransientError, PublishFailed) as error:
                log.warning("the list of unresolved subjects cannot be followed", reason=error.message)
                await asyncio.sleep(AGAIN_AFTER)

    async def _read_waiting(self) -> None:
        """Count what waits while this worker leads, and put in again at once what waits for nothing any more."""
        source, self.waiting = self._source, WaitingEvents()
        topic = source.topics.unresolved.name
        async with reading(source.bootstrap, topic, [PARTITION], security=source.security) as reader:
            async for records in source.opener.each(reader.to_end()):
                for record in records:
                    self.waiting.take(record, self.identities)
            noted: WaitingCount | None = None
            while self._leads():
                if noted != self.waiting.total:
                    noted = self.waiting.total
                    self._note(noted[0])
                    await note_waiting(self._client, source.topics.prefix, noted)
                for record in await source.opener.open(await reader.next()):
                    if self.waiting.take(record, self.identities):
                        message = again(record, source.topics, self.identities.names)
                        if message is not None:
                            await self._publisher.publish([message])

    async def _carry_out(self, operation: Operation) -> None:
        refused = ""
        try:
            if operation.kind in ("merge", "unmerge"):
                for account in {operation.alias, *operation.path[:1]}:
                    await self._prefix.check(account)
            await carry_out(self._prefix, operation)
        except FatalError as error:
            refused = error.message
            log.warning("an operation cannot be carried out", alias=operation.alias, reason=error.message)
        await write_identity(
            self._publisher, self._source.topics, Settled(op=operation.number, refused=refused)
        )
        log.info(
            "an operation is carried out",
            kind=operation.kind,
            alias=operation.alias,
            account=operation.account,
        )
        await self._wait_for(lambda: operation.number in self.identities.settled)

    async def _wait_for(self, reached: Callable[[], bool]) -> None:
        """Return once what was written has been read. Raises TimeoutError."""
        async with asyncio.timeout(20.0):
            while not reached():
                self._changed.clear()
                await self._changed.wait()
