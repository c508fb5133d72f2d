"""What restricts outreach beside suppressions: the persons not to contact, and the time after a lost deal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from resegment.console.definition.brief import render
from resegment.documents.diagnostics import InvalidSegments
from resegment.routing.describe import words_of
from resegment.schemas.routing import GatesChanged, decode_routing_event
from resegment.schemas.times import format_instant
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.briefs import write_brief
from tests.builders import Rig, Routing, definition_of, facts_of, run, signals
from tests.oracle.cases import day, event, funding, hiring, segments
from tests.unit.agents.test_router import ENROLL, NOON, TEAM, Account, said, taken, to

DAY = 86_400_000


def outcome(action: str, at: int, **given: Any) -> Any:
    return event("outcome", at, action=action, **given)


def file(**given: Any) -> dict[str, Any]:
    plain = segments(hot={"event": "funding"}, cold={"event": "hiring"})
    for segment in plain["segments"]:
        segment["route"] = {"workflow": f"{segment['name']}-flow"}
    return {**plain, "fallback": {"name": "out", "play": plain["segments"][0]["play"]}, **given}


def text_of(shown: Any) -> str:
    written = io.StringIO()
    Console(file=written, width=200).print(shown)
    return written.getvalue()


async def commands_of(*events: Any, **given: Any) -> tuple[Routing, list[dict[str, Any]]]:
    """Segment events one by one, then route the changes and the events beside them in the order of the log."""
    made = file(**given)
    rig = await run(Rig(made), [[one] for one in signals(facts_of(events))])
    await rig.deliver()
    routing = Routing(definition_of(made), mode="all", now=None)
    await routing.take()
    commands: list[dict[str, Any]] = []
    for message in rig.published.messages:
        if message.topic == "segment-changes":
            commands += await routing.follow(message.value or b"")
        elif message.topic == "routing-events":
            commands += await routing.tell(decode_routing_event(message.value or b""))
    return routing, commands


async def test_a_command_carries_the_persons_not_to_contact_and_the_account_is_enrolled() -> None:
    _, made = await commands_of(
        outcome("unsubscribed", day(0), person="jo@acme.com"),
        outcome("bounced", day(0), person="al@acme.com", id="b"),
        funding(day(1)),
        suppression=["do-not-contact", "bounced"],
    )
    assert said(made) == [ENROLL]
    assert made[0]["do_not_contact"] == ["al@acme.com", "jo@acme.com"]


async def test_a_person_who_opts_out_later_sends_no_command_and_is_in_the_next_one() -> None:
    routing, made = await commands_of(
        hiring(day(0)),
        outcome("spam_complaint", day(1), person="Jo@acme.com"),
        outcome("resubscribed", day(2), person="al@acme.com"),
        funding(day(3)),
    )
    assert [(one["action"], one["do_not_contact"]) for one in made] == [
        ("enroll", []),
        ("stop", ["Jo@acme.com"]),
        ("enroll", ["Jo@acme.com"]),
    ]
    assert routing.state("acme.com").do_not_contact == ("Jo@acme.com",)


async def test_a_person_who_subscribes_again_may_be_contacted() -> None:
    _, made = await commands_of(
        event("engagement", day(0), action="unsubscribe", person="jo@acme.com"),
        outcome("resubscribed", day(1), person="JO@acme.com"),
        funding(day(2)),
    )
    assert made[0]["do_not_contact"] == []


@pytest.mark.parametrize("person", [{}, {"person": "jo@acme.com"}])
async def test_an_opt_out_stops_the_account_where_it_names_nobody_or_the_file_says_so(person: Any) -> None:
    suppression: list[Any] = [{"do-not-contact": {"persons": "account"}}] if person else ["do-not-contact"]
    routing, made = await commands_of(
        funding(day(0)), outcome("opt_out", day(1), **person), suppression=suppression
    )
    assert [(one["action"], one["reason"]) for one in made] == [
        ("enroll", None),
        ("stop", "suppressed: do-not-contact"),
    ]
    assert routing.state("acme.com").decision == "suppressed"


async def test_after_a_lost_deal_an_account_is_enrolled_again_when_the_cooldown_ends() -> None:
    routing, made = await commands_of(
        funding(day(0)),
        outcome("opportunity_created", day(1)),
        outcome("lost", day(2)),
        suppression=["open-opportunities"],
    )
    assert [one["action"] for one in made] == ["enroll", "stop"]
    state = routing.state("acme.com")
    assert words_of(state).startswith("not enrolled: in cooldown until ")
    assert "after a lost deal" in words_of(state)
    assert state.deadline == day(92)
    assert said(await routing.wait_until(day(92) - 1)) == []
    assert said(await routing.wait_until(day(92))) == [ENROLL]


@pytest.mark.parametrize(
    ("cooldown", "actions"), [("0d", ["enroll", "stop", "enroll"]), ("1d", ["enroll", "stop"])]
)
async def test_the_file_sets_how_long_an_account_stays_out_after_a_lost_deal(
    cooldown: str, actions: list[str]
) -> None:
    _, made = await commands_of(
        funding(day(0)),
        outcome("opportunity_created", day(1)),
        outcome("lost", day(2)),
        suppression=["open-opportunities"],
        cooldown_after_lost=cooldown,
    )
    assert [one["action"] for one in made] == actions


async def test_a_lost_deal_that_is_withdrawn_ends_the_cooldown() -> None:
    _, made = await commands_of(
        outcome("lost", day(0), id="deal"),
        funding(day(1)),
        outcome("lost", day(0), id="no", record="deal", op="retract", known=day(3)),
    )
    assert said(made) == [ENROLL]


async def test_an_account_in_a_workflow_stays_in_it_when_a_deal_is_lost() -> None:
    routing, made = await commands_of(funding(day(0)), outcome("lost", day(2)))
    assert said(made) == [ENROLL]
    assert routing.state("acme.com").decision == "enrolled"


async def test_another_deal_that_is_open_keeps_the_account_out_though_one_is_lost() -> None:
    routing, _ = await commands_of(
        outcome("opportunity_created", day(0), deal="A"),
        outcome("opportunity_created", day(0), deal="B", id="b"),
        outcome("lost", day(1), deal="B"),
        funding(day(2)),
        suppression=["open-opportunities"],
    )
    assert (routing.state("acme.com").decision, routing.state("acme.com").why) == (
        "suppressed",
        "open-opportunities",
    )


async def test_a_place_in_a_waiting_list_is_given_up_when_a_deal_is_lost_before_its_turn() -> None:
    routing = await taken(teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    first, second = Account("first.com"), Account("second.com")
    await routing.follow(first.moves("hot"), second.moves("hot"))
    lost = GatesChanged(
        account="second.com", at=NOON + 1, active_gates=(), sequence=1, lost_until=NOON + 9 * DAY
    )
    await routing.tell(lost)
    await routing.wait_until(NOON + DAY)
    assert routing.state("second.com").decision == "cooldown"
    assert (await routing.owners.look()).teams["sales"].waiting == 0


async def test_gates_of_the_instant_of_a_change_hold_though_their_topic_is_read_first() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    change = acme.moves("hot", standing=[])
    until = NOON + 5 * DAY
    gates = GatesChanged(account="acme.com", at=NOON, active_gates=(), sequence=1, lost_until=until)
    await routing.tell(gates)
    await routing.follow(change)
    assert (routing.state("acme.com").decision, routing.state("acme.com").deadline) == ("cooldown", until)


async def test_a_cooldown_after_a_lost_deal_goes_on_when_something_else_changes() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    until = NOON + 5 * DAY
    await routing.follow(acme.moves("hot", standing=[], lost_until=format_instant(until)))
    routing.policy.controls.mode = "none"
    given: dict[str, Any] = {"account": "acme.com", "sequence": 1}
    territory = GatesChanged(at=NOON + 1, active_gates=("territory:sales/ann",), lost_until=until, **given)
    await routing.tell(territory)
    assert (routing.state("acme.com").decision, routing.state("acme.com").deadline) == ("cooldown", until)
    await routing.tell(GatesChanged(at=NOON + 2, active_gates=(), lost_until=0, **given))  # taken back
    assert routing.state("acme.com").decision == "quiet"


async def test_the_longer_of_two_cooldowns_counts() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    once = to("hot-flow", cooldown="9d")
    await routing.follow(acme.moves("hot", once))
    await routing.follow(acme.moves("out", None, at=NOON + 1))
    gates = GatesChanged(
        account="acme.com", at=NOON + 2, active_gates=(), sequence=2, lost_until=NOON + 5 * DAY
    )
    await routing.tell(gates)
    await routing.follow(acme.moves("hot", once, at=NOON + 3, standing=[], lost_until="2024-01-01T00:00:00Z"))
    assert "after leaving hot-flow" in words_of(routing.state("acme.com"))
    assert (routing.state("acme.com").deadline or 0) > NOON + 8 * DAY


def test_a_brief_names_the_persons_not_to_contact() -> None:
    engine = Rig(file()).engine
    facts = facts_of([funding(day(0)), outcome("complaint", day(1), person="jo@acme.com")])
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), day(2))
    brief = write_brief(engine, account, day(2))
    assert brief.do_not_contact == ("jo@acme.com",)
    assert "Do not contact: jo@acme.com" in text_of(render(brief))


def test_persons_are_named_up_to_a_bound_the_newest_first() -> None:
    engine = Rig(file()).engine
    events = [outcome("unsubscribed", day(0) + n, person=f"{n:04}@acme.com", id=f"u{n}") for n in range(510)]
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts_of(events)), day(2))
    names = account.state.do_not_contact
    assert (len(names), names[0], names[-1]) == (500, "0010@acme.com", "0509@acme.com")


@pytest.mark.parametrize(
    ("rest", "many", "standing", "persons"),
    [
        ({"action": "bounced", "person": "jo"}, {"action": "opened", "person": "al"}, (), ("jo",)),
        ({"action": "unsubscribed", "person": "jo"}, {"action": "opened", "person": "jo"}, (), ("jo",)),
        ({"action": "won"}, {"action": "sent"}, ("suppress:customers",), ()),
        ({"action": "won", "deal": "a"}, {"action": "churned", "deal": "b"}, ("suppress:customers",), ()),
        ({"action": "complaint"}, {"action": "opened"}, ("suppress:do-not-contact",), ()),
        ({"action": "opportunity_created"}, {"action": "replied"}, ("suppress:open-opportunities",), ()),
    ],
)
def test_a_busy_account_forgets_nothing_that_a_suppression_rests_on(
    rest: Any, many: Any, standing: Any, persons: Any
) -> None:
    engine = Rig(file(suppression=["customers", "open-opportunities", "do-not-contact"])).engine
    first = event("outcome", day(0), **rest)
    later = [event("outcome", day(1) + n, id=f"n{n}", **many) for n in range(2_100)]
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts_of([first, *later])), day(3))
    assert (account.state.active_gates, account.state.do_not_contact) == (standing, persons)
    assert len(account.state.entries) < 1 + 2_000 + 1_000


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"do-not-contact": {"persons": "all"}}, ("suppression", 0, "do-not-contact", "persons")),
        ({"do-not-contact": {"person": "account"}}, ("suppression", 0, "do-not-contact", "person")),
        ("customer", ("suppression", 0)),
    ],
)
def test_a_mistake_in_a_suppression_is_one_error_at_its_place(entry: Any, path: Any) -> None:
    with pytest.raises(InvalidSegments) as refused:
        definition_of(file(suppression=[entry]))
    assert [one.path for one in refused.value.diagnostics] == [path]
