"""A worker notices which sources are silent, and tells every partition once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Away

from resegment.agents.batch import PublishFailed
from resegment.metrics import Metrics
from resegment.schemas.definitions.in_force import InForce, encode_in_force, hear_of_source
from resegment.schemas.routing import decode_routing_event
from resegment.schemas.sources.silence import SourceBack, SourceEvent, SourceSilent
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.keys import PartitionKeys
from resegment.state.sources.arrivals import Arrivals, ArrivalStore
from resegment.state.sources.looks import look_at_sources, tell_silent
from resegment.streams.worker.loops.source_watcher import COMPARED, SourceWatcher, Tell
from tests.builders import Published

HOUR = 3_600_000
DAY = 24 * HOUR
NOON = 20_458 * DAY + DAY // 2
BOARD = ("/greenhouse", "hiring")


class Server:
    """The hashes and sets of a Redis; it is away while it is told to be."""

    def __init__(self) -> None:
        self.hashes: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        self.sets: defaultdict[str, set[bytes]] = defaultdict(set)
        self.away = False
        self.asked: list[bytes | None] = []

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        if self.away:
            raise Away
        return dict(self.hashes[key])

    async def smembers(self, key: str) -> set[bytes]:
        return set(self.sets[key])

    def pipeline(self, transaction: bool) -> Server:
        assert not transaction
        return self

    def hset(self, key: str, name: str | None = None, value: Any = None, mapping: Any = None) -> None:
        for field, text in (mapping or {name: value}).items():
            self.hashes[key][field.encode()] = text if isinstance(text, bytes) else text.encode()

    def hdel(self, key: str, name: str) -> None:
        self.hashes[key].pop(name.encode(), None)

    def sadd(self, key: str, *members: str) -> None:
        self.sets[key].update(one.encode() for one in members)

    def pexpire(self, key: str, length: int) -> None:
        assert length > 56 * DAY

    def hget(self, key: str, name: str) -> None:
        self.asked.append(self.hashes[key].get(name.encode()))

    async def execute(self) -> list[bytes | None]:
        asked, self.asked = self.asked, []
        return asked

    def knows(self, number: int, in_force: InForce) -> None:
        """What a partition of the router knows."""
        meta = PartitionKeys.of("x", number, "router").meta
        self.hashes[meta][b"definition"] = encode_in_force(in_force).encode()


class Owned(dict[int, Any]):
    """The partitions that a worker owns."""


class Desk:
    """A worker's watcher over a server that several may share."""

    def __init__(self, server: Server | None = None, *, owns: int | None = 0, **every: int | None) -> None:
        self.server, self.now, self.behind = server or Server(), NOON, False
        self.arrivals, self.published, self.metrics = Arrivals(), Published(), Metrics()
        self.every = every
        self.in_force = InForce()
        self.store = ArrivalStore(cast("Redis", self.server), "x")

        async def is_behind() -> bool:
            return self.behind

        self.watcher = SourceWatcher(
            self.arrivals,
            self.store,
            Owned({} if owns is None else {owns: True}),  # type: ignore[arg-type]
            Tell(self.published, "routing-events", 2),
            lambda: self.every,
            is_behind,
            lambda: self.now,
            self.metrics,
        )

    async def look(self, hours: int = 0) -> list[SourceEvent]:
        """Look again after some hours; return what each partition was told."""
        self.now += hours * HOUR
        before = len(self.published.messages)
        await self.watcher.look()
        told = self.published.messages[before:]
        events = [decode_routing_event(one.value or b"") for one in told if one.partition == 0]
        for event in events:
            self.in_force = hear_of_source(self.in_force, event)  # type: ignore[arg-type]
        if events:
            self.server.knows(0, self.in_force)
            self.server.knows(1, self.in_force)
        assert [one.value for one in told if one.partition == 0] == [
            one.value for one in told if one.partition == 1
        ]
        return events  # type: ignore[return-value]

    @property
    def gauge(self) -> float | None:
        return self.metrics.registry.get_sample_value("resegment_source_silent", {"source": "/greenhouse"})


async def test_a_source_is_silent_after_the_time_that_the_file_gives_it_and_back_with_its_next_event() -> (
    None
):
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON})
    assert await desk.look() == []
    assert desk.gauge == 0
    assert await desk.look(23) == []
    assert await desk.look(1) == [
        SourceSilent(source="/greenhouse", at=NOON + DAY, since=NOON, kinds=("hiring",))
    ]
    assert desk.gauge == 1
    assert await desk.look() == []

    desk.arrivals.note({BOARD: NOON + DAY + HOUR})
    assert await desk.look(1) == [SourceBack(source="/greenhouse", at=NOON + DAY + HOUR)]
    assert desk.gauge == 0
    assert await desk.look() == []


async def test_what_comes_in_an_order_is_learned() -> None:
    desk = Desk()
    for hour in range(21 * 24):
        desk.now = NOON + hour * HOUR
        desk.arrivals.note({BOARD: desk.now})
        assert await desk.look() == []
    assert await desk.look(3) == []
    (event,) = await desk.look(1)
    assert isinstance(event, SourceSilent)


async def test_a_source_that_is_never_silent_by_the_file_is_not() -> None:
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON})
    await desk.look(30)
    desk.every = {"greenhouse": None}
    assert [type(one) for one in await desk.look()] == [SourceBack]
    assert await desk.look(900) == []


async def test_no_source_is_silent_while_events_wait_to_be_taken_in() -> None:
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON})
    desk.behind = True
    assert await desk.look(30) == []
    desk.behind = False
    assert len(await desk.look()) == 1


async def test_only_the_worker_of_partition_0_looks_and_all_write_what_came() -> None:
    server = Server()
    other, desk = Desk(server, owns=None, greenhouse=DAY), Desk(server, greenhouse=DAY)
    other.arrivals.note({BOARD: NOON})
    assert await other.look(30) == []
    assert len(await desk.look(30)) == 1
    other.arrivals.note({BOARD: NOON + 31 * HOUR})
    await other.look()
    assert [type(one) for one in await desk.look(1)] == [SourceBack]


async def test_a_partition_that_knows_less_or_more_than_is_so_is_told() -> None:
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON})
    (first,) = await desk.look(24)
    assert isinstance(first, SourceSilent)
    for number in range(2):
        desk.server.knows(number, hear_of_source(InForce(), first))
    desk.now += COMPARED
    assert await desk.look() == []

    for number in range(2):
        desk.server.knows(number, InForce())  # it was rebuilt
    desk.now += COMPARED
    assert await desk.look() == [first]

    other = SourceSilent(source="/gone", at=NOON, since=NOON, kinds=("tech",))
    for number in range(2):
        desk.server.knows(number, hear_of_source(hear_of_source(InForce(), first), other))
    desk.now += COMPARED
    assert await desk.look() == [SourceBack(source="/gone", at=desk.now)]


async def test_what_could_not_be_told_or_written_is_done_at_the_next_look() -> None:
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON})
    desk.server.away = True
    with pytest.raises(StoreUnavailable):
        await desk.look()
    desk.server.away = False
    publish = desk.published.publish

    async def fail(*_: Any) -> None:
        raise PublishFailed("away", OSError())

    desk.published.publish = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(PublishFailed):
        await desk.look(24)
    desk.published.publish = publish  # type: ignore[method-assign]
    assert len(await desk.look()) == 1


async def test_status_names_the_silent_sources_first() -> None:
    desk = Desk(greenhouse=DAY)
    desk.arrivals.note({BOARD: NOON, ("/crm", "outcome"): NOON})
    await desk.look(24)
    looks = look_at_sources(await desk.store.read_latest())
    assert [(one.name, one.silent_since) for one in looks] == [("/greenhouse", NOON), ("/crm", None)]
    (told,) = tell_silent(looks)
    assert told.startswith(
        "the source /greenhouse is silent since 2026-01-05T12:00:00Z: enrollments that rest on"
    )
    assert told.endswith("absence of hiring events wait until it is back")


async def test_no_more_sources_are_followed_than_there_is_room_for() -> None:
    desk = Desk()
    desk.arrivals.note({(f"/crm/{number}", "hiring"): NOON for number in range(1_500)})
    await desk.look()
    desk.arrivals.note({(f"/other/{number}", "hiring"): NOON for number in range(100)})
    await desk.look()
    assert len((await desk.store.read_latest()).arrivals) == 1_000
