"""Touches: one for each enrollment and for each draw that held an account out, frozen as it was then."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.facts import Learned, OutcomeFact
from resegment.schemas.outcomes.ledger import MOST_ITEMS, Dropped, LedgerItem, decode_ledger
from resegment.schemas.outcomes.messages import decode_touch, identify_holdout
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchRecord, TouchVoid
from resegment.schemas.outgoing import identify_command
from resegment.schemas.routing import Reassign, Review
from tests.builders import Routing, definition_of
from tests.unit.agents.test_router import DAY, NOON, QUALIFIED, SUPPRESSED, TEAM, Account, file, taken, to


def published(routing: Routing) -> list[TouchRecord]:
    return [decode_touch(one.value or b"") for one in routing.published.to("touches")]


def ledger(routing: Routing, account: str = "acme.com") -> list[LedgerItem]:
    return decode_ledger(routing.memory.ledgers[account])


def learned(record: str = "r", at: int = NOON, **more: Any) -> Learned:
    fact = OutcomeFact(
        **(
            {"account": "acme.com", "source": "crm", "record": record, "id": record, "at": at, "recorded": at}
            | more
        )
    )
    return Learned(account="acme.com", at=at, fact=fact)


def void(number: int, before: str | None = None) -> dict[str, Any]:
    return {"supersedes": f"acme.com-{number}", "supersedes_to": "warm", "from": before}


async def test_an_enrollment_is_a_touch_with_all_that_it_was() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    change = acme.moves("hot", definition_version="f1", experiment="e", variant="v")
    (made,) = await routing.follow(change)
    (touch,) = published(routing)
    assert touch == Touch(
        touch=made["idempotency_key"], account="acme.com", at=NOON, segment="hot", workflow="hot-flow",
        play="hot-play", owner=made["owner"], team="sales", channel="email", definition_version="f1",
        experiment="e", variant="v", change="acme.com-1",
    )  # fmt: skip
    assert ledger(routing) == [touch]


async def test_the_command_carries_what_its_touch_has() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    (made,) = await routing.follow(acme.moves("hot", definition_version="f1", experiment="e", variant="v"))
    (touch,) = published(routing)
    assert isinstance(touch, Touch)
    names = ("touch", "channel", "definition_version", "version", "experiment", "variant")
    assert {name: made[name] for name in names} == {name: getattr(touch, name) for name in names}
    assert made["touched_at"] == "2024-01-01T12:00:00Z"


async def test_a_later_move_leaves_the_touch_as_it_was() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    before = published(routing)
    await routing.follow(acme.moves("hot", at=NOON + DAY))
    assert published(routing)[0] == before[0]
    assert [one.segment for one in published(routing) if isinstance(one, Touch)] == ["cold", "hot"]


async def test_an_account_that_is_not_enrolled_is_not_touched() -> None:
    for mode, options in (("none", {}), ("all", SUPPRESSED)):
        routing, acme = await taken(mode, **options), Account()
        await routing.follow(acme.moves("hot", standing=["suppress:customers"]))
        assert published(routing) == []
        assert routing.memory.ledgers == {}


@pytest.mark.parametrize("mode", ["all", "none"])
async def test_a_holdout_is_a_touch_only_where_the_account_would_be_enrolled(mode: str) -> None:
    routing, acme = await taken(mode), Account()
    assert await routing.follow(acme.moves("hot", holdout=True)) == []
    assert routing.state("acme.com").decision == "holdout"
    expected = Touch(
        touch=identify_holdout("acme.com-1", "hot-flow"), account="acme.com", at=NOON, segment="hot",
        workflow="hot-flow", arm="holdout", play="hot-play", team="sales", channel="email",
        definition_version=routing.policy.version, change="acme.com-1",
    )  # fmt: skip
    assert published(routing) == ([expected] if mode == "all" else [])


async def test_an_account_that_is_held_out_within_its_cooldown_is_not_touched() -> None:
    routing, acme = await taken(), Account()
    cooled = to("hot-flow", cooldown="9d")
    await routing.follow(acme.moves("hot", cooled))
    await routing.follow(acme.moves("out", None, at=NOON + 1))
    await routing.follow(acme.moves("hot", cooled, at=NOON + 2, holdout=True))
    assert [one.arm for one in published(routing) if isinstance(one, Touch)] == ["enrolled"]


async def test_a_held_out_account_that_is_looked_at_again_is_touched_once() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("hot", holdout=True))
    await routing.tell(Review(account="acme.com", at=NOON), Review(account="acme.com", at=NOON, forced=True))
    assert len(published(routing)) == 1


async def test_a_superseding_change_voids_the_touch_of_the_other_one() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("warm", at=NOON + 1))
    await routing.follow(acme.moves("hot", **void(2, "cold")))
    said = published(routing)
    assert [one.change for one in said if isinstance(one, TouchVoid)] == ["acme.com-2"]
    assert Dataset.of(said).touches["segment"].to_list() == ["cold", "hot"]


async def test_a_superseding_change_within_one_workflow_passes_the_key_on() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("warm", to("hot-flow")))
    await routing.follow(acme.moves("hot", **void(1)))
    old, new = (identify_command(f"acme.com-{number}", "enroll", "hot-flow") for number in (1, 2))
    reply = learned(key=old).fact
    found = Dataset.of([*published(routing), reply])
    assert found.touches["touch"].to_list() == found.outcomes["touch"].to_list() == [new]


async def test_a_superseded_holdout_is_void() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("warm", holdout=True))
    await routing.follow(acme.moves("hot", **void(1)))
    assert Dataset.of(published(routing)).touches.select("segment", "arm").rows() == [("hot", "enrolled")]


async def test_a_first_load_that_enrolls_nobody_voids_nothing() -> None:
    routing, acme = await taken("none"), Account()
    await routing.follow(acme.moves("warm"))
    await routing.follow(acme.moves("hot", **void(1)))
    assert published(routing) == []


async def test_the_keys_of_a_reassignment_and_an_escalation_mean_the_touch() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (first,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    (late,) = await routing.wait_until(NOON + DAY)
    await routing.owners.leave(first["owner"])
    later = await routing.tell(Reassign(account="acme.com", at=NOON + DAY, owner=first["owner"]))
    keys = [one.key for one in published(routing) if isinstance(one, TouchKey)]
    assert keys == [one["idempotency_key"] for one in (late, *later)]
    assert {one["touch"] for one in (first, late, *later)} == {first["idempotency_key"]}
    replies = [learned(key, key=key).fact for key in keys]
    found = Dataset.of([*published(routing), *replies])
    assert set(found.outcomes["touch"]) == {first["idempotency_key"]}


async def test_outcomes_are_kept_without_the_account_being_known() -> None:
    routing = await taken()
    await routing.tell(learned("a"), learned("b"))
    await routing.tell(learned("a", retracted=True))
    assert [getattr(one, "record", None) for one in ledger(routing)] == ["a", "b", "a"]
    assert routing.memory.accounts == {}


async def test_an_outcome_after_the_account_has_moved_on_is_credited_to_its_touch_until_it_is_retracted() -> (
    None
):
    routing, acme = await taken(), Account()
    (made,) = await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("hot", at=NOON + DAY))
    reply = learned("reply", NOON + 2 * DAY, action="replied", key=made["idempotency_key"])
    await routing.tell(reply)
    found = Dataset.of(ledger(routing))
    segments = dict(found.touches.select("touch", "segment").iter_rows())
    assert [segments[one] for one in found.outcomes["touch"]] == ["cold"]
    await routing.tell(learned("reply", NOON + 3 * DAY, id="taken-back", retracted=True))
    assert Dataset.of(ledger(routing)).outcomes.is_empty()


async def test_a_ledger_is_bounded_and_says_what_is_gone() -> None:
    routing = await taken()
    await routing.tell(*(learned(str(number), NOON + number) for number in range(MOST_ITEMS + 1)))
    assert isinstance(ledger(routing)[0], Dropped)
    found = Ledgers.of(ledger(routing))
    assert (len(found.facts) + found.dropped, len(found.facts)) == (MOST_ITEMS + 1, MOST_ITEMS // 2)
    await routing.tell(learned("next", NOON))  # the partition goes on after it has compacted
    assert len(ledger(routing)) == MOST_ITEMS // 2 + 2


async def test_a_change_that_comes_again_touches_nobody_twice() -> None:
    routing, acme = await taken(), Account()
    change = acme.moves("hot")
    await routing.follow(change)
    await routing.follow(change)
    assert len(published(routing)) == len(ledger(routing)) == 1


async def test_an_account_whose_steps_fail_leaves_no_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    routing, acme = await taken(), Account()
    monkeypatch.setattr(msgspec.json, "encode", lambda *_: 1 / 0)
    await routing.follow(acme.moves("hot"))
    assert routing.results[-1].refused
    assert (published(routing), routing.memory.ledgers) == ([], {})


@settings(max_examples=12, deadline=None)
@given(st.data())
async def test_a_replay_in_any_batches_touches_the_same(data: st.DataObject) -> None:
    acme, values = Account(), []
    for number in range(1, data.draw(st.integers(2, 12)) + 1):
        segment = data.draw(st.sampled_from(["hot", "cold", "warm"]))
        more: dict[str, Any] = {"holdout": data.draw(st.booleans())}
        if number > 1 and data.draw(st.booleans()):
            values.append(acme.moves(segment, **more, **void(number - 1, acme.came)))
        else:
            values.append(acme.moves(segment, at=NOON + number * DAY, **more))
    outcomes = [learned(str(one), NOON + one * DAY) for one in range(3)]
    found = []
    for cuts in (data.draw(st.sets(st.integers(1, len(values)))), set[int]()):
        routing = Routing(definition_of(file()), now=None)
        await routing.take()
        for start, end in pairwise([0, *sorted(cuts), len(values)]):
            if values[start:end]:
                await routing.follow(*values[start:end])
        await routing.tell(*outcomes)
        assert set(ledger(routing)) == {*published(routing), *(one.fact for one in outcomes)}
        found.append((published(routing), Dataset.of(ledger(routing)).outcomes))
    assert found[0][0] == found[1][0]
    assert found[0][1].equals(found[1][1])
