"""Why an account moved, in one line."""

from __future__ import annotations

from typing import Any

from resegment.console.operations.changes import give_reason, render


def change(**given: Any) -> dict[str, Any]:
    reason = {"holds": [{"test": "employees >= 5", "value": 9}], "no_longer": ["funding"]}
    return {"from": "a", "to": "b", "cause": {"definition": 3}, "reason": reason, **given}


def test_a_change_by_a_new_version_begins_with_its_number() -> None:
    assert give_reason(change()) == "version 3 of the file; employees >= 5: 9"


def test_another_name_is_all_that_is_said() -> None:
    assert give_reason(change(moved=True)) == "version 3 of the file calls it b"


def test_the_end_of_a_merged_account_says_what_it_is_part_of() -> None:
    ended = {
        "account": "acme.io", "from": "hot", "to": None, "effective_at": "2026-01-31T09:00:00Z", "supersedes": None,
        "cause": {"merged": "acme.com"}, "reason": {"holds": []},
    }  # fmt: skip
    assert render(ended).plain.endswith("acme.io  hot → no account any more  merged into acme.com")
    joined = {**ended, "account": "acme.com", "to": "hot", "from": None, "cause": {"merged": "acme.io"}}
    assert render(joined).plain.endswith("acme.com  first seen → hot  acme.io was merged into it")
    parted = {**joined, "cause": {"unmerged": "acme.io"}}
    assert render(parted).plain.endswith("→ hot  acme.io is an account of its own again")


def test_a_change_whose_evidence_is_gone_says_that_somebody_was_forgotten() -> None:
    reason = {"holds": [{"test": "a leader joined", "facts": 1}]}
    assert give_reason(change(cause={}, reason=reason, forgotten=True)) == "a leader joined (forgotten)"


def fact(name: str, time: str, **given: Any) -> dict[str, Any]:
    return {"id": name, "kind": "hiring", "time": time, "data": {"change": "opened"}, **given}


VALUE = {"test": "employees >= 50", "value": 80}
ABSENT: dict[str, Any] = {"test": "not: churn", "facts": 0, "evidence": []}
OLD = {"test": "funding", "facts": 1, "evidence": [fact("f", "2026-01-05T00:00:00Z")]}
NEW = {"test": "hiring", "facts": 1, "evidence": [fact("h", "2026-03-05T00:00:00Z")]}


def order(cause: dict[str, Any], *holds: dict[str, Any]) -> list[str]:
    told = give_reason(change(cause=cause, reason={"holds": list(holds)}), None)
    return [one.partition(": ")[0] if "not:" not in one else "not" for one in told.split("; ")]


def test_the_test_that_rests_on_the_causing_event_comes_first_and_then_the_newest_facts() -> None:
    assert order({"events": ["f"]}, VALUE, ABSENT, NEW, OLD) == [
        "funding",
        "hiring",
        "employees >= 50",
        "not",
    ]
    grouped = {**OLD, "evidence": [fact("x", "2026-01-05T00:00:00Z", same=[{"id": "f"}])]}
    assert order({"events": ["f"]}, VALUE, NEW, grouped)[0] == "funding", "it counts as one with the cause"


def test_an_event_that_no_test_cites_changed_a_value() -> None:
    assert order({"events": ["snapshot"]}, ABSENT, OLD, NEW, VALUE) == [
        "employees >= 50",
        "hiring",
        "funding",
        "not",
    ]


def test_where_time_moved_an_account_up_a_hold_ended_or_something_is_no_longer_there() -> None:
    told = order({"deadline": "2026-03-31T00:00:00Z"}, VALUE, ABSENT, OLD, NEW)
    assert told == ["hiring", "funding", "not", "employees >= 50"]


def test_a_number_changed_sooner_than_a_text() -> None:
    status, flag = {"test": "status = active", "value": "active"}, {"test": "hiring", "value": True}
    heat = {"test": "heat >= 150", "value": 161.5}
    assert order({"events": ["intent"]}, status, flag, heat) == ["heat >= 150", "status = active", "hiring"]


def test_what_is_left_out_is_counted_in_words_and_told_where_everything_is_asked_for() -> None:
    reason = {"holds": [VALUE, ABSENT, OLD, NEW]}
    told = give_reason(change(cause={"events": ["h"]}, reason=reason))
    assert told == "hiring: opened on Mar 5, 2026; funding: opened on Jan 5, 2026; and 2 more"
    assert "more" not in give_reason(change(cause={"events": ["h"]}, reason=reason), None)
