"""What the segmenter says beside the segment: who is held out, which gates hold, and what became of outreach."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.schemas.outcomes.facts import Learned
from resegment.schemas.routing import GatesChanged, RoutedOutcome, decode_routing_event
from resegment.segmentation.plays.experiments import is_drawn
from tests.builders import Rig, data_of, facts_of, run, signals
from tests.oracle.cases import day, event, hiring, segments

ACCOUNTS = [f"company{number}.com" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_held_out_is_as_great_as_the_file_says(share: float) -> None:
    drawn = sum(is_drawn(account, share, "spring") for account in ACCOUNTS)
    assert abs(drawn / len(ACCOUNTS) - share) < 0.01


def test_the_same_salt_holds_out_the_same_accounts_and_a_greater_share_holds_out_more() -> None:
    tenth = {account for account in ACCOUNTS if is_drawn(account, 0.1, "spring")}
    fifth = {account for account in ACCOUNTS if is_drawn(account, 0.2, "spring")}
    assert tenth == {account for account in ACCOUNTS if is_drawn(account, 0.1, "spring")}
    assert tenth < fifth
    other = {account for account in ACCOUNTS if is_drawn(account, 0.1, "autumn")}
    assert len(tenth & other) < len(tenth) / 5


async def test_a_change_says_whether_its_account_is_drawn() -> None:
    file = segments(hot={"event": "hiring"})
    file["segments"][0]["holdout"] = {"share": "30%", "salt": "spring"}
    facts = facts_of([hiring(day(1), account=account, id=account) for account in ACCOUNTS[:200]])
    rig = await run(Rig(file), [signals(facts)])
    await rig.deliver()
    said = {data["account"]: data["holdout"] for data in map(data_of, rig.published.to("segment-changes"))}
    assert said == {account: is_drawn(account, 0.3, "spring") for account in ACCOUNTS[:200]}
    assert 30 < sum(said.values()) < 90


GATED: dict[str, Any] = {
    **segments(hot={"event": "hiring"}),
    "suppression": ["customers", {"name": "quiet", "when": {"event": "funding", "within": "3d"}}],
    "teams": {"sales": {"members": [{"name": "eve", "territory": {"region": "emea"}}]}},
}


async def told(*events: Any, until: int | None = None) -> tuple[Rig, list[Any]]:
    made = [*events] if until is None else [*events, event("strategy", until, theme="x")]
    rig = await run(Rig(GATED), [[one] for one in signals(facts_of(made))])
    await rig.deliver()
    return rig, [decode_routing_event(one.value or b"") for one in rig.published.to("routing-events")]


async def test_a_change_carries_the_gates_that_hold() -> None:
    rig, beside = await told(event("firmographic", day(0), region="emea"), hiring(day(1)))
    first, second = map(data_of, rig.published.to("segment-changes"))
    assert first["standing"] == second["standing"] == ["territory:sales/eve"]
    assert beside == []


async def test_where_only_gates_move_the_router_is_told_by_events_and_by_time_at_the_exact_instant() -> None:
    _, beside = await told(hiring(day(1)), event("funding", day(2), round="seed"), until=day(9))
    assert beside == [
        GatesChanged(account="acme.com", at=day(2), active_gates=("suppress:quiet",), sequence=1),
        GatesChanged(account="acme.com", at=day(5), active_gates=(), sequence=1),
    ]


async def test_outcomes_that_concern_an_enrollment_are_passed_on_with_their_time_and_key() -> None:
    _, beside = await told(
        hiring(day(1)),
        event("outcome", day(2), action="accepted", idempotency_key="k", id="a"),
        event("outcome", day(3), action="opened", id="b"),
        event("outcome", day(4), action="lost", id="c"),
    )
    assert [one for one in beside if isinstance(one, RoutedOutcome)] == [
        RoutedOutcome(account="acme.com", at=day(2), action="accepted", key="k"),
        RoutedOutcome(account="acme.com", at=day(4), action="lost"),
    ]


@pytest.mark.parametrize("together", [False, True])
async def test_an_outcome_that_comes_again_with_other_content_is_not_passed_on(*, together: bool) -> None:
    outcomes = [
        event("outcome", day(2), action="accepted", idempotency_key="k", id="a"),
        event("outcome", day(2), action="lost", id="a"),
    ]
    records = signals(facts_of([hiring(day(1)), *outcomes]))
    rig = await run(Rig(GATED), [records] if together else [[one] for one in records])
    await rig.deliver()
    beside = [decode_routing_event(one.value or b"") for one in rig.published.to("routing-events")]
    answers = [one for one in beside if isinstance(one, RoutedOutcome)]
    assert answers == [RoutedOutcome(account="acme.com", at=day(2), action="accepted", key="k")]
    assert [one.fact.action for one in beside if isinstance(one, Learned)] == ["accepted"]


async def test_an_older_revision_of_an_outcome_is_not_passed_on() -> None:
    newer = event("outcome", day(2), action="lost", id="b", record="deal", known=day(4))
    older = event("outcome", day(2), action="won", id="a", record="deal", known=day(3))
    _, beside = await told(hiring(day(1)), newer, older)
    assert [one.action for one in beside if isinstance(one, RoutedOutcome)] == ["lost"]


async def test_a_number_that_json_has_no_room_for_stops_no_partition() -> None:
    file = segments({"raised": {"sum": "funding", "field": "amount_usd"}}, hot={"event": "hiring"})
    file["plays"]["any"]["message"]["pain"] = "They raised {{ raised }}"
    raised = [event("funding", day(n), id=f"f{n}", amount_usd=2**63) for n in range(3)]
    rig = await run(Rig(file), [signals(facts_of([*raised, hiring(day(5))]))])
    await rig.deliver()
    changes = [orjson.loads(one.value or b"")["data"] for one in rig.published.to("segment-changes")]
    assert changes[-1]["values"] == {"raised": 3.0 * 2**63}
