"""A prefix in memory with several partitions, on which merges of accounts are carried out while events arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from resegment.agents.batch import Message, RecordedMessage
from resegment.agents.deciding.merging import AccountFacts
from resegment.identity.merges import Identities, Operation
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.records import IdentityRecord, Settled, encode_identity_record
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.partitioning import partition_of
from resegment.schemas.state import AccountState, Identity
from resegment.streams.identities.execution import carry_out
from tests.builders import Json, Rig, ticking

SIGNALS = "signals"


class Interrupted(Exception):
    """The execution was killed."""


class Prefix:
    """Some partitions of `signals`, each with its segmenter, and the topic `identities`.

    It is a `World`. While something waits, partitions read on in random order, and events arrive from `traffic`.
    """

    signals = SIGNALS

    def __init__(self, file: Json, partitions: int, seed: int = 0, traffic: Iterable[Fact] = ()) -> None:
        self.draw = random.Random(seed)
        self.rigs = [Rig(file) for _ in range(partitions)]
        self.logs: list[list[RecordedMessage]] = [[] for _ in range(partitions)]
        self.identities = Identities()
        self.traffic = list(traffic)
        self.clock = 0
        self.told: list[Message] = []
        """What the router was told."""
        self.kills = 0.0
        """How likely the execution is killed at each of its questions."""
        self.pace = 0.0
        """How likely an event arrives whenever a partition reads on."""

    async def take(self) -> Prefix:
        for rig in self.rigs:
            await rig.take()
        return self

    # Events and merges

    def send(self, fact: Fact) -> None:
        """Append the signal of a fact, as intake does."""
        self.clock = max(self.clock, fact.recorded)
        self._append(Message(SIGNALS, fact.account.encode(), encode_fact(fact), timestamp=fact.recorded))

    def send_next(self) -> None:
        if self.traffic:
            self.send(self.traffic.pop(0))

    def wish(self, record: IdentityRecord) -> None:
        """Append a record to `identities`."""
        self.identities.take(encode_identity_record(record))

    async def carry_out_all(self) -> None:
        """Carry out all that is open, again after each kill."""
        while (operation := self.identities.open) is not None:
            try:
                await carry_out(self, operation)
            except Interrupted:
                continue
            self.wish(Settled(op=operation.number))
        await self.settle()

    async def settle(self, until: int | None = None) -> None:
        """Let every partition read all, and time pass to an instant."""
        if until is not None:
            for number, log in enumerate(self.logs):
                self.logs[number] = [*log, ticking(len(log), until)]
        while any(self._unread(number) for number in range(len(self.rigs))):
            for number in range(len(self.rigs)):
                await self._read(number, None)

    # What is where

    def state(self, account: str) -> AccountState | None:
        value = self.rigs[self.partition_of(account)].memory.accounts.get(account)
        return None if value is None else decode_state(value)

    def segment(self, account: str) -> str | None:
        state = self.state(account)
        return None if state is None else state.membership.segment

    # The world of an execution

    def partition_of(self, account: str) -> int:
        return partition_of(account.encode(), len(self.rigs))

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._interrupt()
            self._append(message)
        self._interrupt()

    async def identity(self, account: str) -> Identity:
        self._interrupt()
        state = self.state(account)
        return Identity() if state is None or state.identity is None else state.identity

    async def sequence(self, account: str) -> int:
        self._interrupt()
        state = self.state(account)
        return 0 if state is None else state.sequence

    async def until(self, account: str, reached: Callable[[Identity], bool]) -> None:
        for _ in range(100_000):
            if reached(await self.identity(account)):
                return
            await self._read(self.draw.randrange(len(self.rigs)), self.draw.randint(1, 4))
        raise AssertionError(f"{account} does not come to be as wanted")

    async def facts(self, account: str, upto: int) -> Sequence[Fact]:
        found = AccountFacts(account)
        found.take(self.logs[self.partition_of(account)][:upto])
        return found.facts

    async def handed_over(self, alias: str, account: str, at: int) -> None:
        """Do nothing: there is no router."""

    async def shred(self, operation: Operation) -> None:
        self._interrupt()

    async def allow(self, operation: Operation) -> None:
        self._interrupt()

    async def unprepared(self, account: str) -> None:
        self._interrupt()

    async def unrouted(self, account: str, number: int, at: int) -> None:
        """Do nothing: there is no router."""

    async def clear(self, operation: Operation) -> None:
        self._interrupt()

    async def worked_off(self, account: str) -> None:
        number = self.partition_of(account)
        end = len(self.logs[number])
        while self.rigs[number].owned.position.offset < end:
            await self._read(number, 3)

    def _append(self, message: Message) -> None:
        number = message.partition
        if number is None:
            number = partition_of(message.key or b"", len(self.rigs))
        log = self.logs[number]
        record = RecordedMessage(
            len(log), message.timestamp or 0, message.key, message.value, list(message.headers)
        )
        log.append(record)

    def _unread(self, number: int) -> bool:
        return self.rigs[number].owned.position.offset < len(self.logs[number])

    async def _read(self, number: int, most: int | None) -> None:
        """Let a partition read some records, and publish what it decided."""
        if self.draw.random() < self.pace:
            self.send_next()
        rig = self.rigs[number]
        start = rig.owned.position.offset
        records = self.logs[number][start:][:most]
        if records:
            await rig.feed(*records)
        await rig.settle()
        await rig.deliver()
        for message in rig.published.to(SIGNALS):
            self._append(message)
        self.told += rig.published.to("routing-events")
        rig.published.messages.clear()

    def _interrupt(self) -> None:
        if self.draw.random() < self.kills:
            raise Interrupted
