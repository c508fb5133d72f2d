"""Fill the index from Redis and from the topics, and keep it up to date while somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from resegment.errors import ResegmentError
from resegment.schemas.identities.records import Forget, decode_identity_record
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.routing import RoutedState
from resegment.schemas.state import KIND_NUMBERS, AccountState
from resegment.state.redis.reader import BrokenState
from resegment.streams.identities.log import reading_identities
from resegment.streams.kafka.topic_reader import TopicReader, TopicUnreadable, reading
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.decoding import decode_change, decode_command
from resegment.streams.live.index import Index

log = structlog.get_logger(__name__)

IDLE: Final = 900.0
"""Seconds after the last page view in which the topics are still followed."""
AT_ONCE: Final = 2_000
_PAUSED: Final = 100
_TOGETHER: Final = 500
AGAIN_AFTER: Final = 1.0
"""Seconds until something that failed is done again."""
RESCANNED: Final = 3_600.0
"""Seconds between two readings of all accounts, which find new names."""

_FIRMOGRAPHIC: Final = KIND_NUMBERS["firmographic"]


@dataclass(slots=True)
class Progress:
    """How much of the topics and of the accounts was read; `read` and `total` count records."""

    accounts: int = 0
    accounts_total: int = 0
    accounts_done: bool = False
    read: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    problem: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was there when somebody began to look is in the index."""
        return self.accounts_done and len(self.done) == 2

    def tell(self) -> str | None:
        """Return what is still missing, in words; None where everything is there."""
        if self.problem is not None:
            return f"the index waits: {self.problem}"
        if self.is_complete:
            return None
        parts = []
        if not self.accounts_done:
            parts.append(f"{self.accounts:,} of {self.accounts_total:,} accounts")
        parts += [
            f"{self.read.get(name, 0):,} of {self.total.get(name, 0):,} {name}"
            for name in ("changes", "commands")
            if name not in self.done
        ]
        return f"still reading: {', '.join(parts)}"


class IndexFollower:
    """Keeps an index up to date from the first `look` on, and rests when nobody has looked for a while."""

    def __init__(self, connection: LiveConnection, index: Index) -> None:
        self._connection, self._index = connection, index
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._looked = float("-inf")
        self._scanned = float("-inf")
        self._positions: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._commands_opened = asyncio.Event()
        self._routed_upto: dict[tuple[str, int], int] = {}
        """Up to which commands the router's states, as they were last read, are at least."""
        self.progress = Progress()

    def look(self) -> None:
        """Note that somebody looks."""
        self._looked = time.monotonic()
        self._wanted.set()

    async def wait_for_news(self, patience: float) -> None:
        """Wait until there are new changes, for at most `patience` seconds. The caller counts as a viewer."""
        self.look()
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Follow until cancelled, while somebody looks. What fails is done again."""
        while True:
            await self._wanted.wait()
            self._commands_opened.clear()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._scan())
                    group.create_task(self._follow("changes", self._connection.topics.segment_changes.name))
                    group.create_task(self._follow_forgets())
                    group.create_task(
                        self._follow("commands", self._connection.topics.workflow_commands.name)
                    )
                self._wanted.clear()
                if not self._is_idle:  # somebody came meanwhile
                    self._wanted.set()
            except* ResegmentError as group_error:
                error = group_error.exceptions[0]
                self.progress.problem = str(error)
                log.warning("the console's index cannot be filled", reason=str(error))
                await asyncio.sleep(AGAIN_AFTER)

    @property
    def _is_idle(self) -> bool:
        return time.monotonic() - self._looked > IDLE

    async def _follow(self, name: str, topic: str) -> None:
        try:
            async with self._open(name, topic) as reader:
                while not self._is_idle:
                    await self._poll(name, topic, reader)
        except TopicUnreadable as error:
            if not error.is_missing:
                raise
            self.progress.done.add(name)  # nothing was ever written
            if name == "commands":
                self._commands_opened.set()

    async def _follow_forgets(self) -> None:
        """Delete from the index what is forgotten."""
        one = self._connection
        try:
            async with reading_identities(one.bootstrap, one.topics, one.security) as reader:
                while not self._is_idle:
                    for records in (await reader.poll(AT_ONCE)).values():
                        for record in records:
                            await self._forget(record.value)
        except TopicUnreadable as error:
            if not error.is_missing:
                raise

    async def _forget(self, value: bytes | None) -> None:
        with suppress(msgspec.DecodeError):
            asked = decode_identity_record(value or b"")
            if isinstance(asked, Forget):
                await self._index.forget(asked.account, asked.at, person=bool(asked.persons))

    @asynccontextmanager
    async def _open(self, name: str, topic: str) -> AsyncIterator[TopicReader]:
        one, progress = self._connection, self.progress
        async with reading(one.bootstrap, topic, security=one.security) as reader:
            ends = await reader.ends()
            begins = reader.begins
            if name not in progress.total:
                progress.total[name] = sum(ends[number] - begins[number] for number in ends)
            for number in ends:
                start = max(begins[number], self._positions.get((topic, number), 0))
                self._positions[topic, number] = start
                reader.start_at(number, start)
            self._ends |= {(topic, number): end for number, end in ends.items()}
            progress.problem = None
            if name == "commands":
                self._commands_opened.set()
            yield reader

    async def _poll(self, name: str, topic: str, reader: TopicReader) -> None:
        found = await reader.poll(AT_ONCE)
        opener = self._connection.opener
        records = [(number, one) for number, some in found.items() for one in await opener.open(some)]
        if records:
            await self._take(name, records)
            self.progress.read[name] = self.progress.read.get(name, 0) + len(records)
            for number, some in found.items():
                if some:
                    self._positions[topic, number] = some[-1].offset + 1
        if name not in self.progress.done and self._has_reached(topic):
            self.progress.done.add(name)

    def _has_reached(self, topic: str) -> bool:
        """Return whether everything that the topic had when it was opened was read."""
        mine = [(place, end) for place, end in self._ends.items() if place[0] == topic]
        return all(self._positions.get(place, 0) >= end for place, end in mine)

    async def _take(self, name: str, records: Sequence[tuple[int, Any]]) -> None:
        if name == "commands":
            commands = [decode_command((number, one.offset), one.value) for number, one in records]
            await self._index.add_commands([one for one in commands if one is not None])
            topic = self._connection.topics.workflow_commands.name
            new = {
                command.account
                for command, (number, record) in zip(commands, records, strict=True)
                if command is not None and record.offset >= self._routed_upto.get((topic, number), 0)
            }
            if self._routed_upto:
                await self._read_enrolled(sorted(new))
            return
        changes = [
            change
            for number, one in records
            if (change := decode_change((number, one.offset), one.value)) is not None
        ]
        new_changes = await self._index.add_changes(changes)
        for change in changes:
            if change.forgotten:
                await self._index.forget(change.account, change.at, person=False)
        if not new_changes:
            return
        if self.progress.accounts_done:
            await self._name({change.account for change in changes})
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _name(self, accounts: set[str]) -> None:
        """Put accounts into the index that are new there, or have no name yet."""
        unnamed = await self._index.find_unnamed(sorted(accounts))
        if unnamed:
            with suppress(BrokenState):  # of another release: the account's page says so
                states = await self._connection.reader.states(unnamed)
                await self._put(
                    [(name, one) for name, one in zip(unnamed, states, strict=True) if one is not None]
                )

    async def _read_enrolled(self, accounts: Sequence[str]) -> None:
        """Read again what the router has of accounts: a command says that it changed."""
        for start in range(0, len(accounts), _TOGETHER):
            some = accounts[start : start + _TOGETHER]
            with suppress(BrokenState):
                states = await self._connection.reader.routed(some)
                await self._put_enrolled(zip(some, states, strict=True))

    async def _put_enrolled(self, states: Iterable[tuple[str, RoutedState | None]]) -> None:
        rows: list[tuple[str, str | None, str | None]] = []
        for name, state in states:
            running = None if state is None else state.enrollment
            rows.append((name, None, None) if running is None else (name, running.workflow, running.owner))
        await self._index.put_enrolled(rows)

    async def _scan_enrolled(self) -> None:
        """Read what the router has of all accounts. Commands that come meanwhile are looked at one by one."""
        await self._commands_opened.wait()
        topic = self._connection.topics.workflow_commands.name
        self._routed_upto = {place: end for place, end in self._ends.items() if place[0] == topic} or {
            (topic, 0): 0
        }
        with suppress(BrokenState):  # of another release: the account's page says so
            async for batch in self._connection.reader.routings():
                enrolled = [one for one in batch if one[1].enrollment is not None]
                await self._put_enrolled(enrolled)

    async def _scan(self) -> None:
        """Read all accounts, once in a while."""
        if time.monotonic() - self._scanned < RESCANNED:
            return
        reader = self._connection.reader
        progress = self.progress
        progress.accounts_total = sum([await reader.count(number) for number in range(reader.partitions)])
        taken = 0
        for number in range(reader.partitions):
            some: list[tuple[str, AccountState]] = []
            async for name, value in reader.raw_states(number):
                try:
                    some.append((name, decode_state(value)))
                except msgspec.DecodeError:  # of another release: the account's page says so
                    continue
                if len(some) % _PAUSED == 0:
                    await asyncio.sleep(0)  # pages come in between
                if len(some) >= AT_ONCE:
                    taken += len(some)
                    await self._put(some)
                    some = []
                    progress.accounts = max(progress.accounts, taken)
            taken += len(some)
            await self._put(some)
        await self._scan_enrolled()
        await self._index.order_accounts()
        progress.accounts, progress.accounts_done = taken, True
        self._scanned = time.monotonic()

    async def _put(self, states: Sequence[tuple[str, AccountState]]) -> None:
        for start in range(0, len(states), _TOGETHER):
            await self._index.put_accounts(
                (name, find_name(state), state.membership.segment, state.membership.entered)
                for name, state in states[start : start + _TOGETHER]
            )


def find_name(state: AccountState) -> str | None:
    """Return the company's name, as its newest firmographic fact has it."""
    newest: tuple[int, str] | None = None
    for entry in state.entries:
        if entry.kind == _FIRMOGRAPHIC and not entry.retracted and entry.data is not None:
            name = entry.data.get("name")
            if isinstance(name, str) and (newest is None or entry.time >= newest[0]):
                newest = entry.time, name
    return None if newest is None else newest[1]
