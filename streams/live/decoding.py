"""Decode of segment changes and workflow commands what the index keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from resegment.schemas.times import parse_instant


@dataclass(frozen=True, slots=True)
class Change:
    """A segment change; instants in ms. `place` is its partition and offset, `told` the JSON of its cause and reason."""

    place: tuple[int, int]
    id: str
    account: str
    number: int
    from_: str | None
    to: str | None
    at: int
    decided: int
    told: bytes
    supersedes: str | None
    holdout: bool
    definition: int | None = None
    """The number of the version that made it, if one did."""
    forgotten: bool = False
    """Whether the account ends because it was forgotten."""


@dataclass(frozen=True, slots=True)
class Command:
    """A workflow command; `at` in ms."""

    place: tuple[int, int]
    id: str
    account: str
    at: int
    action: str
    workflow: str
    segment: str
    owner: str | None
    reason: str


class _ChangeData(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    account: str
    sequence_number: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    from_: str | None
    to: str | None
    effective_at: str
    decided_at: str
    cause: dict[str, Any]
    reason: dict[str, Any]
    supersedes: str | None = None
    holdout: bool = False
    moved: bool = False


class _ChangeEvent(msgspec.Struct, frozen=True):
    id: str
    data: _ChangeData


class _CommandData(msgspec.Struct, frozen=True):
    account: str
    action: str
    workflow: str
    segment: str = ""
    owner: str | None = None
    reason: str | None = None


class _CommandEvent(msgspec.Struct, frozen=True):
    id: str
    time: str
    data: _CommandData


_changes: Final = msgspec.json.Decoder(_ChangeEvent)
_commands: Final = msgspec.json.Decoder(_CommandEvent)


def decode_change(place: tuple[int, int], value: bytes | None) -> Change | None:
    """Return the change of a record; None where it is none that this release knows."""
    try:
        event = _changes.decode(value or b"")
        data = event.data
        told = {"cause": data.cause, "reason": data.reason, "moved": data.moved, "to": data.to}
        return Change(
            place,
            event.id,
            data.account,
            data.sequence_number,
            data.from_,
            data.to,
            parse_instant(data.effective_at),
            parse_instant(data.decided_at),
            msgspec.json.encode(told),
            data.supersedes,
            data.holdout,
            _read_version(data.cause),
            data.to is None and data.cause.get("forgotten") == "account",
        )
    except (msgspec.DecodeError, ValueError):
        return None


def _read_version(cause: dict[str, Any]) -> int | None:
    found = cause.get("definition")
    return found if isinstance(found, int) and 0 < found < 1 << 31 else None


def decode_command(place: tuple[int, int], value: bytes | None) -> Command | None:
    """Return the command of a record; None where it is none that this release knows."""
    try:
        event = _commands.decode(value or b"")
        data = event.data
        return Command(
            place,
            event.id,
            data.account,
            parse_instant(event.time),
            data.action,
            data.workflow,
            data.segment,
            data.owner,
            data.reason or "",
        )
    except (msgspec.DecodeError, ValueError):
        return None
