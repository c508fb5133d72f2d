"""A trace goes on from record to record: who is traced, and what carries the trace on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resegment.agents.batch import TRACE, Batch, Message, RecordedMessage, passing_on, stamped
from resegment.schemas.cloudevents.traces import parse_traceparent, read_traceparent
from resegment.sinks.webhook.port import TRACE_OF_EVENT, SendResult
from resegment.streams.tracing.tracing import Tracing

SAMPLED = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
NOT_SAMPLED = SAMPLED[:-2] + "00"


@dataclass
class Rig:
    tracing: Tracing
    spans: InMemorySpanExporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.spans.get_finished_spans() if one.name == name]

    async def run(
        self, stage: str, records: Sequence[RecordedMessage], made: Sequence[Message]
    ) -> Sequence[Message]:
        found: list[Sequence[Message]] = []

        async def handle(batch: Batch) -> None:
            found.append(stamped(made))

        await self.tracing.traced(stage, handle)(Batch("p.signals", 3, records))
        assert TRACE.get() is None
        return found[0]


def make_rig(sample: float = 0.0, chance: float = 0.5) -> Rig:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Rig(Tracing(provider, sample, lambda: chance), spans)


def record(offset: int, key: bytes | None = b"acme.com", trace: str | bytes | None = None) -> RecordedMessage:
    value = trace.encode() if isinstance(trace, str) else trace
    return RecordedMessage(offset, 0, key, b"{}", [] if value is None else [("traceparent", value)])


def trace_of(message: Message) -> str | None:
    return read_traceparent(message.headers)


async def test_a_change_of_an_account_continues_the_trace_of_its_signal() -> None:
    rig = make_rig()
    records = [record(1, b"other.com"), record(2, trace=SAMPLED), record(3, b"third.com", NOT_SAMPLED)]
    made = [Message("changes", name, b"") for name in (b"acme.com", b"other.com", b"third.com")]
    stamped_messages = await rig.run("segmenter", records, made)
    (own,) = rig.named("segmenter")
    (whole,) = rig.named("segmenter batch")
    traces = [trace_of(one) for one in stamped_messages]
    assert traces == [f"00-{'a' * 32}-{own.context.span_id:016x}-01", None, None]
    assert own.parent is not None
    assert f"{own.parent.span_id:016x}" == "b" * 16
    assert [f"{link.context.trace_id:032x}" for link in whole.links] == ["a" * 32]
    assert [link.context.span_id for link in own.links] == [whole.context.span_id]
    assert (own.attributes or {})["resegment.account"] == "acme.com"


async def test_intake_begins_traces_for_its_share_and_gives_each_signal_its_own() -> None:
    rig = make_rig(sample=0.6)
    records = [record(1, None), record(2, None, SAMPLED), record(3, None, NOT_SAMPLED)]
    made = [Message("signals", name, b"") for name in (b"a.com", b"b.com", b"c.com")]
    first, second, third = await rig.run("intake", records, made)
    spans = rig.named("intake")
    assert [one.parent is None for one in spans] == [True, False]
    begun = f"00-{spans[0].context.trace_id:032x}-{spans[0].context.span_id:016x}-"
    assert (trace_of(first) or "").startswith(begun)
    assert (trace_of(second) or "").split("-")[1] == "a" * 32
    assert trace_of(third) is None


async def test_a_record_without_a_trace_begins_none_outside_its_share_or_in_later_stages() -> None:
    assert (
        trace_of((await make_rig(sample=0.4).run("intake", [record(1)], [Message("t", b"a", b"")]))[0])
        is None
    )
    later = make_rig(sample=1.0, chance=0.0)
    assert trace_of((await later.run("router", [record(1)], [Message("t", b"acme.com", b"")]))[0]) is None
    assert later.spans.get_finished_spans() == ()


async def test_what_has_a_trace_keeps_it() -> None:
    letter = Message("dead-letters", None, b"", [("traceparent", b"own")])
    assert (await make_rig(1.0, 0.0).run("intake", [record(1)], [letter]))[0] == letter


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\xff\xfe",
        b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01",
        b"01-x",
        b"00-" + b"a" * 5000,
        b"a-b-c-d",
    ],
)
async def test_a_header_that_is_no_traceparent_is_none(hostile: bytes) -> None:
    rig = make_rig()
    (made,) = await rig.run("segmenter", [record(1, trace=hostile)], [Message("t", b"acme.com", b"")])
    assert (trace_of(made), rig.spans.get_finished_spans()) == (None, ())
    assert read_traceparent([("traceparent", None)]) is None
    assert parse_traceparent(SAMPLED + "\n") is None


async def test_a_batch_that_fails_has_spans_that_say_so_and_leaves_no_trace_behind() -> None:
    rig = make_rig()

    async def handle(_: Batch) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await rig.tracing.traced("segmenter", handle)(Batch("p.signals", 0, [record(1, trace=SAMPLED)]))
    assert TRACE.get() is None
    assert [one.status.description for one in rig.spans.get_finished_spans()] == ["ValueError"] * 2


async def test_of_a_large_batch_only_some_records_have_a_span() -> None:
    rig = make_rig()
    await rig.run("segmenter", [record(n, str(n).encode(), SAMPLED) for n in range(500)], [])
    assert len(rig.named("segmenter")) == 128


def test_a_request_continues_the_trace_that_it_came_with_and_passes_on_that_it_is_not_recorded() -> None:
    rig = make_rig(sample=1.0, chance=0.0)
    message = Message("t", None, b"")
    with rig.tracing.request("/crm", SAMPLED):
        (taken,) = stamped([message])
    (span,) = rig.named("take /crm")
    assert trace_of(taken) == f"00-{'a' * 32}-{span.context.span_id:016x}-01"
    with rig.tracing.request("/crm", NOT_SAMPLED):
        assert [trace_of(one) for one in stamped([message])] == [NOT_SAMPLED]
    with rig.tracing.request("/crm", None):
        assert trace_of(stamped([message])[0]) is not None
    assert len(rig.named("take /crm")) == 2


def test_without_tracing_a_trace_is_passed_on_as_it_is() -> None:
    with passing_on(SAMPLED):
        assert [trace_of(one) for one in stamped([Message("t", None, b"")])] == [SAMPLED]
    assert stamped([Message("t", None, b"")]) == [Message("t", None, b"")]


class Receiver:
    """A webhook that answers a status."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.got: list[str | None] = []

    async def send(self, message: str, body: bytes) -> SendResult:
        self.got.append(TRACE_OF_EVENT.get())
        return SendResult(self.status, None if self.status else "no answer")


@pytest.mark.parametrize(("status", "is_error"), [(204, False), (503, True), (None, True)])
async def test_a_delivery_is_the_last_span_of_a_trace(status: int | None, is_error: bool) -> None:
    rig, receiver = make_rig(), Receiver(status)
    token = TRACE_OF_EVENT.set(SAMPLED)
    try:
        await rig.tracing.around(receiver, "crm").send("id", b"{}")
    finally:
        TRACE_OF_EVENT.reset(token)
    (span,) = rig.named("deliver to crm")
    assert receiver.got == [f"00-{'a' * 32}-{span.context.span_id:016x}-01"]
    assert span.status.is_ok is not is_error
    assert (span.attributes or {}).get("http.response.status_code") == status


@pytest.mark.parametrize("given", [None, NOT_SAMPLED])
async def test_a_delivery_that_is_not_recorded_has_no_span_and_carries_what_it_had(given: str | None) -> None:
    rig, receiver = make_rig(), Receiver(200)
    token = TRACE_OF_EVENT.set(given)
    try:
        await rig.tracing.around(receiver, "crm").send("id", b"{}")
    finally:
        TRACE_OF_EVENT.reset(token)
    assert (receiver.got, rig.spans.get_finished_spans()) == ([given], ())


@pytest.mark.parametrize("stage", ["intake", "segmenter"])
async def test_no_span_names_a_person_whatever_the_key_of_an_event_and_the_words_of_an_error(
    stage: str,
) -> None:
    rig = make_rig(sample=1.0)
    words = "cannot read Philippa <philippa@acme.com>"

    async def fail(_: Batch) -> None:
        raise ValueError(words)  # the line itself is in the stack

    key = b"philippa@acme.com" if stage == "intake" else b"acme.com"
    with pytest.raises(ValueError, match="cannot read"):
        await rig.tracing.traced(stage, fail)(Batch("p.people", 0, [record(1, key, SAMPLED)]))
    spans = [one.to_json() for one in rig.spans.get_finished_spans()]
    assert len(spans) == 2
    for one in spans:
        assert "hilippa" not in one
        assert "in fail" in one, "the stack is there"
        assert "ValueError" in one
