"""Find the events in a request: the modes of the CloudEvents binding for HTTP, and JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import orjson

MAX_BODY: Final = 4 * 1024 * 1024
MAX_EVENTS: Final = 10_000
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
JSON: Final = "application/json"
_PREFIX: Final = "ce-"


class Rejected(Exception):
    """A request that is not read at all. `status` is that of the answer."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


def split_events(content_type: str, headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """Return the events of a request, each as the bytes of a structured event. Raises Rejected."""
    kind = content_type.partition(";")[0].strip().lower()
    if any(name.lower() == f"{_PREFIX}specversion" for name in headers):
        return [_join(headers, kind, body)]
    if kind in LINES:
        events = [line for line in body.splitlines() if line.strip()]
    elif kind == STRUCTURED:
        events = [body]
    elif kind in (BATCH, JSON):
        found = parse_json(body)
        if kind == BATCH and not isinstance(found, list):
            raise Rejected(400, "a batch is a JSON list of events")
        events = [orjson.dumps(one) for one in found] if isinstance(found, list) else [body]
    else:
        raise Rejected(
            415, f"the content type is none of {STRUCTURED}, {BATCH}, {JSON}, application/x-ndjson"
        )
    if not events:
        raise Rejected(400, "the body has no event")
    if len(events) > MAX_EVENTS:
        raise Rejected(413, f"a request has at most {MAX_EVENTS:,} events")
    return events


def parse_json(body: bytes) -> Any:
    """Return the JSON of a body. Raises Rejected."""
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Rejected(400, f"the body is not JSON: {error}") from None


def _join(headers: Mapping[str, str], kind: str, body: bytes) -> bytes:
    """Return an event in binary mode as a structured one: its attributes are in headers, its data is the body."""
    event: dict[str, Any] = {
        name.lower()[len(_PREFIX) :]: unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(_PREFIX)
    }
    if body:
        if kind != JSON and not kind.endswith("+json"):
            raise Rejected(415, f"the data of an event is JSON: send the content type {JSON}")
        event["data"] = parse_json(body)
    return orjson.dumps(event)
