from __future__ import annotations

import orjson
import pytest

from resegment.outcomes.published import read_published
from resegment.schemas.outcomes.messages import TouchData, decode_touch, encode_touch, identify_holdout
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchRecord, TouchVoid

RECORDS: list[TouchRecord] = [
    Touch(touch="k", account="a.com", at=1, segment="s", workflow="w", change="c"),
    Touch(
        touch="k", account="a.com", at=1_700_000_000_123, segment="s", workflow="w", arm="holdout", play="p",
        owner="o", team="t", channel="email", definition_version="f", version=3, experiment="e", variant="v",
        change="c",
    ),
    TouchVoid(account="a.com", at=2, change="c"),
    TouchKey(account="a.com", at=3, key="k2", touch="k"),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_comes_back_as_it_was(record: TouchRecord) -> None:
    value = encode_touch(record)
    assert decode_touch(value) == record
    assert read_published(value) == [record]
    TouchData.model_validate(orjson.loads(value)["data"])


def test_records_about_different_things_have_different_ids() -> None:
    assert len({orjson.loads(encode_touch(one))["id"] for one in RECORDS}) == 3


@pytest.mark.parametrize(
    "data", [{"says": "touch"}, {"says": "void"}, {"says": "key", "key": "k"}, {"says": "other"}]
)
def test_a_record_that_says_nothing_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="says"):
        decode_touch(orjson.dumps({"data": {"account": "a.com", "at": "2026-01-01T00:00:00Z", **data}}))


def test_a_holdout_has_the_same_id_for_the_same_change_and_workflow() -> None:
    ids = [identify_holdout(change, workflow) for change in "cd" for workflow in ("w", "x", "w")]
    assert len(set(ids)) == 4
