"""The running prefix, as the execution of a merge sees and changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from resegment.agents.batch import Batch, Message, Publisher
from resegment.agents.deciding.folding import begins_at_its_beginning
from resegment.agents.deciding.merging import AccountFacts
from resegment.errors import FatalError
from resegment.identity.merges import Operation
from resegment.schemas.definitions.marks import decode_changeover
from resegment.schemas.fact import Fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.state import Identity
from resegment.schemas.times import NEVER
from resegment.state.redis.keys import Stage
from resegment.state.redis.reader import PrefixReader
from resegment.streams.ahead import leave_out
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.forgetting.forgetting import Forgetting
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.message_factory import tell

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 0.05
"""Seconds between two looks at an account or a partition."""
PATIENCE: Final = 30.0
"""Seconds to wait for the router. A worker without one hands nothing over."""


class HistoryGone(FatalError):
    """The log no longer has all facts of an account, so they cannot be given to another one."""

    def __init__(self, account: str, partition: int) -> None:
        super().__init__(
            f"the log of partition {partition} no longer has everything that is known of {account}",
            remedy="Ingest the history into a new prefix, with the alias in the file of RESEGMENT_ALIASES.",
        )
        self.account, self.partition = account, partition


class LivePrefix:
    """See `resegment.streams.identities.execution.World`."""

    def __init__(
        self,
        reader: PrefixReader,
        publisher: Publisher,
        source: SignalLog,
        forgetting: Forgetting,
    ) -> None:
        self.signals = source.topics.signals.name
        self._reader, self._publisher, self._source = reader, publisher, source
        self._forgetting = forgetting

    def partition_of(self, account: str) -> int:
        return self._reader.partition_of(account)

    async def check(self, account: str) -> None:
        """Raise HistoryGone if the log does not have all facts of the account."""
        number = self.partition_of(account)
        position = await self._reader.position(number)
        known = position is None or begins_at_its_beginning(position)
        source = self._source
        async with reading(source.bootstrap, self.signals, [number], security=source.security) as reader:
            if reader.newest_beginning > 0 or not known:
                raise HistoryGone(account, number)

    async def publish(self, messages: Sequence[Message]) -> None:
        await self._publisher.publish(messages)

    async def identity(self, account: str) -> Identity:
        (state,) = await self._reader.states([account])
        return Identity() if state is None or state.identity is None else state.identity

    async def sequence(self, account: str) -> int:
        (state,) = await self._reader.states([account])
        return 0 if state is None else state.sequence

    async def until(self, account: str, reached: Callable[[Identity], bool]) -> None:
        while not reached(await self.identity(account)):  # noqa: ASYNC110  # it is Redis that knows
            await asyncio.sleep(LOOKED_AT)

    async def facts(self, account: str, upto: int) -> Sequence[Fact]:
        number, source = self.partition_of(account), self._source
        found = AccountFacts(account)
        async with reading(source.bootstrap, self.signals, [number], security=source.security) as reader:
            async for records in reader.to_end():
                wanted = [one for one in records if one.offset < upto]
                if not wanted:
                    break
                kept = await leave_out(source.ahead, Batch(self.signals, number, wanted))
                found.take(kept)
                await asyncio.sleep(0)
        return found.facts

    async def handed_over(self, alias: str, account: str, at: int) -> None:
        (state,) = await self._reader.states([alias])
        if state is None or not state.sequence:
            return  # the alias was never announced
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._has_inherited(alias, account, at):  # noqa: ASYNC110  # the same
                    await asyncio.sleep(LOOKED_AT)
        except TimeoutError:
            log.warning("the router has not handed over an account", alias=alias, account=account)

    async def _has_inherited(self, alias: str, account: str, at: int) -> bool:
        (routed,) = await self._reader.routed([account])
        return routed is not None and routed.inherited.get(alias, -1) >= at

    async def shred(self, operation: Operation) -> None:
        await self._forgetting.shred(operation)

    async def allow(self, operation: Operation) -> None:
        await self._forgetting.allow(operation)

    async def clear(self, operation: Operation) -> None:
        await self._forgetting.clear(operation)

    async def unprepared(self, account: str) -> None:
        number = self.partition_of(account)
        while await self._is_prepared(number):  # noqa: ASYNC110  # the same
            await asyncio.sleep(LOOKED_AT)

    async def _is_prepared(self, number: int) -> bool:
        position = await self._reader.position(number)
        return position is not None and decode_changeover(position.definition).preparing is not None

    async def unrouted(self, account: str, number: int, at: int) -> None:
        if await self._reader.position(self.partition_of(account), "router") is None:
            return  # no router has ever worked on the partition
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while not await self._has_forgotten(account, number):  # noqa: ASYNC110  # the same
                        await asyncio.sleep(LOOKED_AT)
                    await self._told(self.partition_of(account))
                    return
            log.warning("the router has not forgotten an account yet", account=account)
            await self._tell_again(account, number, at)

    async def _has_forgotten(self, account: str, number: int) -> bool:
        (routed,) = await self._reader.routed([account])
        return routed is not None and routed.forgets >= number

    async def _told(self, number: int) -> None:
        """Return once the router has read all that it is told now, and what it made is published.

        What is sealed until then may speak of the person: after this, the key of these messages is destroyed.
        """
        source, events = self._source, self._source.topics.routing_events.name
        await self._published(number, "segmenter")
        async with reading(source.bootstrap, events, [number], security=source.security) as reader:
            end = (await reader.ends())[number]
        while True:
            position = await self._reader.position(number, "router")
            if position is None or position.side >= end:
                break
            await asyncio.sleep(LOOKED_AT)
        await self._published(number, "router")

    async def _published(self, number: int, stage: Stage) -> None:
        """Return once everything is published that a stage has committed by now."""
        now = await self._reader.now()
        while (await self._reader.oldest_unpublished(number, stage) or NEVER) <= now:  # noqa: ASYNC110  # the same
            await asyncio.sleep(LOOKED_AT)

    async def _tell_again(self, account: str, number: int, at: int) -> None:
        """Tell the router again: it was restored since, from topics that do not say what it was told."""
        (state,) = await self._reader.states([account])
        identity = None if state is None else state.identity
        if state is None or identity is None:
            return
        person = not (identity.forgotten and identity.forgets == number)
        event = Forgotten(account=account, at=at, sequence=state.sequence, op=number, person=person)
        await self._publisher.publish([tell(self._source.topics.routing_events.name, event)])

    async def worked_off(self, account: str) -> None:
        number, source = self.partition_of(account), self._source
        async with reading(source.bootstrap, self.signals, [number], security=source.security) as reader:
            end = (await reader.ends())[number]
        while True:
            position = await self._reader.position(number)
            if position is not None and position.offset >= end:
                return
            await asyncio.sleep(LOOKED_AT)
