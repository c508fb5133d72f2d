"""What the router's accounts say of owners, and how the router is told to give a member's accounts to others."""

from __future__ import annotations

from typing import cast

import pytest
from redis.asyncio import Redis

from resegment.routing.policy import Policy
from resegment.schemas.assignment import Queued
from resegment.schemas.routing import Enrollment, Reassign, RoutedState, decode_routing_event, encode_routed
from resegment.state.redis.reader import BrokenState
from resegment.streams.operations.owner_transfer import Assignments, Portfolio, read_assignments
from tests.builders import Published, definition_of
from tests.oracle.cases import segments

POLICY = Policy(definition_of({**segments(hot={"event": "funding"}), "teams": {"t": {"members": ["ann"]}}}))


class Server:
    """The router's accounts of the prefix p, by partition."""

    def __init__(self, *partitions: dict[str, RoutedState]) -> None:
        self.partitions = partitions
        self.broken: dict[bytes, bytes] = {}

    async def hscan(self, key: str, cursor: int, count: int) -> tuple[int, dict[bytes, bytes]]:
        number = int(key.partition("{p.")[2].partition("}")[0])
        found = {name.encode(): encode_routed(state) for name, state in self.partitions[number].items()}
        return 0, found | self.broken


def owned(
    owner: str | None, assignment: str | None, *, key: str = "k", team: str | None = "t"
) -> RoutedState:
    return RoutedState(
        enrollment=Enrollment(key, "calls", "s", 1, 0, "stop", team, owner, assignment), decision="enrolled"
    )


def make(server: Server, publisher: Published, member: str = "ann") -> Portfolio:
    return Portfolio(member, cast("Redis", server), "p", len(server.partitions), publisher, "routing-events")


def take(published: Published) -> list[str]:
    events = [decode_routing_event(message.value or b"") for message in published.messages]
    assert all(isinstance(one, Reassign) and (one.owner, one.at) == ("ann", 7) for one in events)
    published.messages.clear()
    return [one.account for one in events]


async def test_keys_are_those_of_enrollments_that_take_room_and_of_accounts_that_wait() -> None:
    server = Server(
        {
            "open.com": owned("ann", "a1"),
            "won.com": owned("ann", None),
            "teamless.com": owned(None, None, team=None),
            "waits.com": RoutedState(decision="waiting", assignment="w1"),
        },
        {
            "waited.com": RoutedState(decision="suppressed", assignment="w2"),
            "queue.com": owned("t", "q1"),
            "quiet.com": RoutedState(decision="quiet"),
        },
    )
    found = await read_assignments(cast("Redis", server), "p", 2, POLICY)
    queued = {"q1": Queued("queue.com", 0, ("ann",))}
    assert found == Assignments({"a1": ("t", "ann"), "q1": ("t", "t")}, {"w1"}, queued)


async def test_a_state_that_cannot_be_read_is_said() -> None:
    server = Server({})
    server.broken = {b"a.com": b"\xc1"}
    with pytest.raises(BrokenState, match=r"a\.com"):
        await read_assignments(cast("Redis", server), "p", 1, POLICY)


async def test_the_router_is_told_once_of_each_account_and_it_counts_until_it_is_another_s() -> None:
    accounts = {"a.com": owned("ann", "a"), "b.com": owned("bob", "b"), "c.com": owned("ann", None)}
    published = Published()
    portfolio = make(Server(accounts, {"d.com": owned("ann", "d")}), published)
    assert await portfolio.hand_over(7) == 3
    assert take(published) == ["a.com", "c.com", "d.com"]
    accounts["a.com"] = owned("bob", "a2")
    assert await portfolio.hand_over(7) == 2
    assert take(published) == []
    assert portfolio.told == {"a.com", "c.com", "d.com"}


async def test_an_account_that_was_given_to_them_at_the_last_moment_is_told_at_the_next_look() -> None:
    accounts: dict[str, RoutedState] = {}
    published = Published()
    portfolio = make(Server(accounts), published)
    assert await portfolio.hand_over(7) == 0
    accounts["late.com"] = owned("ann", "late")
    assert await portfolio.hand_over(7) == 1
    assert take(published) == ["late.com"]
    accounts["late.com"] = owned("ann", "again", key="k2")
    assert await portfolio.hand_over(7) == 1
    assert take(published) == ["late.com"]
    accounts["late.com"] = owned("bob", "b")
    assert await portfolio.hand_over(7) == 0
    assert portfolio.told == {"late.com"}
