"""Why an account moved, in one line."""

from __future__ import annotations

from typing import Any

from resegment.console.operations.changes import give_reason


def change(**given: Any) -> dict[str, Any]:
    reason = {"holds": [{"test": "employees >= 5", "value": 9}], "no_longer": ["funding"]}
    return {"from": "a", "to": "b", "cause": {"definition": 3}, "reason": reason, **given}


def test_a_change_by_a_new_version_begins_with_its_number() -> None:
    assert give_reason(change()) == "version 3 of the file; employees >= 5: 9"


def test_another_name_is_all_that_is_said() -> None:
    assert give_reason(change(moved=True)) == "version 3 of the file calls it b"
