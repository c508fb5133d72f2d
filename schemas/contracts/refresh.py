"""The contract of requests to enrichment tools: which attributes of an account should be looked up again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.contracts.reasons import Instant
from resegment.schemas.outgoing import Sent
from resegment.schemas.times import format_instant

REFRESH_TYPE: Final = "gtm.refresh-request.v1"


class RefreshRequest(Sent):
    """The CloudEvents attributes of a request."""

    id: str = Field(description="A repeated request has the same id: answer it once")
    time: Instant = Field(description="When it was asked")


class RequestedAttribute(BaseModel):
    """An attribute that is unknown or old."""

    model_config = ConfigDict(frozen=True)

    name: str
    known_at: Instant | None = Field(description="When its value was told last; null where it is unknown")


class RefreshRequestData(BaseModel):
    """Attributes of an account that tests read and that are unknown or old, and whose values could change its segment.

    Answer with an event of the account's firmographics (`gtm.firmographic.v1`) that has what you found, null for what
    nobody knows. An account is not asked for again before `again_at`, unless an answer left something open.
    """

    model_config = ConfigDict(frozen=True)

    account: str
    segment: str = Field(description="The segment that it is in")
    attributes: list[RequestedAttribute] = Field(min_length=1, description="The oldest first")
    could_win: str | None = Field(description="The highest segment that it could enter, or null")
    could_fall_to: str | None = Field(description="The lowest segment that it could fall to, or null")
    again_at: Instant = Field(description="When it may be asked for again")


def name_request(prefix: str, account: str, asked_before: int) -> str:
    """Return the id of a request, which is the same until the request is noted. `asked_before` (ms), 0 for never."""
    text = f"{prefix}\0{account}\0{asked_before}".encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def encode_request(name: str, source: str, at: int, data: Mapping[str, Any]) -> bytes:
    """Return the event of a request, as CloudEvents 1.0 in structured mode."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": REFRESH_TYPE,
            "subject": data["account"],
            "time": format_instant(at),
            "datacontenttype": "application/json",
            "data": data,
        }
    )
