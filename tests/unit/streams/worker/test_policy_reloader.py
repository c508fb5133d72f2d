"""Who is reviewed where a list has changed: while a worker looks, and while none did."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Away

from resegment.agents.batch import PublishFailed
from resegment.routing.policy import RoutingControls
from resegment.schemas.contracts.audit import AuditEntry, decode_entry
from resegment.schemas.routing import decode_routing_event
from resegment.sources.suppressions import WrongList
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.audit.trail import AuditTrail, NotRecorded
from resegment.streams.worker.loops.policy_reloader import PolicyReloader
from tests.builders import Published


class Server:
    """The hashes of a Redis; it is away as often as it is told to be."""

    def __init__(self) -> None:
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.away = 0

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        return dict(self.hashes.get(key, {}))

    async def hset(self, key: str, *pair: str, mapping: dict[str, bytes] | None = None) -> None:
        if self.away:
            self.away -= 1
            raise Away
        mapping = {pair[0]: pair[1].encode()} if mapping is None else mapping
        self.hashes.setdefault(key, {}).update({name.encode(): value for name, value in mapping.items()})


class Desk:
    """A worker's policy reloader, over a server that several may share; `lists` are its files."""

    def __init__(self, server: Server, **lists: str) -> None:
        self.lists = lists
        self.unreadable = False
        self.published = Published()
        self.controls = RoutingControls()
        client = cast("Redis", server)
        self.frozen: list[str | None] = []
        self.reloader = PolicyReloader(
            self.controls,
            client,
            "p",
            self.published,
            "routing-events",
            self.load,
            lambda: 7,
            self.frozen.append,
        )

        self.trail = AuditTrail(client, "p", "audit-log", "ann@acme.com", lambda: nullcontext(self.published))

    @property
    def recorded(self) -> list[AuditEntry]:
        """What the audit log has."""
        return [decode_entry(one.value or b"", 0) for one in self.published.to("audit-log")]

    def load(self) -> dict[str, frozenset[str]]:
        if self.unreadable:
            raise WrongList(Path("partners.txt"), "it is away")
        return {name: frozenset(accounts.split()) for name, accounts in self.lists.items()}

    async def begin(self) -> list[str]:
        await self.reloader.begin(None, self.trail)
        return await self.look()

    async def look(self) -> list[str]:
        """Who is reviewed at the next look."""
        self.published.messages.clear()
        await self.reloader.look()
        assert all(message.topic == "routing-events" for message in self.published.messages)
        return [decode_routing_event(message.value or b"").account for message in self.published.messages]


async def test_with_nothing_kept_whoever_is_listed_is_reviewed() -> None:
    desk = Desk(Server(), partners="b.com a.com", board="c.com")
    assert await desk.begin() == ["a.com", "b.com", "c.com"]
    assert await desk.look() == []


async def test_while_a_worker_looks_those_are_reviewed_who_come_or_go() -> None:
    desk = Desk(Server(), partners="a.com b.com c.com")
    await desk.begin()
    desk.lists = {"partners": "a.com b.com d.com"}
    assert {"c.com", "d.com"} <= set(await desk.look())
    assert await desk.look() == []
    assert desk.controls.lists == {"partners": {"a.com", "b.com", "d.com"}}


async def test_who_was_taken_off_while_no_worker_ran_is_reviewed_at_the_next_start() -> None:
    server = Server()
    await Desk(server, partners="a.com b.com").begin()
    assert "b.com" in await Desk(server, partners="a.com").begin()


async def test_who_was_on_a_list_that_is_declared_no_more_is_reviewed_at_the_next_start() -> None:
    server = Server()
    await Desk(server, partners="a.com", board="b.com").begin()
    assert "b.com" in await Desk(server, partners="a.com").begin()


async def test_who_moves_from_a_list_to_another_is_reviewed() -> None:
    server = Server()
    await Desk(server, partners="a.com", board="").begin()
    assert "a.com" in await Desk(server, partners="", board="a.com").begin()


async def test_of_a_list_that_changed_long_ago_only_what_the_last_change_moved_is_reviewed() -> None:
    server = Server()
    for listed in ("a.com b.com", "a.com b.com c.com", "a.com c.com"):
        await Desk(server, partners=listed).begin()
    assert await Desk(server, partners="a.com c.com").begin() == ["b.com"]


async def test_each_worker_has_those_reviewed_whom_it_saw_move_though_another_kept_that() -> None:
    server = Server()
    first, second = Desk(server, partners="a.com b.com"), Desk(server, partners="a.com b.com")
    await first.begin()
    await second.begin()
    for one in (first, second):
        one.lists = {"partners": "a.com"}
        assert "b.com" in await one.look()


async def test_a_worker_that_starts_after_another_with_the_same_change_reviews_it_too() -> None:
    server = Server()
    await Desk(server, partners="a.com b.com").begin()
    assert "b.com" in await Desk(server, partners="a.com").begin()
    assert "b.com" in await Desk(server, partners="a.com").begin()


async def test_what_could_not_be_published_is_at_the_next_look() -> None:
    desk = Desk(Server(), partners="a.com")
    await desk.reloader.begin(None, desk.trail)
    desk.published.failures = 1
    with pytest.raises(PublishFailed):
        await desk.look()
    assert await desk.look() == ["a.com"]


async def test_what_could_not_be_kept_is_reviewed_again() -> None:
    server = Server()
    desk = Desk(server, partners="a.com")
    await desk.reloader.begin(None, desk.trail)
    server.away = 1
    with pytest.raises(StoreUnavailable):
        await desk.look()
    assert await desk.look() == ["a.com"]
    assert await desk.look() == []


async def test_a_list_that_cannot_be_read_stays_as_it_was() -> None:
    desk = Desk(Server(), partners="a.com")
    await desk.begin()
    desk.lists, desk.unreadable = {"partners": ""}, True
    assert await desk.look() == []
    assert desk.controls.lists == {"partners": {"a.com"}}
    assert desk.frozen[-1] == "partners.txt: it is away"
    desk.lists, desk.unreadable = {"partners": "a.com"}, False
    await desk.look()
    assert desk.frozen[-1] is None


async def test_a_mode_that_a_worker_is_started_with_is_in_the_audit_log() -> None:
    desk = Desk(Server())
    await desk.reloader.begin("changed", desk.trail)
    begun, done = desk.recorded
    assert (begun.action, begun.actor, begun.arguments) == ("worker", "ann@acme.com", {"route": "changed"})
    assert (done.stage, done.result) == ("done", {"before": "none"})
    assert desk.controls.mode == "changed"


async def test_a_worker_that_starts_again_with_the_mode_in_force_records_nothing() -> None:
    server = Server()
    first, again = Desk(server), Desk(server)
    await first.reloader.begin("all", first.trail)
    await again.reloader.begin("all", again.trail)
    assert again.recorded == []
    assert again.controls.mode == "all"


async def test_a_mode_that_cannot_be_recorded_is_not_set() -> None:
    server = Server()
    desk, other = Desk(server), Desk(server)
    desk.published.failures = 1
    with pytest.raises(NotRecorded):
        await desk.reloader.begin("all", desk.trail)
    await other.begin()
    assert other.controls.mode == "none"
