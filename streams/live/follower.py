"""Fill the index from Redis and from the topics, and keep it up to date while somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import structlog

from resegment.errors import ResegmentError
from resegment.schemas.identities.records import Forget, decode_identity_record
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState
from resegment.state.redis.reader import BrokenState
from resegment.streams.identities.log import reading_identities
from resegment.streams.kafka.admin import TopicIdentity, identify_topics
from resegment.streams.kafka.topic_reader import TopicReader, TopicUnreadable, reading
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.decoding import (
    Mark,
    decode_change,
    decode_command,
    find_enrolled,
    find_name,
    mark_of,
)
from resegment.streams.live.index import Index, LogReplaced, Progress

log = structlog.get_logger(__name__)

IDLE: Final = 900.0
"""Seconds after the last page view in which the topics are still followed."""
AT_ONCE: Final = 2_000
_PAUSED: Final = 100
_TOGETHER: Final = 500
HEARD: Final = 3.0
"""Seconds without a record after which the brokers are asked whether they are there."""
COMPARED: Final = 20.0
"""Seconds after which they are asked whether they have the same topic still."""
RESTS: Final[Mapping[str, float]] = {"changes": 0.25, "commands": 1.0, "forgets": 1.0}
"""Seconds between two readings of a topic of which all was read: a few large readings cost much less than many small ones."""
LOOKED_UP: Final = 60.0
"""Seconds in which the name of an account that has none is not looked for again."""
AGAIN_AFTER: Final = 1.0
"""Seconds until something that failed is done again."""
RESCANNED: Final = 3_600.0
"""Seconds between two readings of all accounts, which find new names."""


class IndexFollower:
    """Keeps an index up to date from the first `look` on, and rests when nobody has looked for a while."""

    def __init__(
        self, connection: LiveConnection, index: Index, forget: Callable[[str, bool], None] = lambda *_: None
    ) -> None:
        """`forget` is called with each account that is forgotten, and whether only a person of it is."""
        self._connection, self._index, self._forget_elsewhere = connection, index, forget
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._looked = float("-inf")
        self._scanned = float("-inf")
        self._positions: dict[tuple[str, int], int] = {}
        self._marks: dict[tuple[str, int], Mark] = {}
        self._verified: dict[tuple[str, int], Mark] = {}
        """Those that were there when the brokers were last asked which topic they have: later ones may be of another."""
        self._ends: dict[tuple[str, int], int] = {}
        self._commands_opened = asyncio.Event()
        self._routed_upto: dict[tuple[str, int], int] = {}
        """Up to which commands the router's states, as they were last read, are at least."""
        self._nameless = float("-inf"), set[str]()
        """Since when which accounts were looked up that had no name."""
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
                await _run_together(
                    self._scan(),
                    self._follow("changes", self._connection.topics.segment_changes.name),
                    self._follow("commands", self._connection.topics.workflow_commands.name),
                    self._follow_forgets(),
                )
                self._wanted.clear()
                if not self._is_idle:  # somebody came meanwhile
                    self._wanted.set()
            except LogReplaced as replaced:
                log.warning("the console's index is made again", reason=str(replaced))
                await self._begin_again()
            except ResegmentError as error:
                self.progress.problem = str(error)
                self._tell()
                log.warning("the console's index cannot be filled", reason=str(error))
                await asyncio.sleep(AGAIN_AFTER)

    async def _begin_again(self) -> None:
        """Forget all that was read: the topics were made again, and accounts may count their changes from one."""
        await self._index.clear()
        self._positions.clear()
        self._marks.clear()
        self._verified.clear()
        self._nameless[1].clear()
        self._scanned = float("-inf")
        self.progress.begin()
        self._tell()

    def _tell(self) -> None:
        """Wake up what waits for news."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    @property
    def _is_idle(self) -> bool:
        return time.monotonic() - self._looked > IDLE

    async def _follow(self, name: str, topic: str) -> None:
        while not self._is_idle:
            try:
                await self._follow_topic(name, topic)
            except TopicUnreadable as error:
                if not error.is_missing:
                    raise
                if any(place[0] == topic for place in self._marks):
                    raise LogReplaced(topic) from error
                self.progress.done.add(name)  # nothing was ever written
                if name == "commands":
                    self._commands_opened.set()
                await asyncio.sleep(AGAIN_AFTER)

    async def _follow_topic(self, name: str, topic: str) -> None:
        """Follow a topic, and look now and then whether the brokers are there and still have the same one."""
        async with self._open(name, topic) as reader:
            identity = await self._identify(topic)
            heard = compared = time.monotonic()
            while not self._is_idle:
                now = time.monotonic()
                if await self._poll(name, topic, reader):
                    heard = now
                elif now - heard > HEARD:
                    await reader.check()
                    heard = now
                if name in self.progress.done:
                    await reader.rest(RESTS[name])
                if now - compared > COMPARED:
                    compared = now
                    marks = {place: mark for place, mark in self._marks.items() if place[0] == topic}
                    if await self._identify(topic) != identity:
                        if marks and not any(place in self._verified for place in marks):
                            raise LogReplaced(topic)
                        return  # open it again: it may be another one
                    self._verified |= marks

    async def _identify(self, topic: str) -> TopicIdentity:
        """Return which topic the brokers have under that name. Raises TopicsUnavailable where they do not answer."""
        one = self._connection
        found = await asyncio.to_thread(identify_topics, one.bootstrap, [topic], **one.security)
        return found[topic]

    async def _follow_forgets(self) -> None:
        """Delete from the index what is forgotten."""
        one = self._connection
        try:
            async with reading_identities(one.bootstrap, one.topics, one.security) as reader:
                while not self._is_idle:
                    for records in (await reader.poll(AT_ONCE)).values():
                        for record in records:
                            await self._forget(record.value)
                    if self.progress.is_complete:
                        await reader.rest(RESTS["forgets"])
        except TopicUnreadable as error:
            if not error.is_missing:
                raise

    async def _forget(self, value: bytes | None) -> None:
        with suppress(msgspec.DecodeError):
            asked = decode_identity_record(value or b"")
            if isinstance(asked, Forget):
                await self._forget_account(asked.account, asked.at, person=bool(asked.persons))

    async def _forget_account(self, account: str, until: int, *, person: bool = False) -> None:
        await self._index.forget(account, until, person=person)
        self._nameless[1].discard(account)
        self._forget_elsewhere(account, person)

    @asynccontextmanager
    async def _open(self, name: str, topic: str) -> AsyncIterator[TopicReader]:
        one, progress = self._connection, self.progress
        async with reading(one.bootstrap, topic, security=one.security) as reader:
            ends = await reader.ends()
            begins = reader.begins
            if name not in progress.total:
                progress.total[name] = sum(ends[number] - begins[number] for number in ends)
            await self._check_same(topic, reader, ends)
            for number in ends:
                start = max(begins[number], self._positions.get((topic, number), 0))
                self._positions[topic, number] = start
                reader.start_at(number, start)
            self._ends |= {(topic, number): end for number, end in ends.items()}
            if progress.problem is not None:
                progress.problem = None
                self._tell()
            if name == "commands":
                self._commands_opened.set()
            yield reader

    async def _check_same(self, topic: str, reader: TopicReader, ends: Mapping[int, int]) -> None:
        """Compare the newest record that was taken of each partition with the topic's. Raises LogReplaced."""
        for number, end in ends.items():
            for marks in (self._verified, self._marks):
                mark = marks.get((topic, number))
                if mark is None or mark.offset < reader.begins[number]:
                    continue
                if mark.offset >= end:
                    raise LogReplaced(topic)
                async for records in reader.between(number, mark.offset, mark.offset + 1):
                    if records and mark_of(records[0]) != mark:
                        raise LogReplaced(topic)

    async def _poll(self, name: str, topic: str, reader: TopicReader) -> bool:
        """Take what has come, and return whether anything has."""
        found = await reader.poll(AT_ONCE)
        opener = self._connection.opener
        records = [(number, one) for number, some in found.items() for one in await opener.open(some)]
        if records:
            await self._take(name, records)
            self.progress.read[name] = self.progress.read.get(name, 0) + len(records)
            for number, some in found.items():
                if some:
                    if some[0].offset < self._positions[topic, number]:
                        raise LogReplaced(topic)
                    self._positions[topic, number] = some[-1].offset + 1
                    self._marks[topic, number] = mark_of(some[-1])
        if name not in self.progress.done and self._has_reached(topic):
            self.progress.done.add(name)
        return bool(records)

    def _has_reached(self, topic: str) -> bool:
        """Return whether everything that the topic had when it was opened was read."""
        mine = [(place, end) for place, end in self._ends.items() if place[0] == topic]
        return all(self._positions.get(place, 0) >= end for place, end in mine)

    async def _take(self, name: str, records: Sequence[tuple[int, Any]]) -> None:
        if name == "commands":
            commands = [
                decode_command((number, one.offset), one.value, one.timestamp) for number, one in records
            ]
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
                await self._forget_account(change.account, change.at)
        if not new_changes:
            return
        if self.progress.accounts_done:
            await self._name({change.account for change in changes})
        self._tell()

    async def _name(self, accounts: set[str]) -> None:
        """Put accounts into the index that are new there, or have no name yet."""
        now = time.monotonic()
        if now - self._nameless[0] > LOOKED_UP:
            self._nameless = now, set()
        looked_up = self._nameless[1]
        unnamed = await self._index.find_unnamed(sorted(accounts - looked_up))
        if unnamed:
            with suppress(BrokenState):  # of another release: the account's page says so
                states = await self._connection.reader.states(unnamed)
                await self._put(
                    [(name, one) for name, one in zip(unnamed, states, strict=True) if one is not None]
                )
                looked_up.update(unnamed)

    async def _read_enrolled(self, accounts: Sequence[str]) -> None:
        """Read again what the router has of accounts: a command says that it changed."""
        for start in range(0, len(accounts), _TOGETHER):
            some = accounts[start : start + _TOGETHER]
            with suppress(BrokenState):
                states = await self._connection.reader.routed(some)
                await self._index.put_enrolled(map(find_enrolled, some, states))

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
                await self._index.put_enrolled(find_enrolled(*one) for one in enrolled)

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


async def _run_together(*works: Coroutine[Any, Any, None]) -> None:
    """Run works until all are done or one fails, and raise its error. A cancellation is never lost, as in a task group."""
    tasks = [asyncio.create_task(one) for one in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [error for one in tasks if not one.cancelled() and (error := one.exception()) is not None]
    if errors:
        raise next((one for one in errors if isinstance(one, LogReplaced)), errors[0])
