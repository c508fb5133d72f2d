"""What every adapter promises: pure, deterministic, valid events, and a reason for each refusal, whatever is sent."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.identity.names import Unresolved, read_name
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.sources.adapters.port import Adapter, Context, Remark
from resegment.sources.adapters.reference import describe_adapter
from resegment.sources.files.payloads import read_payloads
from resegment.sources.registry import OTHER_NAMES, UnknownSource, all_adapters, find_adapter, names
from tests.unit.sources.adapting import DATA

AT = 1_767_225_600_000
WHO = Context(account="acme.com", at=AT)
NAMES = names()


def fixtures(name: str) -> list[Path]:
    return sorted(one for one in DATA.iterdir() if one.name.startswith(f"{name}-") or one.stem == name)


def payloads(name: str) -> list[Any]:
    return [
        row.value for file in fixtures(name) for row in read_payloads(str(file)).rows if row.refused is None
    ]


def check(adapter: Adapter, payload: Any, context: Context = WHO) -> list[Any]:
    """Convert, and check all that comes out."""
    before = copy.deepcopy(payload)
    found = list(adapter.convert(payload, context))
    assert payload == before, "the payload was changed"
    assert found, "neither an event nor a refusal"
    for item in found:
        if isinstance(item, dict):
            event = decode_event(orjson.dumps(item))
            try:
                resolve_event(event)
            except Unresolved as waiting:  # whole events keep the subject that they have, also one that waits
                assert (adapter.name, waiting.name) == ("events", read_name(event.subject))  # noqa: PT017
        elif isinstance(item, RefusedEvent):
            assert item.reason
            assert item.message
        else:
            assert isinstance(item, Remark)
            assert item.reason
    again = [one for one in adapter.convert(copy.deepcopy(payload), context) if isinstance(one, dict)]
    assert again == [one for one in found if isinstance(one, dict)], "the same payload gave other events"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_adapter_has_fixtures_that_give_events(name: str) -> None:
    assert fixtures(name), f"add a payload to {DATA}"
    events = [
        one
        for payload in payloads(name)
        for one in check(find_adapter(name), payload)
        if isinstance(one, dict)
    ]
    assert events


@pytest.mark.parametrize("name", NAMES)
def test_different_facts_of_the_fixtures_have_different_ids(name: str) -> None:
    events = [
        one
        for payload in payloads(name)
        for one in check(find_adapter(name), payload)
        if isinstance(one, dict)
    ]
    said: dict[tuple[str, str], Any] = {}
    for event in events:
        key = (event["source"], event["id"])
        assert said.setdefault(key, event) == event


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_names_every_field_of_the_tables(name: str) -> None:
    adapter = find_adapter(name)
    text = describe_adapter(adapter)
    assert adapter.name == name
    for table in adapter.tables:
        for field in table.data:
            assert f"data.{field}" in text


@pytest.mark.parametrize("name", NAMES)
def test_events_do_not_depend_on_fields_that_are_not_known(name: str) -> None:
    adapter = find_adapter(name)
    for payload in payloads(name):
        if not isinstance(payload, dict) or any(table.rest is not None for table in adapter.tables):
            continue
        plain = [one for one in adapter.convert(payload, WHO) if isinstance(one, dict)]
        more = [
            one
            for one in adapter.convert({**payload, "zzz_new_field": {"a": [1]}}, WHO)
            if isinstance(one, dict)
        ]
        assert plain == more


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
        ["", "null", "2026-01-01", "acme.com", "https://x", "-1", "1e400", "\ud800", "99999999999999999999", "0000-00-00", "<a>"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_payload_with_other_values_is_converted_or_refused(name: str, data: st.DataObject) -> None:
    samples = payloads(name)
    payload = data.draw(st.sampled_from(samples)) if samples else {}
    check(
        find_adapter(name), mutate(copy.deepcopy(payload), data), data.draw(st.sampled_from([WHO, Context()]))
    )


@pytest.mark.parametrize("name", NAMES)
@given(JSON)
@settings(max_examples=25, deadline=None)
def test_any_json_is_converted_or_refused(name: str, payload: Any) -> None:
    check_json(find_adapter(name), payload)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["data", "results", "payload", "records", "properties", "jobs", "scores"])
def test_a_payload_that_nests_very_deep_is_refused(name: str, key: str) -> None:
    payload: Any = {"id": 1}
    for _ in range(500):
        payload = {key: payload}
    (refused,) = find_adapter(name).convert(payload, WHO)
    assert isinstance(refused, RefusedEvent)
    assert refused.reason == "too-deep"


def check_json(adapter: Adapter, payload: Any) -> None:
    for item in adapter.convert(payload, WHO):
        if isinstance(item, dict):
            event = decode_event(orjson.dumps(item))
            try:
                resolve_event(event)
            except Unresolved as waiting:  # whole events keep the subject that they have, also one that waits
                assert (adapter.name, waiting.name) == ("events", read_name(event.subject))  # noqa: PT017
        else:
            assert item.reason


def mutate(payload: Any, data: st.DataObject) -> Any:
    """Replace up to three values anywhere in a payload by other JSON, remove them, or wrap them in a list."""
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = payload, None
        for _ in range(data.draw(st.integers(1, 5))):
            keys: list[Any] = (
                list(node)
                if isinstance(node, dict)
                else list(range(len(node)))
                if isinstance(node, list)
                else []
            )
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and data.draw(st.booleans()):
                node, key = node[key], None
                continue
            break
        if key is None:
            continue
        how = data.draw(st.sampled_from(["replace", "remove", "wrap", "unwrap", "text"]))
        if how == "remove" and isinstance(node, dict):
            del node[key]
        elif how == "wrap":
            node[key] = [node[key]]
        elif how == "unwrap" and isinstance(node[key], list) and node[key]:
            node[key] = node[key][0]
        elif how == "text":
            node[key] = str(node[key])
        else:
            node[key] = data.draw(JSON)
    return payload


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownSource) as error:
        find_adapter("nosuch")
    assert "hubspot" in str(error.value.remedy)


def test_other_names_lead_to_adapters() -> None:
    assert {find_adapter(other).name for other in OTHER_NAMES} <= {one.name for one in all_adapters()}


def test_half_a_character_is_refused() -> None:
    event = {
        "id": "1",
        "source": "/x",
        "type": "gtm.firmographic.v1",
        "subject": "acme.com",
        "time": "2026-01-01",
        "data": {"industry": "\ud800"},
    }
    (refused,) = find_adapter("events").convert(event)
    assert isinstance(refused, RefusedEvent)
    assert refused.reason == "wrong-text"


def test_a_whole_event_keeps_a_subject_that_waits() -> None:
    whole = {
        "id": "1",
        "source": "/x",
        "type": "gtm.firmographic.v1",
        "time": "2026-01-01",
        "data": {"industry": "saas"},
    }
    (event,) = [
        one
        for one in check(find_adapter("events"), {**whole, "subject": "[None, None]"})
        if isinstance(one, dict)
    ]
    assert event["subject"] == "[None, None]"
