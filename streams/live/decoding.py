"""Decode of segment changes, workflow commands and states what the index keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.routing import RoutedState
from resegment.schemas.state import KIND_NUMBERS, AccountState
from resegment.schemas.times import parse_instant

_FIRMOGRAPHIC: Final = KIND_NUMBERS["firmographic"]


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


Enrolled = tuple[str, str | None, str | None, str | None]
"""An account, its workflow, its owner or queue there, and the team that assigned it to one of both."""


@dataclass(frozen=True, slots=True)
class Command:
    """A workflow command. `at` (ms) is the time of its change, `sent` that of its record, None where it has none."""

    place: tuple[int, int]
    id: str
    account: str
    at: int
    action: str
    workflow: str
    segment: str
    owner: str | None
    reason: str
    sent: int | None = None


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
    forgotten: bool = False


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
    forgotten: bool = False


class _CommandEvent(msgspec.Struct, frozen=True):
    id: str
    time: str
    data: _CommandData


_changes: Final = msgspec.json.Decoder(_ChangeEvent)
_commands: Final = msgspec.json.Decoder(_CommandEvent)


def decode_change(place: tuple[int, int], value: bytes | None) -> Change | None:
    """Return the change of a record; None where it is none that this release knows."""
    try:
        event = decode_value(_changes, value)
        data = event.data
        told = {"cause": data.cause, "reason": data.reason, "moved": data.moved, "to": data.to}
        if data.forgotten:
            told["forgotten"] = True
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
    except ValueError:
        return None


def _read_version(cause: dict[str, Any]) -> int | None:
    found = cause.get("definition")
    return found if isinstance(found, int) and 0 < found < 1 << 31 else None


def decode_command(place: tuple[int, int], value: bytes | None, sent: int | None = None) -> Command | None:
    """Return the command of a record, `sent` (ms) by its timestamp; None where it is none that this release knows."""
    try:
        event = decode_value(_commands, value)
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
            data.reason or ("(forgotten)" if data.forgotten else ""),
            sent if sent is not None and sent > 0 else None,
        )
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest record that was taken of a partition: a topic without it is another one."""

    offset: int
    digest: bytes


def mark_of(record: Any) -> Mark:
    """Return the mark of a record."""
    told = b"%d %d %b" % (record.offset, record.timestamp, record.value or b"")
    return Mark(record.offset, hashlib.blake2b(told, digest_size=8).digest())


def find_name(state: AccountState) -> str | None:
    """Return the company's name, as its newest firmographic fact has it."""
    newest: tuple[int, str] | None = None
    for entry in state.entries:
        if entry.kind == _FIRMOGRAPHIC and not entry.retracted and entry.data is not None:
            name = entry.data.get("name")
            if isinstance(name, str) and (newest is None or entry.time >= newest[0]):
                newest = entry.time, name
    return None if newest is None else newest[1]


def find_enrolled(account: str, state: RoutedState | None) -> Enrolled:
    """Return an account with the workflow that it is in, its owner there, and the team that assigned the owner."""
    running = None if state is None else state.enrollment
    if running is None:
        return account, None, None, None
    team = None if running.assignment is None else running.team
    return account, running.workflow, running.owner, team
