"""Suppressions that hold for families: parents, children and siblings, which lie in different partitions."""

from __future__ import annotations

import random
from typing import Any

import pytest

from resegment.documents.diagnostics import InvalidSegments
from resegment.identity.aliases import use_aliases
from resegment.schemas.routing import ChildReport, FamilyNews, decode_routing_event
from tests.builders import Rig, Routing, definition_of, facts_of, signals
from tests.oracle.cases import day, event, segments

FAMILY: list[Any] = [{"customers": {"family": True}}, {"open-opportunities": {"family": True}}]
ACCOUNTS = ("acme.com", "acme.de", "acme.fr", "lone.com")


def file(suppression: list[Any] | None = None) -> dict[str, Any]:
    plain = segments(hot={"event": "funding"})
    plain["segments"][0]["route"] = {"workflow": "hot-flow"}
    fallback = {"name": "out", "play": plain["segments"][0]["play"]}
    return {
        **plain,
        "fallback": fallback,
        "suppression": FAMILY if suppression is None else suppression,
        "cooldown_after_lost": "0d",
    }


class World:
    """A segmenter, and a router of two partitions: accounts with an odd name length are in the second."""

    def __init__(self, made: dict[str, Any]) -> None:
        self.rig = Rig(made)
        self.routers = [Routing(definition_of(made), mode="all") for _ in range(2)]
        self.seen = [0, 0]
        self.commands: list[tuple[str, str, str | None]] = []
        self.offset = 0

    async def start(self) -> World:
        await self.rig.take()
        for one in self.routers:
            await one.take()
        return self

    def router(self, account: str) -> Routing:
        return self.routers[len(account) % 2]

    async def happen(self, *events: Any) -> None:
        """Segment events, then route until nothing is left to tell."""
        before = len(self.rig.published.messages)
        for record in signals(facts_of(events), self.offset):
            await self.rig.feed(record)
            self.offset += 1
        await self.rig.deliver()
        for message in self.rig.published.messages[before:]:
            account = (message.key or b"").decode()
            router = self.router(account)
            if message.topic == "segment-changes":
                self.note(await router.follow(message.value or b""))
            elif message.topic == "routing-events":
                self.note(await router.tell(decode_routing_event(message.value or b"")))
        await self.settle()

    async def settle(self) -> None:
        again = True
        while again:
            again = False
            for number, router in enumerate(self.routers):
                messages = router.published.messages[self.seen[number] :]
                self.seen[number] = len(router.published.messages)
                for message in messages:
                    if message.topic == "routing-events":
                        again = True
                        account = (message.key or b"").decode()
                        self.note(await self.router(account).tell(decode_routing_event(message.value or b"")))

    def note(self, commands: list[dict[str, Any]]) -> None:
        self.commands += [(one["action"], one["account"], one["reason"]) for one in commands]

    def why(self, account: str) -> str:
        state = self.router(account).state(account)
        return state.why if state.decision == "suppressed" else state.decision


def parent(account: str, of: str | None, at: int) -> Any:
    return event("firmographic", at, account=account, parent=of, id=f"p-{account}-{at}")


def funded(account: str, at: int) -> Any:
    return event("funding", at, account=account, id=f"f-{account}-{at}")


def outcome(account: str, action: str, at: int, **given: Any) -> Any:
    return event("outcome", at, account=account, action=action, id=f"o-{account}-{at}-{action}", **given)


async def test_a_parent_may_be_named_by_an_alias() -> None:
    use_aliases({"acme.io": "acme.com"})
    try:
        world = await World(file()).start()
        await world.happen(
            parent("acme.de", "https://acme.io", day(0)),
            outcome("acme.com", "won", day(1)),
            *(funded(account, day(2)) for account in ("acme.de", "lone.com")),
        )
        await world.happen()
    finally:
        use_aliases({})
    assert (world.why("acme.de"), world.why("lone.com")) == ("customers (family)", "enrolled")


@pytest.mark.parametrize("holder", ["acme.com", "acme.de", "acme.fr"])
async def test_a_customer_keeps_its_parent_children_and_siblings_out(holder: str) -> None:
    world = await World(file()).start()
    await world.happen(
        parent("acme.de", "https://www.acme.com/about", day(0)),
        parent("acme.fr", "ACME.com", day(0)),
        outcome(holder, "won", day(1)),
        *(funded(account, day(2)) for account in ACCOUNTS),
    )
    await world.happen()
    others = {account: world.why(account) for account in ACCOUNTS if account != holder}
    assert others.pop("lone.com") == "enrolled"
    assert world.why(holder) == "customers"
    assert set(others.values()) == {"customers (family)"}


async def test_relatives_in_a_workflow_leave_it_and_come_back_when_the_deal_is_closed() -> None:
    world = await World(file()).start()
    await world.happen(parent("acme.de", "acme.com", day(0)), funded("acme.com", day(1)))
    assert world.commands == [("enroll", "acme.com", None)]
    await world.happen(outcome("acme.de", "opportunity_created", day(2), deal="a"))
    assert world.commands[1:] == [("stop", "acme.com", "suppressed: open-opportunities (family)")]
    await world.happen(outcome("acme.de", "lost", day(3), deal="a"))
    assert world.commands[2:] == [("enroll", "acme.com", None)]


async def test_a_child_that_moves_to_another_parent_is_no_relative_any_more() -> None:
    world = await World(file()).start()
    await world.happen(parent("acme.de", "acme.com", day(0)), outcome("acme.de", "won", day(1)))
    await world.happen(funded("acme.com", day(2)))
    assert world.why("acme.com") == "customers (family)"
    await world.happen(parent("acme.de", None, day(3)))
    assert world.why("acme.com") == "enrolled"


async def test_without_the_option_relatives_are_told_nothing() -> None:
    world = await World(file(["customers", "open-opportunities"])).start()
    await world.happen(
        parent("acme.de", "acme.com", day(0)), outcome("acme.de", "won", day(1)), funded("acme.com", day(2))
    )
    assert world.why("acme.com") == "enrolled"
    assert not [
        one for router in world.routers for one in router.published.messages if one.topic == "routing-events"
    ]


async def test_what_is_told_again_or_late_changes_nothing() -> None:
    world = await World(file()).start()
    router = world.router("acme.com")
    newer = ChildReport(account="acme.com", at=9, child="acme.de", sequence=1, gates=("suppress:customers",))
    older = ChildReport(account="acme.com", at=8, child="acme.de", sequence=1)
    await router.tell(newer, older)
    family = router.state("acme.com").family  # stored, although the account itself is in no segment yet
    assert family is not None
    assert family.children == {"acme.de": (9, 1, ("suppress:customers",))}
    await world.happen(funded("acme.com", day(1)))
    assert world.why("acme.com") == "customers (family)"
    await world.happen(parent("lone.com", "acme.com", day(1)), funded("lone.com", day(2)))
    assert world.why("lone.com") == "customers (family)"
    late = FamilyNews(account="lone.com", at=1, parent="acme.com", number=0, gates=())
    strange = FamilyNews(account="lone.com", at=1, parent="other.com", number=10**15, gates=())
    assert await world.router("lone.com").tell(late, strange) == []
    assert world.why("lone.com") == "customers (family)"


async def test_a_child_that_reports_again_is_told_again_what_it_may_have_lost() -> None:
    world = await World(file()).start()
    await world.happen(outcome("acme.com", "won", day(0)))
    report = ChildReport(account="acme.com", at=9, child="acme.de", sequence=1)
    for _ in range(2):
        await world.router("acme.com").tell(report)
    told = [one for one in world.router("acme.com").published.messages if one.topic == "routing-events"]
    assert [decode_routing_event(one.value or b"").account for one in told] == ["acme.de", "acme.de"]


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_happens_relatives_are_kept_out_exactly_while_one_of_them_is_a_customer(
    seed: int,
) -> None:
    rng = random.Random(seed)
    world = await World(file()).start()
    parents: dict[str, str | None] = {}
    won: dict[str, set[str]] = {}
    opened: dict[str, set[str]] = {}
    await world.happen(*(funded(account, day(0)) for account in ACCOUNTS))
    for number in range(1, 30):
        account, at = rng.choice(ACCOUNTS), day(number)
        deal = rng.choice("ab")
        match rng.choice(("parent", "won", "churned", "opportunity_created", "lost")):
            case "parent":
                chosen = rng.choice((None, *(one for one in ACCOUNTS if one != account)))
                parents[account] = chosen
                await world.happen(parent(account, chosen, at))
            case action:
                if action == "won":
                    won.setdefault(account, set()).add(deal)
                if action == "churned":
                    won.setdefault(account, set()).discard(deal)
                if action == "opportunity_created":
                    opened.setdefault(account, set()).add(deal)
                if action in ("won", "lost"):
                    opened.setdefault(account, set()).discard(deal)
                await world.happen(outcome(account, action, at, deal=deal))
        for one in ACCOUNTS:
            mine = parents.get(one)
            kin = {
                other
                for other in ACCOUNTS
                if other != one
                and (
                    other == mine
                    or parents.get(other) == one
                    or (mine is not None and parents.get(other) == mine)
                )
            }
            expected = "enrolled"
            for name, held in (("customers", won), ("open-opportunities", opened)):
                if held.get(one) or any(held.get(other) for other in kin):
                    expected = name if held.get(one) else f"{name} (family)"
                    break
            assert (seed, number, one, world.why(one)) == (seed, number, one, expected)


@pytest.mark.parametrize(
    "entry",
    [
        {"customers": {"family": "yes"}},
        {"bounced": {"family": True}},
        {"customers": {}, "bounced": {}},
        {"customers": None},
    ],
)
def test_a_mistake_in_the_option_is_an_error(entry: Any) -> None:
    with pytest.raises(InvalidSegments):
        definition_of(file([entry]))
