"""The records of the topic `touches`, as CloudEvents 1.0 in structured mode."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outcomes.touch import Arm, Touch, TouchesForgotten, TouchKey, TouchRecord, TouchVoid
from resegment.schemas.times import format_instant, parse_instant

TOUCH_TYPE: Final = "gtm.touch.v1"
Said = Literal["touch", "void", "key", "forgotten"]
VersionNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class TouchData(BaseModel):
    """One enrollment of an account, or one draw that held it out, frozen as it was then; or what became of one."""

    model_config = ConfigDict(frozen=True)

    says: Said = Field(
        description="touch: the account was touched; void: every touch that followed from `change` is void, because another "
        "change of the same instant superseded it; key: the command with this `key` is about the touch too; "
        "forgotten: the account was forgotten, and nothing that was said of it before counts",
        examples=["touch"],
        json_schema_extra={"x-open": True},
    )
    account: str = Field(examples=["acme.com"])
    at: str = Field(description="When", json_schema_extra={"format": "date-time"})
    touch: str | None = Field(
        None,
        description="For touch and key: the idempotency key of the enroll command; of a holdout it follows from the change",
    )
    segment: str | None = None
    workflow: str | None = Field(
        None, description="For a holdout: the workflow that the account is kept out of"
    )
    arm: Arm | None = Field(None, json_schema_extra={"x-open": True})
    play: str | None = None
    owner: str | None = None
    team: str | None = None
    channel: str | None = Field(None, description="The primary channel of the play")
    definition_version: str | None = Field(None, description="The fingerprint of the segments file")
    version: int | None = Field(None, description="Its number, if it is known")
    experiment: str | None = None
    variant: str | None = None
    change: str | None = Field(None, description="For touch and void: the id of the segment change")
    key: str | None = Field(None, description="For key: the idempotency key of the other command")


class _Read(msgspec.Struct, frozen=True):
    """What is read of a record; fields that were added later have defaults."""

    says: str
    account: str
    at: str
    touch: str = ""
    segment: str = ""
    workflow: str = ""
    arm: Arm = "enrolled"
    play: str | None = None
    owner: str | None = None
    team: str | None = None
    channel: str | None = None
    definition_version: str | None = None
    version: VersionNumber | None = None
    experiment: str | None = None
    variant: str | None = None
    change: str = ""
    key: str = ""


class _Event(msgspec.Struct, frozen=True):
    data: _Read


_decoder: Final = msgspec.json.Decoder(_Event)


def identify_holdout(change: str, workflow: str) -> str:
    """Return the id of the touch of an account that a change would have enrolled if it were not held out."""
    return hashlib.blake2b(f"holdout\0{change}\0{workflow}".encode(), digest_size=16).hexdigest()


def encode_touch(record: TouchRecord) -> bytes:
    """Return the event of a record of `touches`."""
    at = format_instant(record.at)
    data: dict[str, Any] = {"says": _SAYS[type(record)], **msgspec.structs.asdict(record), "at": at}
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": identify_record(record),
            "source": "/resegment/router",
            "type": TOUCH_TYPE,
            "subject": record.account,
            "time": at,
            "datacontenttype": "application/json",
            "data": {name: value for name, value in data.items() if value is not None},
        }
    )


def identify_record(record: TouchRecord) -> str:
    """Return the id of the event of a record: a repeated one has the same."""
    match record:
        case Touch():
            return record.touch
        case TouchVoid():
            return f"void:{record.change}"
        case TouchKey():
            return f"key:{record.key}:{record.touch}"
        case TouchesForgotten():
            return f"forgotten:{record.account}:{record.at}"


_SAYS: Final[dict[type, Said]] = {
    Touch: "touch",
    TouchVoid: "void",
    TouchKey: "key",
    TouchesForgotten: "forgotten",
}


def decode_touch(value: bytes) -> TouchRecord:
    """Decode a record of `touches`. Raises ValueError, which msgspec's errors are, for anything else."""
    data = decode_value(_decoder, value).data
    at = parse_instant(data.at)
    if data.says == "void" and data.change:
        return TouchVoid(account=data.account, at=at, change=data.change)
    if data.says == "key" and data.key and data.touch:
        return TouchKey(account=data.account, at=at, key=data.key, touch=data.touch)
    if data.says == "forgotten":
        return TouchesForgotten(account=data.account, at=at)
    if data.says != "touch" or not data.touch:
        raise ValueError(
            f"a record of touches says touch, void, key or forgotten, with what belongs to it, not {data.says!r}"
        )
    fields = {name: getattr(data, name) for name in Touch.__struct_fields__ if name != "at"}
    return Touch(at=at, **fields)
