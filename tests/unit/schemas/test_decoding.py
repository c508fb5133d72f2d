"""The quick way of reading an event says the same as the models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.schemas.cloudevents import decoding
from resegment.schemas.events import DATA
from resegment.schemas.times import format_instant, parse_instant

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["series_a", "Series A", "opened", "joined", "VP of Sales", "Google Analytics", "snowflake", ""]
    ),
    st.lists(st.sampled_from(["a", "B c", 1, None]), max_size=3),
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(), max_size=2),
)
fields = st.sampled_from(
    sorted({name for model in DATA.values() for name in model.model_fields} | {"custom"})
)
envelopes = st.fixed_dictionaries(
    {
        "specversion": st.sampled_from(["1.0", "1.0", "1.0", "0.3", 1.0]),
        "id": st.sampled_from(["e1", "e1", "", 7]),
        "source": st.sampled_from(["/feed", "/feed", ""]),
        "type": st.sampled_from([*(f"gtm.{kind}.v1" for kind in DATA), "gtm.nonsense.v1", None]),
        "subject": st.sampled_from(["acme.com", "https://www.Acme.com/x", "github.com", "", "10.0.0.1"]),
        "time": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00.5+01:00", "yesterday", "1900-01-01T00:00:00Z"]
        ),
        "data": st.one_of(st.dictionaries(fields, values, max_size=6), st.none(), st.just([])),
    },
    optional={
        "recordedtime": st.sampled_from(["2026-02-01T00:00:00Z", "soon", None]),
        "record": st.sampled_from(["r", "", None, 3]),
        "op": st.sampled_from(["assert", "retract", "delete"]),
        "datacontenttype": st.sampled_from(["application/json", "text/csv", None, 3]),
    },
)


def read(event: Any) -> object:
    try:
        return decoding.read_event(event)
    except RefusedEvent as refused:
        return refused.reason, refused.field


@given(envelopes)
def test_the_quick_way_and_the_models_agree(event: dict[str, Any]) -> None:
    quick = read(event)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "find_plain_kind", lambda _: None)
        assert read(event) == quick


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123Z"),
        ("2026-01-01T00:00:00.1239Z", "2026-01-01T00:00:00.123Z"),
        ("2026-01-01T01:30:00+01:30", "2026-01-01T00:00:00Z"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_read_to_the_millisecond(text: str, shown: str) -> None:
    assert format_instant(parse_instant(text)) == shown


@pytest.mark.parametrize(
    "text", ["2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "now", "2026-01-01T24:00:00Z"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@pytest.mark.parametrize("headers", [[], [("ce_type", b"gtm.funding.v1")]])
def test_what_is_too_large_is_not_parsed(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(RefusedEvent) as refused:
        decoding.decode_record(b"[" * (decoding.MAX_BYTES + 1), headers)
    assert refused.value.reason == "too-large"


def test_the_parser_itself_gives_up_on_what_nests_without_end() -> None:
    half = decoding.MAX_BYTES // 2
    with pytest.raises(RefusedEvent) as refused:
        decoding.decode_record(b"[" * half + b"]" * half, [])
    assert refused.value.reason == "not-json"
