"""Records as other producers write them: read, or refused with a reason that names what they are."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from resegment.errors import RefusedEvent
from tests.builders import EVENT, raw_event
from tests.events import fact_of_record, read_fact

DATA = orjson.dumps(EVENT["data"])
ATTRIBUTES = {name: value.encode() for name, value in EVENT.items() if name != "data"}
FACT = read_fact(EVENT)


def headers(prefix: str = "ce_", **more: bytes | None) -> list[tuple[str, Any]]:
    given = {**ATTRIBUTES, **more}
    return [("content-type", b"application/json"), *((prefix + name, value) for name, value in given.items())]


def refusal(value: bytes | None, given: Any = ()) -> RefusedEvent:
    with pytest.raises(RefusedEvent) as caught:
        fact_of_record(value, given)
    return caught.value


@pytest.mark.parametrize("prefix", ["ce_", "ce-", "CE_", "Ce-"])
def test_attributes_may_be_in_headers_of_any_common_spelling(prefix: str) -> None:
    assert fact_of_record(DATA, headers(prefix)) == FACT


def test_names_of_attributes_in_headers_may_have_capitals() -> None:
    given = [(name.upper(), value) for name, value in headers("ce-")]
    assert fact_of_record(DATA, given) == FACT


def test_a_header_without_a_value_is_an_absent_attribute() -> None:
    assert fact_of_record(DATA, headers(record=None, op=None, recordedtime=None)) == FACT


@pytest.mark.parametrize("name", ["record", "op", "recordedtime", "subject"])
def test_an_empty_header_is_refused_by_its_name(name: str) -> None:
    refused = refusal(DATA, headers(**{name: b""}))
    assert (refused.reason, refused.field) == ("wrong-envelope", f"ce_{name}")
    assert f"the header ce_{name} is empty" in refused.message


@pytest.mark.parametrize("content_type", [b"application/cloudevents+json", b'"application/cloudevents+json"'])
@pytest.mark.parametrize("name", ["content-type", "contentType", "Content-Type"])
def test_a_declared_content_type_wins_over_headers(name: str, content_type: bytes) -> None:
    assert fact_of_record(raw_event(), [(name, content_type), ("ce-id", b"another")]) == FACT


@pytest.mark.parametrize("content_type", [..., None, "application/json", "application/json; charset=utf-8"])
def test_data_may_be_json_text(content_type: Any) -> None:
    assert fact_of_record(raw_event(data=DATA.decode(), datacontenttype=content_type), []) == FACT


def test_data_may_be_in_base64() -> None:
    encoded = base64.b64encode(DATA).decode()
    assert fact_of_record(raw_event(data=..., data_base64=encoded), []) == FACT


def test_extensions_that_are_null_are_absent() -> None:
    nulls = dict.fromkeys(["op", "record", "recordedtime", "datacontenttype", "dataschema", "traceparent"])
    assert fact_of_record(raw_event(**nulls), []) == FACT


def test_json_behind_the_bytes_of_a_registry_is_read() -> None:
    registry = b"\0" + (70_000).to_bytes(4, "big")
    assert fact_of_record(registry + raw_event(), []) == FACT
    assert fact_of_record(registry + DATA, headers()) == FACT


def test_json_behind_a_byte_order_mark_is_read() -> None:
    assert fact_of_record(b"\xef\xbb\xbf" + raw_event(), []) == FACT


CONNECT = orjson.dumps({"schema": {"type": "struct"}, "payload": {"round": "seed"}})
DEBEZIUM = {"before": None, "after": {"id": 1}, "source": {"db": "x"}, "op": "c", "ts_ms": 1}


@pytest.mark.parametrize(
    ("value", "given", "reason", "named"),
    [
        (None, [], "not-json", "tombstone"),
        (b"\0\0\0\0\x07\x02\x0aacme", [], "not-json", "schema registry (magic byte 0, schema id 7)"),
        (b"\0\0\0\0\x07\x02\x0aacme", headers(), "not-json", "Avro or Protobuf"),
        (CONNECT, [], "wrong-envelope", "Kafka Connect envelope"),
        (CONNECT, headers(), "wrong-envelope", "Kafka Connect envelope"),
        (orjson.dumps(DEBEZIUM), [], "wrong-envelope", "Debezium"),
        (orjson.dumps({"schema": None, "payload": DEBEZIUM}), [], "wrong-envelope", "Debezium"),
        (raw_event().decode().encode("utf-16"), [], "not-json", "UTF-16"),
        (raw_event().decode().encode("utf-16-le"), [], "not-json", "UTF-16"),
        (raw_event().decode().encode("utf-16-be"), [], "not-json", "UTF-16"),
        (b"\x1f\x8b\x08\0rest", [], "not-json", "gzip"),
        (b"", [], "not-json", "the value is empty"),
        (b"\x0aavro", [("content-type", b"avro/binary"), *headers()[1:]], "not-json", "avro/binary"),
        (b'{"domain": "acme.com"}', [], "wrong-envelope", "not a CloudEvent"),
        (orjson.dumps(raw_event().decode()), [], "wrong-envelope", "encoded twice"),
        (orjson.dumps([EVENT]), [], "wrong-envelope", "one event per record"),
        (raw_event(data="Series A"), [], "wrong-envelope", "text that is not JSON"),
        (raw_event(data="<x/>", datacontenttype="text/xml"), [], "wrong-envelope", "text/xml"),
        (raw_event(data=..., data_base64="***"), [], "wrong-envelope", "not base64"),
        (raw_event(data=[1]), [], "wrong-envelope", "expected an object, not a list"),
        (
            raw_event(specversion=...),
            [],
            "wrong-envelope",
            "specversion is missing: an event has specversion, id",
        ),
        (raw_event(specversion="0.3"), [], "wrong-envelope", "expected '1.0', not '0.3'"),
        (
            raw_event(time=1_767_225_600_000),
            [],
            "wrong-envelope",
            "a time like 2026-01-31T09:00:00Z, not a number",
        ),
        (raw_event(id=""), [], "wrong-envelope", "id is empty"),
        (raw_event(op="delete"), [], "wrong-envelope", "expected 'assert' or 'retract', not 'delete'"),
        (orjson.dumps({"version": "0", "id": "1", "detail-type": "x"}), [], "wrong-envelope", "is missing"),
    ],
)
def test_what_is_no_event_is_named_for_what_it_is(
    value: bytes | None, given: Any, reason: str, named: str
) -> None:
    refused = refusal(value, given)
    assert refused.reason == reason
    assert named in refused.message
    assert "\n" not in refused.message


def test_a_wrong_value_is_named() -> None:
    event = raw_event(type="gtm.firmographic.v1", data={"employees": "about 50"})
    refused = refusal(event)
    assert (refused.reason, refused.field) == ("wrong-type", "data.employees")
    assert refused.message == "expected a number or a range like 51-200, not 'about 50'"
