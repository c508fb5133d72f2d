"""Saved plans: what is applied later is exactly what was shown."""

from __future__ import annotations

import msgspec
import pytest

from resegment.segmentation.definition import Content
from resegment.segmentation.planning.saved import (
    SavedPlan,
    WrongPlan,
    decode_saved,
    encode_saved,
    looks_saved,
)
from tests.unit.segmentation.planning.test_drift import plan_of

SAVED = SavedPlan(
    id="1234",
    plan=plan_of(("a.com", "hot", "warm")),
    content=Content((("segments.yaml", b"version: 1\n"),), (("names.txt", b"a.com\n\xff"),)),
)


def test_a_saved_plan_comes_back_whole() -> None:
    assert decode_saved("plan.json", encode_saved(SAVED)) == SAVED


def test_a_plan_that_was_edited_is_refused() -> None:
    data = encode_saved(SAVED).replace(b'"to":"warm"', b'"to":"cold"')
    with pytest.raises(WrongPlan, match="it was changed after it was saved"):
        decode_saved("plan.json", data)


@pytest.mark.parametrize("data", [b"", b"version: 1", b"{}", b'{"format": 3}', b"\xff"])
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    assert not looks_saved(data)
    with pytest.raises(WrongPlan, match="is not a saved plan"):
        decode_saved("plan.json", data)


def test_a_plan_of_another_release_says_which_format_this_one_reads() -> None:
    data = encode_saved(SAVED).replace(b"resegment-plan/1", b"resegment-plan/9")
    assert looks_saved(data)
    with pytest.raises(WrongPlan, match="this release reads resegment-plan/1"):
        decode_saved("plan.json", data)


def test_content_that_is_no_base64_is_refused_even_with_a_right_checksum() -> None:
    plain = msgspec.json.decode(encode_saved(SAVED))
    plain["segments"][0]["data"] = "***"
    with pytest.raises(WrongPlan):
        decode_saved("plan.json", msgspec.json.encode(plain))
