"""Spans of batches, records, requests and deliveries. Nothing here is imported while traces are off."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from resegment.agents.batch import TRACE, Batch, Message, Record, passing_on, stamp
from resegment.redaction import hide_persons, tell_error, write_traceback
from resegment.schemas.cloudevents.traces import is_sampled, read_traceparent
from resegment.sinks.webhook.port import TRACE_OF_EVENT, SendResult, Webhook
from resegment.streams.tracing import names

BEGINS: Final = frozenset({"intake"})
"""The stages at which a record without a trace may begin one."""
MOST_LINKS: Final = 128
"""The most records of one batch that get a span: more would only cost."""

Handle = Callable[[Batch], Awaitable[None]]


class StampedBatch:
    """The spans of one batch: see `resegment.agents.batch.Trace`."""

    def __init__(self, spans: Mapping[int, Span], batch: Batch, *, by_place: bool) -> None:
        """`spans` are by the place of a record in the batch. `by_place`: each record leads to one message."""
        self._spans, self._count = spans, len(batch.records) if by_place else None
        self._by_key = {batch.records[place].key: span for place, span in spans.items()}

    @property
    def id(self) -> str:
        """Return the id of the first trace."""
        return format(next(iter(self._spans.values())).get_span_context().trace_id, "032x")

    def stamp(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages, each with the trace of the record that led to it."""
        if self._count is not None:
            if len(messages) != self._count:
                return messages
            return [_stamp(one, self._spans.get(place)) for place, one in enumerate(messages)]
        return [_stamp(one, None if one.key is None else self._by_key.get(one.key)) for one in messages]


class Tracing:
    """Makes spans. Of records without a trace, the share `sample` begins one; other records continue theirs."""

    def __init__(
        self, provider: TracerProvider, sample: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._provider, self._tracer = provider, provider.get_tracer(names.SCOPE)
        self._sample, self._chance = sample, chance

    def close(self) -> None:
        """Export what is left, and end. This may block."""
        self._provider.shutdown()

    def traced(self, stage: str, handle: Handle) -> Handle:
        """Return a handler of batches that makes spans around another one."""

        async def run(batch: Batch) -> None:
            chosen = self._choose(batch, begins=stage in BEGINS)
            if not chosen:
                await handle(batch)
                return
            with self._batch(stage, batch, chosen):
                await handle(batch)

        return run

    def _choose(self, batch: Batch, *, begins: bool) -> dict[int, str | None]:
        """Return the records that get a span, by place, each with the traceparent that it has."""
        chosen: dict[int, str | None] = {}
        sample, chance = self._sample, self._chance
        for place, record in enumerate(batch.records):
            given = read_traceparent(record.headers) if record.headers else None
            if given is not None:
                if is_sampled(given):
                    chosen[place] = given
            elif begins and sample and chance() < sample:
                chosen[place] = None
            if len(chosen) == MOST_LINKS:
                break
        return chosen

    @contextmanager
    def _batch(self, stage: str, batch: Batch, chosen: Mapping[int, str | None]) -> Iterator[None]:
        whole = self._tracer.start_span(
            names.BATCH.format(stage),
            kind=SpanKind.CONSUMER,
            links=[Link(context_of(one)) for one in chosen.values() if one is not None],
            attributes={
                names.SYSTEM: "kafka",
                names.TOPIC: batch.topic,
                names.PARTITION: str(batch.partition),
                names.COUNT: len(batch.records),
                names.STAGE: stage,
            },
        )
        link = Link(whole.get_span_context())
        spans = {
            place: self._start(stage, batch, batch.records[place], given, link)
            for place, given in chosen.items()
        }
        token = TRACE.set(StampedBatch(spans, batch, by_place=stage in BEGINS))
        try:
            yield
        except BaseException as error:
            for span in (whole, *spans.values()):
                _fail(span, error)
            raise
        finally:
            TRACE.reset(token)
            for span in (*spans.values(), whole):
                span.end()

    def _start(self, stage: str, batch: Batch, record: Record, given: str | None, link: Link) -> Span:
        key = record.key
        return self._tracer.start_span(
            names.RECORD.format(stage),
            context=None if given is None else set_span_in_context(NonRecordingSpan(context_of(given))),
            kind=SpanKind.CONSUMER,
            links=[link],
            attributes={
                names.TOPIC: batch.topic,
                names.PARTITION: str(batch.partition),
                names.OFFSET: record.offset,
                names.STAGE: stage,
                # what comes in has any key, be it a person's address
                **(
                    {}
                    if key is None or stage in BEGINS
                    else {names.ACCOUNT: key[:256].decode("utf-8", "replace")}
                ),
            },
        )

    @contextmanager
    def request(self, source: str, given: str | None) -> Iterator[None]:
        """Make the span of a request to the HTTP intake, which continues the trace that it came with."""
        if given is not None and not is_sampled(given):
            with passing_on(given):
                yield
            return
        if given is None and not self._chance() < self._sample:
            yield
            return
        span = self._tracer.start_span(
            names.REQUEST.format(source),
            context=None if given is None else set_span_in_context(NonRecordingSpan(context_of(given))),
            kind=SpanKind.SERVER,
            attributes={names.SOURCE: source},
        )
        try:
            with passing_on(traceparent_of(span)):
                yield
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def around(self, webhook: Webhook, endpoint: str) -> Webhook:
        """Return the webhook with spans of its requests."""
        return TracedWebhook(webhook, endpoint, self)

    @contextmanager
    def delivery(self, endpoint: str, message: str, given: str) -> Iterator[Span]:
        """Make the span of one request to a webhook, and have the request carry it."""
        span = self._tracer.start_span(
            names.DELIVERY.format(endpoint),
            context=set_span_in_context(NonRecordingSpan(context_of(given))),
            kind=SpanKind.CLIENT,
            attributes={names.ENDPOINT: endpoint, names.MESSAGE: message},
        )
        token = TRACE_OF_EVENT.set(traceparent_of(span))
        try:
            yield span
        finally:
            TRACE_OF_EVENT.reset(token)
            span.end()


class TracedWebhook:
    """A `Webhook` that makes a span of each request for an event that belongs to a recorded trace."""

    def __init__(self, webhook: Webhook, endpoint: str, tracing: Tracing) -> None:
        self._webhook, self._endpoint, self._tracing = webhook, endpoint, tracing

    async def send(self, message: str, body: bytes) -> SendResult:
        """Send the event."""
        given = TRACE_OF_EVENT.get()
        if given is None or not is_sampled(given):
            return await self._webhook.send(message, body)
        with self._tracing.delivery(self._endpoint, message, given) as span:
            sent = await self._webhook.send(message, body)
            if sent.status is not None:
                span.set_attribute(names.STATUS, sent.status)
            if sent.status is None or not 200 <= sent.status < 300:
                span.set_status(Status(StatusCode.ERROR, hide_persons(str(sent))))
            return sent


def context_of(traceparent: str) -> SpanContext:
    """Return the context that a traceparent names."""
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def traceparent_of(span: Span) -> str:
    """Return the traceparent of a span."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _stamp(message: Message, span: Span | None) -> Message:
    return message if span is None else stamp(message, traceparent_of(span))


def _fail(span: Span, error: BaseException) -> None:
    if isinstance(error, Exception):
        # as OpenTelemetry records one, without the words that may quote data
        span.add_event(
            "exception",
            {
                "exception.type": type(error).__qualname__,
                "exception.message": tell_error(error),
                "exception.stacktrace": write_traceback(error),
            },
        )
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
