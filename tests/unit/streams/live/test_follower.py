"""The index follows its topics: brokers go away and come back, topics are made again, and owners change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from resegment.schemas.identities.records import Forget, encode_identity_record
from resegment.schemas.routing import Enrollment, RoutedState
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.admin import NO_TOPIC, TopicIdentity, TopicsUnavailable
from resegment.streams.kafka.topic_reader import TopicUnreadable
from resegment.streams.kafka.topics import Topics
from resegment.streams.live import follower as module
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.follower import IndexFollower
from resegment.streams.live.index import Index
from resegment.streams.live.members import MemberFilter, find_members
from resegment.streams.live.queries import changes_after
from tests.unit.http.console.test_feed import moved

TOPICS = Topics("watched")
CHANGES, COMMANDS = TOPICS.segment_changes.name, TOPICS.workflow_commands.name


@dataclass
class Record:
    offset: int
    timestamp: int
    value: bytes
    headers: tuple[()] = ()


@dataclass
class Kafka:
    """Topics of one partition, by name; those that are not there do not exist."""

    topics: dict[str, list[Record]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    is_down: bool = False
    rests: dict[str, float] = field(default_factory=dict)
    """How long topics were left alone the last time, s."""

    def make(self, topic: str, *values: bytes) -> None:
        """Delete a topic, and make it again with these records."""
        self.topics[topic] = []
        self.ids[topic] = self.ids.get(topic, 0) + 1
        self.write(topic, *values)

    def write(self, topic: str, *values: bytes) -> None:
        log = self.topics[topic]
        log += [Record(len(log) + number, 1, value) for number, value in enumerate(values)]

    def identify(self, _: str, names: Sequence[str], **__: Any) -> Mapping[str, TopicIdentity]:
        if self.is_down:
            raise TopicsUnavailable("kafka", OSError("away"))
        return {
            one: TopicIdentity(str(self.ids[one]), 1) if one in self.topics else TopicIdentity(NO_TOPIC, 0)
            for one in names
        }

    @asynccontextmanager
    async def reading(self, _: str, topic: str, **__: Any) -> AsyncIterator[Reader]:
        if self.is_down:
            raise TopicUnreadable(topic, "kafka", "away")
        if topic not in self.topics:
            raise TopicUnreadable(topic, "kafka", "there is no such topic")
        yield Reader(self, topic)

    @asynccontextmanager
    async def reading_identities(self, *_: Any) -> AsyncIterator[Reader]:
        yield Reader(self, "identities")


class Reader:
    """Reads one topic, as a consumer whose position is beyond the end begins again."""

    begins: Mapping[int, int] = {0: 0}

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic, self._position = kafka, topic, 0

    @property
    def _log(self) -> list[Record]:
        return self._kafka.topics.get(self._topic, [])

    async def ends(self) -> Mapping[int, int]:
        return {0: len(self._log)}

    def start_at(self, _: int, offset: int) -> None:
        self._position = offset

    async def poll(self, most: int) -> Mapping[int, Sequence[Record]]:
        await asyncio.sleep(0.001)
        if self._kafka.is_down:
            return {}
        if self._position > len(self._log):
            self._position = 0
        found = self._log[self._position : self._position + most]
        self._position += len(found)
        return {0: found} if found else {}

    async def rest(self, seconds: float) -> None:
        self._kafka.rests[self._topic] = seconds
        await asyncio.sleep(0.001)

    async def between(self, _: int, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        yield self._log[start:end]

    async def check(self) -> None:
        if self._kafka.is_down:
            raise TopicUnreadable(self._topic, "kafka", "away")


@dataclass
class Prefix:
    """What Redis has: nothing, but what the router has of accounts."""

    partitions: int = 1
    held: dict[str, RoutedState] = field(default_factory=dict)
    read: int = 0
    looked_up: list[str] = field(default_factory=list)

    async def count(self, _: int) -> int:
        return 0

    async def raw_states(self, _: int) -> AsyncIterator[tuple[str, bytes]]:
        for one in ():
            yield one

    async def states(self, names: Sequence[str]) -> list[None]:
        self.looked_up += names
        return [None for _ in names]

    async def routed(self, names: Sequence[str]) -> list[RoutedState | None]:
        self.read += len(names)
        return [self.held.get(one) for one in names]

    async def routings(self) -> AsyncIterator[list[tuple[str, RoutedState]]]:
        yield list(self.held.items())


@dataclass
class Rig:
    kafka: Kafka
    prefix: Prefix
    index: Index
    follower: IndexFollower
    forgotten: list[tuple[str, bool]]

    async def until(self, look: Callable[[], bool], accounts: Sequence[str] | None = None) -> None:
        """Wait until something holds, and the index has the changes of these accounts, in that order."""
        async with asyncio.timeout(60):
            while not (look() and (accounts is None or await self.accounts() == list(accounts))):
                await self.follower.wait_for_news(0.01)

    async def accounts(self) -> list[str]:
        rows = await self.index.read(lambda one: changes_after(one, 0, 99))
        return [one.account for one in rows]


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    kafka, prefix, index = Kafka(), Prefix(), Index()
    monkeypatch.setattr(module, "reading", kafka.reading)
    monkeypatch.setattr(module, "reading_identities", kafka.reading_identities)
    monkeypatch.setattr(module, "identify_topics", kafka.identify)
    monkeypatch.setattr(module, "HEARD", 0.01)
    monkeypatch.setattr(module, "COMPARED", 0.03)
    monkeypatch.setattr(module, "AGAIN_AFTER", 0.01)
    connection = LiveConnection(
        cast("Any", None), "kafka", TOPICS, {}, cast("PrefixReader", prefix), "wall", 60_000, 2_000
    )
    forgotten: list[tuple[str, bool]] = []
    follower = IndexFollower(connection, index, lambda *one: forgotten.append(one))
    made = Rig(kafka, prefix, index, follower, forgotten)
    task = asyncio.create_task(made.follower.run())
    yield made
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await index.close()


def changes(*names: str) -> list[bytes]:
    return [moved(1, name) for name in names]


async def test_a_topic_that_is_missing_at_first_is_followed_once_it_is_there(rig: Rig) -> None:
    await rig.until(lambda: rig.follower.progress.is_complete, [])
    rig.kafka.make(CHANGES, *changes("a.com", "b.com"))
    await rig.until(lambda: rig.follower.progress.problem is None, ["a.com", "b.com"])
    assert rig.follower.progress.generation == 0


async def test_a_broker_that_goes_away_is_a_problem_until_it_is_back_and_nothing_comes_twice(
    rig: Rig,
) -> None:
    rig.kafka.make(CHANGES, *changes("a.com", "b.com"))
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com", "b.com"])
    rig.kafka.is_down = True
    await rig.until(lambda: rig.follower.progress.problem is not None, ["a.com", "b.com"])
    rig.kafka.write(CHANGES, *changes("c.com"))
    rig.kafka.is_down = False
    await rig.until(lambda: rig.follower.progress.problem is None, ["a.com", "b.com", "c.com"])
    assert rig.follower.progress.generation == 0


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("new", [("x.com",), ("x.com", "y.com", "z.com")])
async def test_a_topic_that_is_made_again_is_read_from_its_beginning(
    rig: Rig, new: tuple[str, ...], down: bool
) -> None:
    rig.kafka.make(CHANGES, *changes("a.com", "b.com"))
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com", "b.com"])
    rig.kafka.is_down = down
    await rig.until(lambda: (rig.follower.progress.problem is not None) is down)
    rig.kafka.make(CHANGES, *changes(*new))
    rig.kafka.is_down = False
    await rig.until(lambda: rig.follower.progress.generation == 1, new)
    await rig.until(lambda: rig.follower.progress.is_complete and rig.follower.progress.problem is None, new)
    rig.kafka.write(CHANGES, *changes("later.com"))
    await rig.until(lambda: True, [*new, "later.com"])


async def test_topics_that_were_read_to_their_end_are_read_now_and_then(rig: Rig) -> None:
    rig.kafka.make(CHANGES, *changes("a.com"))
    await rig.until(lambda: CHANGES in rig.kafka.rests and "identities" in rig.kafka.rests, ["a.com"])
    assert COMMANDS not in rig.kafka.rests, "there is none yet"
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: COMMANDS in rig.kafka.rests)
    assert max(rig.kafka.rests.values()) <= 1.0
    assert rig.kafka.rests[CHANGES] <= 0.25, "the feed is live"


async def test_an_account_without_a_name_is_looked_up_once_a_minute_and_again_when_it_is_forgotten(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.kafka.make(CHANGES)
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: rig.follower.progress.is_complete)
    rig.kafka.write(CHANGES, moved(1, "a.com"))
    await rig.until(lambda: rig.prefix.looked_up == ["a.com"])
    rig.kafka.write(CHANGES, moved(2, "a.com"), moved(1, "b.com"))
    await rig.until(lambda: rig.prefix.looked_up == ["a.com", "b.com"])
    rig.kafka.make("identities", encode_identity_record(Forget(account="a.com", at=5)))
    await rig.until(lambda: bool(rig.forgotten))
    rig.kafka.write(CHANGES, moved(3, "a.com"))
    await rig.until(lambda: rig.prefix.looked_up == ["a.com", "b.com", "a.com"])
    monkeypatch.setattr(module, "LOOKED_UP", -1.0)
    rig.kafka.write(CHANGES, moved(2, "b.com"))
    await rig.until(lambda: rig.prefix.looked_up == ["a.com", "b.com", "a.com", "b.com"])


async def test_a_topic_that_is_deleted_is_one_that_is_made_again(rig: Rig) -> None:
    rig.kafka.make(CHANGES, *changes("a.com"))
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com"])
    del rig.kafka.topics[CHANGES]
    await rig.until(lambda: rig.follower.progress.generation == 1, [])
    rig.kafka.make(CHANGES, *changes("b.com"))
    await rig.until(lambda: True, ["b.com"])


async def test_a_topic_with_another_id_and_the_same_records_is_the_same_topic(rig: Rig) -> None:
    rig.kafka.make(CHANGES, *changes("a.com", "b.com"))
    rig.kafka.make(COMMANDS)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com", "b.com"])
    await asyncio.sleep(0.1)
    rig.kafka.ids[CHANGES] += 1  # as of an embedded broker that was started again with its journal
    await asyncio.sleep(0.2)
    rig.kafka.write(CHANGES, *changes("c.com"))
    await rig.until(lambda: True, ["a.com", "b.com", "c.com"])
    assert rig.follower.progress.generation == 0


def owned(owner: str | None) -> RoutedState:
    return RoutedState(enrollment=Enrollment("k", "calls", "hot", 1, 0, "stop", owner=owner))


async def test_the_owner_of_an_account_follows_the_router(rig: Rig) -> None:
    command = (
        b'{"id": "%d", "time": "2026-03-31T12:00:00Z", "data": {"account": "a.com", "action": "enroll", '
        b'"workflow": "calls", "segment": "hot"}}'
    )
    rig.prefix.held["a.com"] = owned("Ann")
    rig.kafka.make(CHANGES, *changes("a.com"))
    rig.kafka.make(COMMANDS, command % 1, command % 2)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com"])
    await rig.index.put_accounts([("a.com", None, "hot", 0)])

    async def owner() -> tuple[str | None, str | None]:
        found = await rig.index.read(
            lambda one: find_members(one, MemberFilter(), "account", descending=False, start=0, size=9)
        )
        return found.rows[0].workflow, found.rows[0].owner

    assert await owner() == ("calls", "Ann")
    assert rig.prefix.read == 0, "commands of before are not looked at one by one"
    for held, wanted in ((owned("Bo"), ("calls", "Bo")), (RoutedState(), (None, None))):
        rig.prefix.held["a.com"] = held
        rig.kafka.write(COMMANDS, command % (3 + rig.prefix.read))
        async with asyncio.timeout(60):
            while await owner() != wanted:
                await asyncio.sleep(0.01)


DEEP = b'{"data":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize("value", [b'{"id":"\xff"}', DEEP], ids=["no UTF-8", "too deep"])
async def test_a_record_that_cannot_be_read_stops_no_index(rig: Rig, value: bytes) -> None:
    rig.kafka.make(CHANGES, value, *changes("a.com"))
    rig.kafka.make(COMMANDS, value)
    await rig.until(lambda: rig.follower.progress.is_complete, ["a.com"])


async def test_what_else_shows_accounts_is_told_what_is_forgotten(rig: Rig) -> None:
    rig.kafka.make(
        "identities",
        encode_identity_record(Forget(account="a.com", at=5)),
        b"{}",
        b'{"type":"\xff"}',
        DEEP,
        encode_identity_record(Forget(account="b.com", at=6, persons=("key",))),
    )
    await rig.until(lambda: len(rig.forgotten) == 2)
    assert rig.forgotten == [("a.com", False), ("b.com", True)]
