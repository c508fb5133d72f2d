"""Make the event that tests a webhook."""

from __future__ import annotations

import time
import uuid
from typing import Final, NamedTuple

import orjson

from resegment.schemas.times import format_instant

PING_TYPE: Final = "gtm.ping.v1"


class Ping(NamedTuple):
    """The id and the bytes of a test event."""

    message: str
    body: bytes


def make_ping(endpoint: str) -> Ping:
    """Return a new test event for an endpoint."""
    message = uuid.uuid4().hex
    event = {
        "specversion": "1.0",
        "id": message,
        "source": "/resegment/webhooks",
        "type": PING_TYPE,
        "subject": endpoint,
        "time": format_instant(time.time_ns() // 1_000_000),
        "datacontenttype": "application/json",
        "data": {"endpoint": endpoint},
    }
    return Ping(message, orjson.dumps(event))
