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
