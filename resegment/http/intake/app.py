"""The HTTP intake: what is accepted is in Kafka before the answer is sent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from resegment.agents.batch import Message, Publisher, PublishFailed
from resegment.errors import RefusedEvent
from resegment.http.intake.bodies import MAX_BODY, Rejected, parse_json, split_events
from resegment.http.intake.keys import Access, Key, RateLimit
from resegment.http.intake.signatures import Signed, is_genuine
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.outgoing import CONTENT_TYPE
from resegment.sources.adapters.port import Adapter, Context, Remark
from resegment.sources.registry import UnknownSource, find_adapter
from resegment.streams.kafka.topics import Topics

EVENTS: Final = "events"
"""The name of the intake of events, for the scope of a key."""
RETRY_AFTER: Final = 5


class Item(BaseModel):
    """An event that was refused: its place in the request, and why."""

    index: int
    reason: str
    message: str
    field: str | None = None


class Taken(BaseModel):
    """How many events Kafka has, and those that were refused. They will be refused again: correct them first."""

    accepted: int
    refused: list[Item] = []


class Problem(BaseModel):
    """Why a request was not taken. None of its events is in Kafka."""

    error: str


class Intake:
    """Takes requests; `publish` returns once Kafka has the messages."""

    def __init__(self, publisher: Publisher, topics: Topics, access: Access, context: Context) -> None:
        self._publisher, self._topics, self._access, self._context = publisher, topics, access, context
        self._limit = RateLimit()
        self.reachable = False

    async def take_events(self, request: Request) -> Response:
        """Answer `POST /events`."""
        self._admit(request, EVENTS)
        body = await _read_body(request)
        events = split_events(request.headers.get("content-type", ""), request.headers, body)
        return await self._send(list(enumerate(events)), [])

    async def take_webhook(self, request: Request, name: str) -> Response:
        """Answer `POST /sources/NAME`."""
        try:
            adapter = find_adapter(name) if not name.endswith(".py") else None
        except UnknownSource as error:
            raise Rejected(404, error.message) from None
        if adapter is None:
            raise Rejected(404, "a module is no source here")
        secret = self._access.secrets.get(adapter.name)
        body = await _read_body(request)
        if secret is None:
            self._admit(request, adapter.name)
        elif not is_genuine(adapter.name, _signed(request, body), secret, time.time()):
            raise Rejected(401, "the signature is wrong, missing or too old")
        if "json" not in request.headers.get("content-type", "").lower():
            raise Rejected(415, "the content type of a webhook is application/json")
        events: list[tuple[int, bytes]] = []
        refused: list[Item] = []
        for index, item in enumerate(self._convert(adapter, parse_json(body))):
            if isinstance(item, dict):
                events.append((index, orjson.dumps(item)))
            elif isinstance(item, RefusedEvent) and not isinstance(item, Remark):
                refused.append(_item(index, item))
        ignored = [one for one in refused if one.reason == "ignored"]
        if not events and len(ignored) == len(refused):
            return _answer(202, Taken(accepted=0, refused=refused))
        return await self._send(events, refused)

    async def keep_connected(self, connect: Callable[[], Awaitable[None]], pause: float = 1.0) -> None:
        """Connect to Kafka, and again after each failure, until cancelled."""
        while True:
            if not self.reachable:
                with suppress(PublishFailed):
                    await connect()
                    self.reachable = True
            await asyncio.sleep(pause)

    def _convert(self, adapter: Adapter, payload: Any) -> list[Any]:
        """Convert a webhook. What it does not say of the time holds now."""
        found = list(adapter.convert(payload, self._context))
        if any(isinstance(one, RefusedEvent) and one.reason == "no-time" for one in found):
            now = time.time_ns() // 1_000_000
            found = list(adapter.convert(payload, replace(self._context, at=now)))
        return found

    def _admit(self, request: Request, source: str) -> None:
        """Check the key of a request. Raises Rejected."""
        if not self._access.keys:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        key: Key | None = self._access.find(given.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Rejected(401, "no key, or a wrong one: send Authorization: Bearer KEY")
        if not key.may_send(source):
            raise Rejected(403, f"this key is not for {source}")
        wait = self._limit.take(key, time.monotonic())
        if wait > 0:
            raise Rejected(429, "too many requests with this key", retry_after=math.ceil(wait))

    async def _send(self, events: list[tuple[int, bytes]], refused: list[Item]) -> Response:
        messages = []
        headers = [("content-type", CONTENT_TYPE)]
        for index, value in events:
            try:
                fact = resolve_event(decode_event(value))
            except RefusedEvent as error:
                refused.append(_item(index, error))
            else:
                topic = self._topics.of_kind(fact.kind).name
                messages.append(Message(topic, fact.account.encode(), value, headers))
        if messages:
            try:
                await self._publisher.publish(messages)
            except PublishFailed as error:
                if error.too_large:
                    raise Rejected(413, "an event is larger than a topic accepts") from error
                self.reachable = False
                message = "Kafka did not acknowledge the events: send the request again. Events that arrive twice count once"
                raise Rejected(503, message, retry_after=RETRY_AFTER) from error
            self.reachable = True
        return _answer(202 if messages else 400, Taken(accepted=len(messages), refused=refused))


def build(intake: Intake) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Resegment intake", redoc_url=None)
    problems: dict[int | str, dict[str, Any]] = {400: {"model": Taken | Problem}}
    problems.update({code: {"model": Problem} for code in (401, 403, 404, 413, 415, 429, 503)})
    anything = {"requestBody": {"required": True, "content": {
        kind: {} for kind in ("application/cloudevents+json", "application/cloudevents-batch+json", "application/json", "application/x-ndjson")
    }}}  # fmt: skip

    @app.exception_handler(Rejected)
    async def reject(_: Request, error: Rejected) -> Response:
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse({"error": error.message}, error.status, headers)

    @app.post("/events", status_code=202, response_model=Taken, responses=problems, openapi_extra=anything)
    async def events(request: Request) -> Response:
        """Take events: one or a batch of CloudEvents, or JSON lines."""
        return await intake.take_events(request)

    @app.post(
        "/sources/{name}",
        status_code=202,
        response_model=Taken,
        responses=problems,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {}}}},
    )
    async def sources(request: Request, name: Annotated[str, InPath(max_length=100)]) -> Response:
        """Take a webhook of a provider."""
        return await intake.take_webhook(request, name)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Report that the process runs."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"model": Problem}})
    async def readyz() -> Response:
        """Report whether Kafka answered last: 200, or 503."""
        if intake.reachable:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"error": "Kafka does not answer"}, 503, {"retry-after": str(RETRY_AFTER)})

    return app


async def _read_body(request: Request) -> bytes:
    """Return the body, of which no more than the limit is ever held. Raises Rejected."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise Rejected(413, f"a body has at most {MAX_BODY:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _signed(request: Request, body: bytes) -> Signed:
    return Signed(request.method, str(request.url), dict(request.headers), body)


def _item(index: int, error: RefusedEvent) -> Item:
    return Item(index=index, reason=error.reason, message=error.message, field=error.field)


def _answer(status: int, taken: Taken) -> Response:
    return JSONResponse(taken.model_dump(exclude_none=True), status)
