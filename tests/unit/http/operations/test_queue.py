"""Which accounts wait, as the router's accounts say: also those that have a workflow and no owner."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from resegment.http.operations import queue as module
from resegment.http.operations.queue import count_waits, read_queue
from resegment.routing.policy import Policy
from resegment.schemas.routing import (
    Enrollment,
    RoutedState,
    RouteSnapshot,
    RoutingDecision,
    Target,
    encode_routed,
)
from resegment.state.redis.owners import WAITS
from resegment.state.redis.reader import PrefixReader
from tests.builders import definition_of
from tests.oracle.cases import segments

AT = 1_800_000_000_000
TEAMS = {
    "sales": {"members": ["ann", {"name": "bob", "capacity": 1}], "fallback": "round robin", "per_day": 2},
    "alone": {"members": []},
}
POLICY = Policy(definition_of({**segments(hot={"event": "funding"}), "teams": TEAMS}))


class Server:
    """The router's accounts of the prefix p, and the line of a team."""

    def __init__(self, **accounts: RoutedState) -> None:
        self.accounts = {name.replace("_", "."): state for name, state in accounts.items()}
        self.line: list[str] = []
        self.granted: bytes | None = None
        self.window: bytes | None = None

    async def hscan(self, key: str, cursor: int, count: int) -> tuple[int, dict[bytes, bytes]]:
        return 0, {name.encode(): encode_routed(state) for name, state in self.accounts.items()}

    def pipeline(self, *, transaction: bool) -> Pipeline:
        return Pipeline(self)


class Pipeline:
    """Answers what is asked of a line at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers: list[Any] = []

    def hget(self, key: str, field: str) -> None:
        self._answers.append(self._server.window if key.endswith("windows") else self._server.granted)

    def hmget(self, key: str, fields: list[str]) -> None:
        waiting = {one: msgspec.msgpack.encode([WAITS, "sales", 0, 0, one]) for one in self._server.line}
        self._answers.append([waiting.get(one) for one in fields])

    def zcard(self, key: str) -> None:
        self._answers.append(len(self._server.line))

    def zrank(self, key: str, name: str) -> None:
        self._answers.append(self._server.line.index(name))

    def zrange(self, key: str, first: int, last: int) -> None:
        self._answers.append([f"rank\0{one}".encode() for one in self._server.line])

    async def execute(self) -> list[Any]:
        answers, self._answers = self._answers, []
        return answers


def waits(decision: RoutingDecision, why: str = "", **given: Any) -> RoutedState:
    target = Target("c", 1, AT, "hot", True, RouteSnapshot("calls", team="sales"), None, False)
    return RoutedState(target=target, decision=decision, why=why, since=AT, **given)


def owned(owner: str, team: str = "sales") -> RoutedState:
    one = Enrollment("k", "calls", "hot", 1, AT, "stop", team, owner, "q1")
    return RoutedState(enrollment=one, decision="enrolled")


async def read(server: Server) -> module.Queue:
    client = cast("Redis", server)
    return await read_queue(client, PrefixReader(client, "p", 1), POLICY, AT)


async def test_accounts_in_queues_wait_with_those_who_may_take_them() -> None:
    server = Server(
        a_com=owned("round robin"), b_com=owned("ann"), c_com=owned("alone", "alone"), d_com=waits("no-route")
    )
    found = await read(server)
    assert [(one.account, one.reason, one.takers, one.since) for one in found.waiting] == [
        ("a.com", "queued", ("ann", "bob"), AT),
        ("c.com", "queued", (), AT),
    ]
    assert found.waiting[0].words == (
        "in the queue round robin of sales: ann, bob may take it, and nobody of them has room and is on shift"
    )
    assert found.waiting[1].words == "in the queue alone: no member of the team may take it"
    assert found.workflows["calls"] == {"enrolled": 3, "queued": 2, "no-route": 1}


async def test_accounts_that_are_not_enrolled_say_why_without_since_when() -> None:
    server = Server(
        a_com=waits("suppressed", "in customers"),
        b_com=waits("capped", "was enrolled 3 times"),
        c_com=waits("quiet", "routing none"),
        d_com=waits("enrolled"),
    )
    found = await read(server)
    assert [(one.account, one.reason, one.words) for one in found.waiting] == [
        ("a.com", "suppressed", "suppressed (in customers)"),
        ("b.com", "capped", "was enrolled 3 times"),
        ("c.com", "quiet", "routing was none when it entered hot"),
    ]
    assert all(one.since == AT for one in found.waiting)


async def test_what_is_not_listed_is_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    many = {f"q{number}_com": waits("quiet", "routing none") for number in range(5)}
    found = await read(Server(**many, a_com=waits("capped", "why")))
    assert len(found.waiting) == 3
    assert found.unlisted == {"quiet": 3}
    assert found.complete


async def test_who_may_take_accounts_is_found_once_and_other_work_comes_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []
    eligible = Policy.eligible

    def find(policy: Policy, team: str | None, gates: Any) -> tuple[str, ...]:
        asked.append(team)
        return eligible(policy, team, gates)

    monkeypatch.setattr(Policy, "eligible", find)
    monkeypatch.setattr(module, "PAUSED", 10)
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(work())
    found = await read(Server(**{f"a{number}_com": owned("round robin") for number in range(100)}))
    other.cancel()
    assert {one.takers for one in found.waiting} == {("ann", "bob")}
    assert asked == ["sales"]
    assert turns >= 10


async def test_held_out_accounts_are_listed_and_counted_in_their_workflow() -> None:
    found = await read(Server(control_com=waits("holdout")))
    assert [(one.account, one.reason, one.workflow) for one in found.waiting] == [
        ("control.com", "holdout", "calls")
    ]
    assert found.workflows == {"calls": {"holdout": 1}}
    assert found.waiting[0].takers == ()


ROOM = "1 of 5 waiting for sales; 2 a day; today has room for it once the line has settled on"


async def test_a_line_that_settles_is_no_limit_of_the_day_and_both_say_until_when() -> None:
    """AT is on 2027-01-15 at 08:00; the team takes two a day."""
    server = Server(
        **{f"{key}_com": waits("waiting", "restored", assignment=key) for key in "abcde"},
        gone_com=waits("waiting", "its grant is on its way", assignment="x"),
    )
    server.line, server.granted = list("abcde"), b"1"
    server.window = msgspec.msgpack.encode([AT, AT, 60_000])
    found = await read(server)
    assert {one.account: (one.reason, one.words) for one in found.waiting} == {
        "a.com": (
            "settling",
            f"waiting for calls ({ROOM} 2027-01-15T08:01:00Z)",
        ),
        **{
            f"{key}.com": (
                "waiting",
                f"waiting for calls ({place} of 5 waiting for sales; 2 a day, so its turn is in about {days})",
            )
            for key, place, days in (
                ("b", 2, "1 day"),
                ("c", 3, "1 day"),
                ("d", 4, "2 days"),
                ("e", 5, "2 days"),
            )
        },
        "gone.com": ("waiting", "waiting for calls (its grant is on its way)"),
    }
    assert found.workflows == {"calls": {"waiting": 5, "settling": 1}}
    client = cast("Redis", server)
    counts = await count_waits(client, PrefixReader(client, "p", 1), POLICY, AT)
    assert counts.teams == {"sales": {"waiting": 5, "settling": 1}}
    assert counts.members == {"ann": 6, "bob": 6}
    assert {one.takers for one in found.waiting} == {("ann", "bob")}


async def test_an_account_in_a_queue_stays_there_while_it_waits_in_a_line_that_settles() -> None:
    """It is enrolled in one workflow and has no owner; its new segment routes to another one."""
    server = Server(
        a_com=msgspec.structs.replace(
            waits("waiting", assignment="a"), enrollment=owned("round robin").enrollment
        )
    )
    server.line = ["a"]
    found = await read(server)
    assert [(one.account, one.reason) for one in found.waiting] == [("a.com", "queued")]
    assert found.workflows == {"calls": {"waiting": 1, "queued": 1}}
    counts = await count_waits(cast("Redis", server), PrefixReader(cast("Redis", server), "p", 1), POLICY, AT)
    assert counts.teams == {"sales": {"queued": 1}}
