"""The contract of the audit log: who changed what by a command, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.contracts.reasons import Instant
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outgoing import Sent
from resegment.schemas.times import format_instant

AUDIT_TYPE: Final = "gtm.audit.v1"
SOURCE: Final = "/resegment/cli"


class AuditEvent(Sent):
    """The CloudEvents attributes of an entry."""

    subject: str = Field(description="The command, like data.action")
    time: Instant = Field(description="When the entry was written")


class AuditEntryData(BaseModel):
    """One step of a command that changes something: that it begins, and then what came of it.

    A command is carried out only after its first step is in the topic. Where no second one follows, the command was
    killed, or its result could not be written.
    """

    model_config = ConfigDict(frozen=True)

    action: str = Field(description="The command", examples=["routing set"])
    actor: str = Field(
        description="Who ran it: --as or RESEGMENT_ACTOR, else user@host", examples=["ann@acme.com"]
    )
    stage: Annotated[str, Field(description="begun, done or failed", examples=["begun"])]
    begun: str = Field(
        description="The id of the entry with which the command began; of that one, its own id"
    )
    arguments: dict[str, Any] = Field(description="What it was asked to do; long lists and texts are cut")
    result: dict[str, Any] | None = Field(None, description="What came of it, of a done one")
    error: str | None = Field(None, description="Why it failed; for people")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The same fields, as commands write and read them. `id` and `at` (ms) are the event's."""

    id: str
    at: int
    action: str
    actor: str
    stage: str
    begun: str
    arguments: dict[str, Any] = {}
    result: dict[str, Any] | None = None
    error: str | None = None


class _Event(msgspec.Struct, frozen=True):
    id: str
    time: str
    data: dict[str, Any]
    type: str = ""


_decoder: Final = msgspec.json.Decoder(_Event)


def encode_entry(entry: AuditEntry) -> bytes:
    """Return the event of an entry, as CloudEvents 1.0 in structured mode."""
    data = msgspec.to_builtins(entry)
    del data["id"], data["at"]
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": entry.id,
            "source": SOURCE,
            "type": AUDIT_TYPE,
            "subject": entry.action,
            "time": format_instant(entry.at),
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def decode_entry(value: bytes, at: int) -> AuditEntry:
    """Return the entry of a record whose time is `at` (ms). Raises ValueError, which msgspec's errors are."""
    event = decode_value(_decoder, value)
    if event.type != AUDIT_TYPE:
        raise ValueError(f"the type is {event.type!r}, not {AUDIT_TYPE}")
    return msgspec.convert({**event.data, "id": event.id, "at": at}, AuditEntry)
