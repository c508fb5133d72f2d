"""A record whose key no table can hold is refused, and stops nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.schemas.fact import Fact, encode_fact
from resegment.tables.rows import read_batch


def change(offset: int, **more: Any) -> RecordedMessage:
    data = {"account": "acme.com", "sequence_number": 1, "effective_at": "2026-01-01T00:00:00Z", **more}
    value = json.dumps({"id": f"c{offset}", "data": data}).encode()
    return RecordedMessage(offset, 1_770_000_000_000, b"acme.com", value)


@pytest.mark.parametrize("odd", [{"sequence_number": 2**63}, {"account": "\U0001f600" * 700}])
def test_a_key_that_no_table_can_hold_is_refused_and_the_others_are_rows(odd: dict[str, Any]) -> None:
    batch = read_batch("segment-changes", 0, [change(0, **odd), change(1)])
    assert [row["id"] for row in batch.rows["segment_event"]] == ["c1"]
    assert [one.offset for one in batch.refused] == [0]
    assert "key" in batch.refused[0].reason


def test_an_outcome_with_names_that_are_too_long_together_is_refused() -> None:
    fact = Fact(
        id="e1",
        source="\U0001f600" * 512,
        record="\U0001f600" * 512,
        kind="outcome",
        op="assert",
        account="acme.com",
        time=1_770_000_000_000,
        recorded=1_770_000_000_000,
        data={"action": "replied"},
    )
    batch = read_batch("signals", 0, [RecordedMessage(0, 1, b"acme.com", encode_fact(fact))])
    assert batch.count == 0
    assert "key" in batch.refused[0].reason
