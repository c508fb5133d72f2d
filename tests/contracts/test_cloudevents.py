"""CloudEvents as the CloudEvents project's own package writes and reads them on Kafka, in both modes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_kafka_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import Message
from resegment.errors import RefusedEvent
from resegment.schemas.fact import Fact
from resegment.schemas.times import format_instant, parse_instant
from tests.builders import Rig, Routing, definition_of, facts_of, run, signals, ticking
from tests.contracts.examples import EVENTS
from tests.events import fact_of_record, read_fact
from tests.oracle.cases import day, funding, hiring, segments

WRITERS = {"structured": to_structured_event, "binary": to_binary_event}
both_modes = pytest.mark.parametrize("mode", WRITERS)


def written(mode: str, event: dict[str, Any]) -> KafkaMessage:
    """The event as the package writes it. It wants a datetime for the time."""
    attributes = {name: value for name, value in event.items() if name != "data"}
    attributes["time"] = datetime.fromisoformat(event["time"])
    return WRITERS[mode](CloudEvent(attributes, event.get("data")))


def decoded(message: KafkaMessage, **more: bytes) -> Fact:
    return fact_of_record(message.value, [*message.headers.items(), *more.items()])


@both_modes
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["id"])
def test_what_the_package_writes_is_read_as_the_same_fact(mode: str, event: dict[str, Any]) -> None:
    assert decoded(written(mode, event)) == read_fact(event)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)


@given(
    identity=texts,
    record=texts,
    ms=st.integers(0, 4_000_000_000_000),
    data=st.dictionaries(st.sampled_from(["title", "location", "tier"]), texts),
)
def test_both_modes_are_the_same_event_whatever_it_says(
    identity: str, record: str, ms: int, data: dict[str, str]
) -> None:
    event = {**EVENTS[1], "id": identity, "record": record, "time": format_instant(ms), "data": data}
    structured, binary = (decoded(written(mode, event)) for mode in WRITERS)
    assert structured == binary
    assert (structured.id, structured.record, structured.time, structured.data) == (
        identity,
        record,
        ms,
        {name: text.strip() or None for name, text in data.items()},
    )


@both_modes
def test_the_content_type_may_have_parameters_and_capitals(mode: str) -> None:
    message = written(mode, EVENTS[0])
    headers = {"Content-Type": message.headers["content-type"].upper() + b"; charset=UTF-8"}
    others = {name: value for name, value in message.headers.items() if name != "content-type"}
    assert fact_of_record(message.value, [*headers.items(), *others.items()]) == read_fact(EVENTS[0])


def test_a_structured_event_is_what_its_value_says_whatever_headers_repeat() -> None:
    assert decoded(written("structured", EVENTS[0]), ce_id=b"another", ce_type=b"gtm.tech.v1") == read_fact(
        EVENTS[0]
    )


def test_an_event_with_no_header_at_all_is_structured() -> None:
    assert fact_of_record(orjson.dumps(EVENTS[0]), []) == read_fact(EVENTS[0])


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (
            orjson.dumps(EVENTS[:2]),
            [("content-type", b"application/cloudevents-batch+json")],
            "wrong-envelope",
        ),
        (b"\x0aavro", [("content-type", b"application/cloudevents+avro")], "not-json"),
        (b"\x0aavro", list(written("binary", EVENTS[0]).headers.items()), "not-json"),
        (b"", list(written("binary", EVENTS[0]).headers.items()), "wrong-type"),
        (b"[]", list(written("binary", EVENTS[0]).headers.items()), "wrong-envelope"),
    ],
    ids=["a batch", "avro, structured", "avro, binary", "no data, binary", "a list for data, binary"],
)
def test_forms_that_are_not_taken_are_refused(value: bytes, headers: Any, reason: str) -> None:
    with pytest.raises(RefusedEvent) as refused:
        fact_of_record(value, headers)
    assert refused.value.reason == reason


async def sent() -> list[Message]:
    """Changes and the commands that follow from them."""
    file = segments(first={"event": "funding", "within": "3d"}, second={"event": "hiring", "within": "5d"})
    events = [hiring(day(0)), funding(day(1)), funding(day(5), id="late")]
    rig = await run(Rig(file), [signals(facts_of(events)), [ticking(3, day(30))]])
    await rig.deliver()
    changes = rig.published.messages
    routing = Routing(definition_of(file), now=None)
    await routing.take()
    await routing.follow(*(one.value or b"" for one in changes))
    return [*changes, *routing.published.to("workflow-commands")]


async def test_what_we_write_the_package_reads() -> None:
    messages = await sent()
    assert len(messages) > 6
    for message in messages:
        event = from_kafka_event(KafkaMessage(dict(message.headers), message.key, message.value or b""))
        raw = orjson.loads(message.value or b"")
        assert message.key == (event.get_subject() or "").encode() == raw["data"]["account"].encode()
        assert (event.get_id(), event.get_type(), event.get_source()) == (
            raw["id"],
            raw["type"],
            raw["source"],
        )
        moment = event.get_time()
        assert moment is not None
        assert round(moment.timestamp() * 1000) == parse_instant(raw["time"])
        assert event.get_data() == raw["data"]
