"""Take events and webhooks: what is accepted is in Kafka before the answer is sent, and what is refused is kept."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from starlette.requests import ClientDisconnect, Request

from resegment.agents.batch import Message, Publisher, PublishFailed, passing_on, stamped
from resegment.agents.dead_letters import SMALL_BYTES, make_proof
from resegment.errors import RefusedEvent
from resegment.http.intake.access import Access
from resegment.http.intake.bodies import MAX_BODY, Rejected, parse_json, split_events
from resegment.http.intake.gathering import Gathering
from resegment.http.intake.keys import Key, RateLimit
from resegment.http.intake.load import Load, Share
from resegment.http.intake.quarantine import EVENTS, letter_id, make_letter
from resegment.http.intake.reading import Reading, add_type, read_events, read_webhook
from resegment.http.intake.signatures import Signed, hide_secrets, is_genuine
from resegment.metrics import Metrics
from resegment.schemas.cloudevents.traces import TRACEPARENT, parse_traceparent
from resegment.sources.adapters.port import Context
from resegment.sources.registry import UnknownSource
from resegment.streams.kafka.topics import Topics

if TYPE_CHECKING:
    from resegment.streams.tracing.tracing import Tracing

log = structlog.get_logger(__name__)

RETRY_AFTER: Final = 5
BODY_PATIENCE: Final = 30.0
"""Seconds that a client has to send its body."""
LARGE: Final = 64 * 1024
"""Bodies of more bytes are read in a thread of their own, one of each sender at a time."""
LETTERS: Final = 100
"""The refused events of one request that are kept; the answer names all."""
_FORGED: Final = Key("wrong signatures", "", rate=0.1)
_AWAY: Final = (
    "Kafka did not acknowledge the events: send the request again. Events that arrive twice count once"
)


class Outcome(NamedTuple):
    """What became of a request: how many events Kafka has, what was refused, and the dead letters that keep it."""

    accepted: int
    refused: list[tuple[int, RefusedEvent]]
    kept: list[str]


class Intake:
    """Takes requests; `publish` returns once Kafka has the messages."""

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        access: Access,
        context: Context,
        metrics: Metrics | None = None,
    ) -> None:
        self._publisher, self._topics, self._context = Gathering(publisher), topics, context
        self.access = access
        """Who may send; it may be replaced at any time."""
        self.metrics = metrics or Metrics()
        self._limit, self._load = RateLimit(), Load()
        self._threads: dict[str, asyncio.Lock] = {}
        self.reachable = False
        """Whether Kafka acknowledged what was published last."""
        self._closing = False
        self.tracing: Tracing | None = None
        """What makes spans of requests, if traces are on."""

    async def take_events(self, request: Request) -> Outcome:
        """Take what `POST /events` brings. Raises Rejected."""
        with self._counted(EVENTS), self._traced(request, EVENTS):
            sender = self._admit(request, EVENTS)
            with self._load.held(sender) as share:
                body = await _read_body(request, share)
                try:
                    events = split_events(request.headers.get("content-type", ""), request.headers, body)
                except Rejected as error:
                    if error.status == 400 and body:
                        await self._keep(EVENTS, [(body, RefusedEvent("not-json", error.message))])
                    raise
                reading = await self._read(sender, len(body), lambda: read_events(events, self._topics))
                letters = [(events[index], error) for index, error in reading.wrong]
                return await self._send(EVENTS, reading, letters)

    async def take_webhook(self, request: Request, name: str) -> Outcome:
        """Take what `POST /sources/NAME` brings. Raises Rejected."""
        try:
            own = self.access.find_source(name)
        except UnknownSource as error:
            raise Rejected(404, error.message) from None
        source = name if name in self.access.sources else own.adapter.name
        with self._counted(source), self._traced(request, source):
            secrets = self.access.secrets.get(source)
            sender = self._admit(request, source, signed=bool(secrets))
            with self._load.held(sender) as share:
                body = await _read_body(request, share)
                if secrets:
                    await self._verify(source, request, body, secrets)
                    body = hide_secrets(own.adapter.name, body, secrets)
                if "json" not in request.headers.get("content-type", "").lower():
                    raise Rejected(415, "the content type of a webhook is application/json")
                try:
                    payload = add_type(own.adapter.name, parse_json(body), request.headers)
                except Rejected as error:
                    await self._keep(source, [(body, RefusedEvent("not-json", error.message))])
                    raise
                now, context = _now(), own.apply(self._context)
                reading = await self._read(
                    sender, len(body), lambda: read_webhook(own.adapter, payload, context, self._topics, now)
                )
                letters = [(body, _summarize(reading))] if reading.wrong else []
                return await self._send(source, reading, letters)

    async def close(self, patience: float = 5.0) -> None:
        """Take nothing more, and wait until what is under way is answered."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._load.requests:  # noqa: ASYNC110  # no event says so
                    await asyncio.sleep(0.02)

    async def prove(self) -> None:
        """Publish a record that says nothing, to see whether Kafka acknowledges. Raises PublishFailed."""
        await self._publisher.publish([make_proof(self._topics.dead_letters.name)])
        self.reachable = True

    async def keep_ready(
        self, prove: Callable[[], Awaitable[None]], look: Callable[[], Awaitable[None]], pause: float = 1.0
    ) -> None:
        """See that Kafka acknowledges, and look after it every few seconds, until cancelled.

        Once it is away, only a record that it acknowledges makes the intake ready again.
        """
        turn = 0
        while True:
            try:
                if not self.reachable:
                    await prove()
                    self.reachable = True
                    log.info("the intake is ready: Kafka acknowledges")
                elif turn % 5 == 0:
                    await look()
            except PublishFailed as error:
                if self.reachable:
                    log.warning("the intake is not ready: Kafka does not answer", error=error.message)
                self.reachable = False
            turn += 1
            await asyncio.sleep(pause)

    def _admit(self, request: Request, source: str, *, signed: bool = False) -> str:
        """Check the key of a request, and return the sender. Raises Rejected."""
        if self._closing:
            raise Rejected(503, "the intake is stopping: send the request again", retry_after=RETRY_AFTER)
        if signed:
            return f"signed by {source}"
        if not self.access.keys:
            return source
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        key = self.access.find(given.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Rejected(401, "no key, or a wrong one: send Authorization: Bearer KEY")
        if not key.may_send(source):
            raise Rejected(403, f"this key is not for {source}")
        wait = self._limit.take(key, time.monotonic())
        if wait > 0:
            raise Rejected(429, "too many requests with this key", retry_after=math.ceil(wait))
        return f"{key.name} for {source}"

    async def _verify(self, source: str, request: Request, body: bytes, secrets: tuple[str, ...]) -> None:
        """Check the signature. One of a few wrong ones is kept, cut short, so that it can be seen. Raises Rejected."""
        signed = Signed(request.method, str(request.url), dict(request.headers), body)
        if any(is_genuine(source, signed, secret, time.time()) for secret in secrets):
            return
        message = "the signature is wrong, missing or too old"
        forged = Key(_FORGED.name, source, rate=_FORGED.rate)
        if self._limit.take(forged, time.monotonic()) == 0:
            with suppress(Rejected):
                await self._keep(source, [(body, RefusedEvent("wrong-signature", message))], SMALL_BYTES)
        raise Rejected(401, message)

    async def _read(self, sender: str, size: int, read: Callable[[], Reading]) -> Reading:
        if size <= LARGE:
            return read()
        lock = self._threads.setdefault(sender, asyncio.Lock())
        async with lock:
            return await asyncio.to_thread(read)

    async def _send(
        self, source: str, reading: Reading, letters: list[tuple[bytes, RefusedEvent]]
    ) -> Outcome:
        now = _now()
        kept = [make_letter(self._topics, source, body, why, now) for body, why in letters[:LETTERS]]
        await self._publish([*reading.messages, *kept])
        events = self.metrics.intake_events
        events.labels(source, "accepted").inc(len(reading.messages))
        for _, error in reading.refused:
            events.labels(source, error.reason).inc()
        return Outcome(len(reading.messages), reading.refused, [letter_id(one) for one in kept])

    async def _keep(
        self, source: str, bodies: list[tuple[bytes, RefusedEvent]], limit: int | None = None
    ) -> None:
        """Keep bodies in the dead letters. Raises Rejected."""
        more: dict[str, Any] = {} if limit is None else {"limit": limit}
        letters = [make_letter(self._topics, source, body, why, _now(), **more) for body, why in bodies]
        await self._publish(letters)
        for _, why in bodies:
            self.metrics.intake_events.labels(source, why.reason).inc()

    async def _publish(self, messages: list[Message]) -> None:
        """Publish. Raises Rejected."""
        if not messages:
            return
        begun = time.monotonic()
        try:
            await self._publisher.publish(stamped(messages))
        except PublishFailed as error:
            if error.too_large:
                raise Rejected(413, "an event is larger than a topic accepts") from error
            if self.reachable:
                log.warning("the intake is not ready: Kafka did not acknowledge", error=error.message)
            self.reachable = False
            raise Rejected(503, _AWAY, retry_after=RETRY_AFTER) from error
        self.reachable = True
        self.metrics.intake_seconds.observe(time.monotonic() - begun)

    def _traced(self, request: Request, source: str) -> AbstractContextManager[None]:
        """Have the events belong to the trace that the request came with, or to a new one."""
        given = parse_traceparent(request.headers.get(TRACEPARENT))
        if self.tracing is not None:
            return self.tracing.request(source, given)
        return nullcontext() if given is None else passing_on(given)

    @contextmanager
    def _counted(self, source: str) -> Iterator[None]:
        """Count the request by the status of its answer."""
        status = "202"
        try:
            yield
        except Rejected as error:
            status = str(error.status)
            raise
        except BaseException:
            status = "499"
            raise
        finally:
            self.metrics.intake_requests.labels(source, status).inc()


def _summarize(reading: Reading) -> RefusedEvent:
    """Return why the first record of a body was refused, and of how many it is one."""
    first = reading.wrong[0][1]
    records = len(reading.messages) + len(reading.refused)
    message = (
        first.message
        if records == 1
        else f"{len(reading.wrong)} of {records} records are refused: {first.message}"
    )
    return RefusedEvent(first.reason, message, field=first.field)


async def _read_body(request: Request, share: Share) -> bytes:
    """Return the body, of which no more than the limit is ever held. Raises Rejected."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:12]) > MAX_BODY:
        raise Rejected(413, f"a body has at most {MAX_BODY:,} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise Rejected(413, f"a body has at most {MAX_BODY:,} bytes")
                share.add(len(part))
                parts.append(part)
    except TimeoutError:
        raise Rejected(408, f"the body did not arrive within {BODY_PATIENCE:g} s") from None
    except ClientDisconnect:
        raise Rejected(400, "the client left before the body was there") from None
    return b"".join(parts)


def _now() -> int:
    return time.time_ns() // 1_000_000
