from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from resegment.outcomes.dataset import Dataset, NotADataset
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid

DAY = 86_400_000


def touch(name: str, day: int, **more: Any) -> Touch:
    given = {"account": "a.com", "segment": "s", "workflow": "w", "change": f"change-{name}"}
    return Touch(**(given | {"touch": name, "at": day * DAY} | more))


def outcome(record: str, day: int, action: str = "replied", **more: Any) -> OutcomeFact:
    given = {"account": "a.com", "source": "crm", "id": record, "recorded": day * DAY}
    return OutcomeFact(**(given | {"record": record, "at": day * DAY, "action": action} | more))


def credits_of(*items: LedgerItem, **options: Any) -> dict[str, tuple[str, str]]:
    """Return by record the touch and the rule; where there is no touch, an empty text and the reason."""
    frame = Dataset.of(items, **options).outcomes
    return {
        one["record"]: (one["touch"] or "", one["credited_by"] or one["reason"]) for one in frame.to_dicts()
    }


def test_nothing_is_known_of_nobody() -> None:
    found = Dataset.of([])
    assert (found.touches.height, found.outcomes.height, found.uncredited) == (0, 0, {})


def test_a_key_says_which_touch_even_after_the_account_has_moved_on() -> None:
    later = touch("k2", 5, segment="other", workflow="other")
    assert credits_of(touch("k1", 1), later, outcome("r", 9, key="k1")) == {"r": ("k1", "key")}


def test_the_key_of_a_reassignment_means_the_touch_too() -> None:
    means = TouchKey(account="a.com", at=2, key="k9", touch="k1")
    assert credits_of(touch("k1", 1), means, outcome("r", 9, key="k9")) == {"r": ("k1", "key")}


def test_a_key_of_no_touch_is_not_guessed_to_be_of_another() -> None:
    assert credits_of(touch("k1", 1), outcome("r", 2, key="k9")) == {"r": ("", "unknown-key")}


def test_a_key_of_another_account_is_unknown() -> None:
    assert credits_of(touch("k1", 1, account="b.com"), outcome("r", 2, key="k1")) == {
        "r": ("", "unknown-key")
    }


def test_a_superseded_change_leaves_no_touch() -> None:
    void = TouchVoid(account="a.com", at=DAY, change="change-k1")
    assert credits_of(touch("k1", 1), void, outcome("r", 2, key="k1"), outcome("q", 2)) == {
        "r": ("", "void"),
        "q": ("", "no-touch"),
    }


def test_a_deal_belongs_to_the_touch_that_one_of_its_outcomes_names() -> None:
    assert credits_of(
        touch("k1", 1),
        touch("k2", 5),
        outcome("meeting", 6, "meeting_held", deal="d", key="k1"),
        outcome("won", 300, "won", deal="d"),
    ) == {"meeting": ("k1", "key"), "won": ("k1", "deal")}


def test_a_deal_is_won_long_after_the_touch_before_which_it_began() -> None:
    assert credits_of(
        touch("k1", 1),
        outcome("opened", 9, "opportunity_created", deal="d"),
        touch("k2", 50),
        outcome("won", 300, "won", deal="d"),
    ) == {"opened": ("k1", "last-touch"), "won": ("k1", "deal")}


def test_a_deal_that_was_open_before_the_first_touch_is_credited_to_none() -> None:
    won = outcome("won", 9, "won", deal="d", opened_at=0)
    assert credits_of(touch("k1", 1), won) == {"won": ("", "before-touch")}


def test_outcomes_without_a_deal_are_of_the_only_one_until_the_next_is_created() -> None:
    assert credits_of(
        touch("k1", 1),
        outcome("first", 2, "opportunity_created"),
        outcome("lost", 100, "lost"),
        touch("k2", 120),
        outcome("second", 121, "opportunity_created"),
        outcome("won", 300, "won"),
    ) == {
        "first": ("k1", "last-touch"),
        "lost": ("k1", "deal"),
        "second": ("k2", "last-touch"),
        "won": ("k2", "deal"),
    }


def test_a_person_in_a_sequence_answers_what_was_sent_to_them() -> None:
    assert credits_of(
        touch("k1", 1),
        outcome("sent", 2, "sent", person="jo", sequence="seq-7", key="k1"),
        touch("k2", 5, workflow="other"),
        outcome("reply", 6, person="jo", sequence="seq-7"),
        outcome("another", 6, person="al", sequence="seq-7"),
    ) == {"sent": ("k1", "key"), "reply": ("k1", "person"), "another": ("k2", "last-touch")}


def test_a_sequence_with_the_name_of_a_workflow_is_that_workflow() -> None:
    assert credits_of(
        touch("k1", 1, workflow="fast"),
        touch("k2", 5, workflow="slow"),
        outcome("r", 300, person="jo", sequence="fast"),
    ) == {"r": ("k1", "person")}


@pytest.mark.parametrize(
    ("day", "credit"), [(0, ("", "before-touch")), (91, ("k1", "last-touch")), (92, ("", "window"))]
)
def test_the_last_touch_counts_within_its_window(day: int, credit: tuple[str, str]) -> None:
    assert credits_of(touch("k1", 1), outcome("r", day, "meeting_booked")) == {"r": credit}


def test_the_window_can_be_another() -> None:
    known = touch("k1", 1), outcome("r", 9, "meeting_booked")
    assert credits_of(*known, window=timedelta(days=7)) == {"r": ("", "window")}


def test_an_account_that_was_held_out_can_win_but_not_reply() -> None:
    assert credits_of(
        touch("h", 1, arm="holdout"),
        outcome("won", 2, "won"),
        outcome("reply", 3),
        outcome("sent", 4, "sent"),
    ) == {"won": ("h", "last-touch"), "reply": ("", "holdout"), "sent": ("", "holdout")}


def test_merged_accounts_are_one_and_parted_ones_are_two_again() -> None:
    known = touch("k1", 1, account="old.com"), outcome("r", 2, "meeting_booked")
    assert credits_of(*known, accounts={"old.com": "a.com"}) == {"r": ("k1", "last-touch")}
    assert credits_of(*known) == {"r": ("", "no-touch")}


def test_what_is_missing_is_counted_by_reason() -> None:
    found = Dataset.of([touch("k1", 1), outcome("r", 0), outcome("q", 0), outcome("p", 2, key="k9")])
    assert found.uncredited == {"before-touch": 2, "unknown-key": 1}


def test_frames_with_other_columns_are_refused() -> None:
    found = Dataset.of([])
    with pytest.raises(NotADataset, match="touches"):
        Dataset(found.touches.drop("arm"), found.outcomes)


def test_touches_and_outcomes_have_the_name_of_the_account_that_theirs_was_merged_into() -> None:
    known = touch("k1", 1, account="old.com"), touch("k2", 3), outcome("r", 4, "won", account="old.com")
    found = Dataset.of(known, accounts={"old.com": "a.com"})
    assert found.touches["account"].to_list() == ["a.com", "a.com"]
    assert found.outcomes["account"].to_list() == ["a.com"]
