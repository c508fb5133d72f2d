"""Accounts that pass from one version of the definition to the next, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from resegment.schemas.change import Cause, SegmentChange
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState, Membership
from resegment.segmentation.evaluation.engine import Engine, changes_in, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery, replay_account
from resegment.segmentation.versions.era import ALWAYS, Era, invert_moves
from resegment.segmentation.versions.timeline import Timeline, UnknownVersion
from tests.builders import definition_of, facts_of
from tests.oracle.cases import day, funding, hiring, segments, snapshot

Json = Any
T = day(10)


def era(number: int, at: int, file: Json, moved: Mapping[str, str] | None = None, **given: Any) -> Era:
    return Era(number, at, Engine(Program(definition_of(file))), moved or {}, **given)


def switching(old: Json, new: Json, moved: Mapping[str, str] | None = None, **given: Any) -> Timeline:
    """A timeline of two versions, the second from `T` on."""
    return Timeline([era(1, ALWAYS, old), era(2, T, new, moved, **given)])


def changes(timeline: Timeline, events: Iterable[Json], until: int | None = T) -> list[SegmentChange]:
    facts = by_account(order_of_delivery(facts_of(events)))["acme.com"]
    _, found = replay_account(timeline, "acme.com", facts, until)
    return net_changes(found)


def path(*args: Any, **given: Any) -> list[tuple[str, int]]:
    return [(one.to, one.effective_at) for one in changes(*args, **given)]


FUNDED = {"event": "funding"}
SELLING = {"event": "hiring"}


def test_at_the_instant_of_a_switch_the_new_version_judges_every_account() -> None:
    timeline = switching(segments(in_=FUNDED), segments(in_=SELLING))

    made = changes(timeline, [funding(day(0))])

    assert [(one.from_, one.to, one.effective_at) for one in made] == [
        (None, "in", day(0)),
        ("in", "out", T),
    ]
    assert made[1].cause == Cause(definition=2)
    assert (made[1].route, made[1].moved, made[1].rollback_of) == ("none", False, None)


def test_a_deadline_before_the_switch_is_decided_by_the_old_version_and_one_at_it_by_the_new() -> None:
    old = segments(in_={**FUNDED, "within": "10d"})
    longer = segments(in_={**FUNDED, "within": "20d"})

    assert path(switching(old, longer), [funding(day(0))], until=None) == [("in", day(0)), ("out", day(20))]
    before = [funding(T - 10 * 86_400_000 - 1)]
    assert path(switching(old, longer), before, until=None) == [
        ("in", T - 10 * 86_400_000 - 1),
        ("out", T - 1),
        ("in", T),
        ("out", day(20) - 1),
    ]


def test_what_is_known_at_the_instant_counts_for_its_judgment() -> None:
    timeline = switching(segments(in_=FUNDED), segments(both={**FUNDED, "employees": {"gte": 5}}, in_=FUNDED))

    made = changes(timeline, [funding(day(0)), snapshot(T, employees=9)])

    assert [(one.to, one.effective_at) for one in made] == [("in", day(0)), ("both", T)]
    assert made[1].cause == Cause(definition=2)


def test_a_fact_of_the_instant_that_comes_in_a_later_batch_leads_to_the_same_change() -> None:
    timeline = switching(
        segments(in_=FUNDED), segments(both={**FUNDED, "employees": {"gte": 5}}, other=FUNDED)
    )
    first, late = facts_of([funding(day(0)), snapshot(T, employees=9)])
    account = timeline.open("acme.com")
    timeline.apply_facts(account, [first], day(0))
    assert [one.to for one in changes_in(timeline.advance(account, T))] == ["other"]

    (decision,) = timeline.apply_facts(account, [late], T)

    assert decision.change is not None
    assert (decision.change.from_, decision.change.to) == ("in", "both")
    assert decision.change.supersedes_to == "other"
    assert decision.change.cause == Cause(definition=2)
    assert account.state.membership == Membership("both", T, {"in": T})


def test_an_account_that_stays_in_a_segment_of_that_name_stays_entered_since_when_it_was() -> None:
    old = segments(in_=FUNDED)
    new = segments(in_={"when": SELLING, "hold": {"min_dwell": "15d"}})

    assert path(switching(old, new), [funding(day(0))], until=None) == [("in", day(0)), ("out", day(15))]


def test_a_cooldown_counts_from_an_exit_before_the_switch() -> None:
    old = segments(in_={**FUNDED, "within": "5d"})
    new = segments(in_={"when": FUNDED, "hold": {"cooldown": "8d"}})

    assert path(switching(old, new), [funding(day(0))], until=None) == [
        ("in", day(0)),
        ("out", day(5)),
        ("in", day(13)),
    ]


def test_a_move_to_another_name_carries_members_entries_and_exits() -> None:
    old = segments(in_={**FUNDED, "within": "30d"})
    new = segments(renamed={"when": {**FUNDED, "within": "5d"}, "hold": {"min_dwell": "12d"}})

    made = changes(switching(old, new, {"renamed": "in"}), [funding(day(0))], until=None)

    assert [(one.from_, one.to, one.effective_at, one.moved) for one in made] == [
        (None, "in", day(0), False),
        ("in", "renamed", T, True),
        ("renamed", "out", day(12), False),
    ]


def test_names_are_exchanged_at_once() -> None:
    old = segments(one=FUNDED, two=SELLING)
    new = segments(two=FUNDED, one=SELLING)
    swap = {"one": "two", "two": "one"}

    funded = changes(switching(old, new, swap), [funding(day(0))])
    selling = changes(switching(old, new, swap), [hiring(day(0))])

    assert [(one.from_, one.to, one.moved) for one in funded[1:]] == [("one", "two", True)]
    assert [(one.from_, one.to, one.moved) for one in selling[1:]] == [("two", "one", True)]


def test_of_two_exits_that_become_one_the_later_counts() -> None:
    old = segments(
        one={**FUNDED, "within": "2d"}, two={"event": "funding", "ago": ["2d", "5d"]}, three=SELLING
    )
    new = segments(two={"when": FUNDED, "hold": {"cooldown": "6d"}})
    account_of = switching(old, new, {"two": "one"})
    facts = facts_of([funding(day(0))])

    account, made = replay_account(account_of, "acme.com", facts, T)

    assert [one.to for one in made] == ["one", "two", "out"]
    assert account.state.membership == Membership("out", day(5), {"two": day(5)})
    assert account.deadline == day(11)


def test_a_move_is_ignored_where_the_version_before_has_no_such_segment() -> None:
    old, new = segments(in_=FUNDED), segments(in_=FUNDED)

    assert path(switching(old, new, {"in": "gone"}), [funding(day(0))]) == [("in", day(0))]


def test_the_name_of_the_fallback_is_a_name_like_others() -> None:
    old, new = segments(in_=FUNDED), segments(in_=FUNDED)
    new["fallback"]["name"] = "rest"

    made = changes(switching(old, new, {"rest": "out"}), [hiring(day(0))])

    assert [(one.from_, one.to, one.moved) for one in made] == [(None, "out", False), ("out", "rest", True)]


@pytest.mark.parametrize("what", ["gone", "draft"])
def test_a_segment_that_is_gone_or_a_draft_loses_its_members_whatever_hold_says(what: str) -> None:
    held = {"when": FUNDED, "hold": {"min_dwell": "90d"}}
    old = segments(in_=held)
    new = segments(other=SELLING) if what == "gone" else segments(in_={**held, "status": "draft"})
    account, made = replay_account(switching(old, new), "acme.com", facts_of([funding(day(0))]), T)

    assert [(one.from_, one.to, one.effective_at) for one in made[1:]] == [("in", "out", T)]
    assert account.state.membership == Membership("out", T, {"in": T})


def test_an_account_first_seen_after_the_switch_knows_only_the_new_version() -> None:
    timeline = switching(segments(in_=FUNDED), segments(in_=SELLING))

    for instant in (T, T + 1, day(20)):
        made = changes(timeline, [hiring(instant)], until=day(30))
        assert [(one.from_, one.to, one.effective_at) for one in made] == [(None, "in", instant)]
        assert made[0].cause == Cause(events=(f"hiring-{instant}",))
        assert made[0].route is None


def test_an_account_passes_several_versions_when_it_is_next_touched() -> None:
    timeline = Timeline(
        [
            era(1, ALWAYS, segments(in_={**FUNDED, "within": "12d"})),
            era(2, T, segments(second={**FUNDED, "within": "14d"}), {"second": "in"}),
            era(4, day(13), segments(third=FUNDED), {"third": "second"}),
        ]
    )

    made = changes(timeline, [funding(day(0)), hiring(day(20))], until=None)

    assert [(one.to, one.effective_at, one.cause.definition) for one in made] == [
        ("in", day(0), None),
        ("second", T, 2),
        ("third", day(13), 4),
    ]
    account, _ = replay_account(timeline, "acme.com", facts_of([funding(day(0))]), day(12))
    assert decode_state(timeline.encode(account)).version == 2
    assert timeline.is_behind(account, day(13))
    assert not timeline.is_behind(account, day(13) - 1)


def test_accounts_are_not_judged_where_only_texts_differ() -> None:
    old, new = segments(in_=FUNDED), segments(in_=SELLING)  # judged, the account would leave

    timeline = switching(old, new, judges=False)

    assert path(timeline, [funding(day(0))]) == [("in", day(0))]
    account, _ = replay_account(timeline, "acme.com", facts_of([funding(day(0))]), T - 1)
    assert not timeline.is_behind(account, T)


def test_an_account_gets_facts_for_texts_without_a_judgment() -> None:
    old, new = segments(in_=FUNDED), segments(in_=SELLING)  # judged, the account would leave
    timeline = switching(old, new, judges=False, folds_in=True)
    account, _ = replay_account(timeline, "acme.com", facts_of([funding(day(0))]), T - 1)
    assert timeline.is_behind(account, T)

    assert timeline.advance(account, T) == []

    assert not timeline.is_behind(account, T)
    assert account.state.membership.segment == "in"


def test_gates_are_judged_again_without_a_change() -> None:
    old = segments(in_=FUNDED)
    new = {**segments(in_=FUNDED), "suppression": [{"name": "board", "when": FUNDED}]}
    timeline = switching(old, new)
    account, _ = replay_account(timeline, "acme.com", facts_of([funding(day(0))]), T - 1)

    (decision,) = timeline.advance(account, T)

    assert decision.change is None
    assert decision.gate_change is not None
    assert decision.gate_change.active_gates == ("suppress:board",)
    assert decision.gate_change.effective_at == T


def test_who_is_enrolled_can_depend_on_the_segment() -> None:
    old, new = segments(in_=FUNDED), segments(funded=FUNDED)

    made = changes(switching(old, new, route=("funded",), rollback_of=7), [funding(day(0))])
    other = changes(switching(old, new, route=("out",)), [funding(day(0))])

    assert (made[1].to, made[1].route, made[1].rollback_of) == ("funded", "all", 7)
    assert (other[1].to, other[1].route) == ("funded", "none")


def test_fields_that_only_the_new_version_reads_are_kept_from_when_it_is_known() -> None:
    old = segments(in_=FUNDED)
    new = segments(large={"event": "funding", "where": {"amount_usd": {"gte": 5}}}, in_=FUNDED)

    assert path(switching(old, new), [funding(day(0), amount_usd=7)]) == [("in", day(0)), ("large", T)]


def test_the_state_of_an_earlier_release_belongs_to_the_first_version() -> None:
    timeline = switching(segments(in_=FUNDED), segments(in_=FUNDED))
    state = AccountState(membership=Membership("in", day(0)))

    account = timeline.open("acme.com", state)

    assert timeline.is_behind(account, T)
    timeline.advance(account, T)
    assert account.state.version == 2


def test_a_state_of_a_version_that_is_not_known_is_refused() -> None:
    timeline = switching(segments(in_=FUNDED), segments(in_=FUNDED))

    with pytest.raises(UnknownVersion, match="version 9"):
        timeline.open("acme.com", AccountState(version=9))


@pytest.mark.parametrize(("number", "at"), [(1, T), (2, ALWAYS)])
def test_a_version_must_come_after_the_one_before(number: int, at: int) -> None:
    file = segments(in_=FUNDED)

    with pytest.raises(ValueError, match="does not come after"):
        Timeline([era(1, ALWAYS, file), era(number, at, file)])


def test_a_rollback_takes_names_back() -> None:
    before = definition_of(segments(one=FUNDED, two=SELLING))

    assert invert_moves(before, {"one": "two", "two": "one"}) == {"two": "one", "one": "two"}
    assert invert_moves(before, {"new": "one", "other": "never"}) == {"one": "new"}
    assert invert_moves(before, {"two": "one"}) == {}
