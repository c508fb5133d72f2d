"""What published messages say about touches: records of `touches`, workflow commands, and changes that held accounts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.outcomes.messages import (
    TOUCH_TYPE,
    VersionNumber,
    decode_touch,
    identify_holdout,
)
from resegment.schemas.outcomes.touch import Touch, TouchesForgotten, TouchKey, TouchVoid
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.schemas.times import parse_instant

ANSWERED: Final = ("reassign", "escalate")
"""The actions of later commands that may be answered as an enroll command is."""


class _Event(msgspec.Struct, frozen=True):
    type: str
    id: str
    data: msgspec.Raw


class _Route(msgspec.Struct, frozen=True):
    workflow: str
    team: str | None = None


class _Channels(msgspec.Struct, frozen=True):
    primary: str | None = None


class _Message(msgspec.Struct, frozen=True):
    channels: _Channels = _Channels()


class _Cause(msgspec.Struct, frozen=True):
    change: str
    effective_at: str


class _Command(msgspec.Struct, frozen=True):
    action: str
    account: str
    workflow: str
    segment: str
    idempotency_key: str
    cause: _Cause
    play: str | None = None
    owner: str | None = None
    team: str | None = None
    message: _Message | None = None
    channel: str | None = None
    touch: str | None = None
    touched_at: str | None = None
    definition_version: str | None = None
    version: VersionNumber | None = None
    experiment: str | None = None
    variant: str | None = None


class _ChangeCause(msgspec.Struct, frozen=True):
    definition: VersionNumber | None = None


class _Change(msgspec.Struct, frozen=True):
    account: str
    to: str | None
    effective_at: str
    decided_at: str | None = None
    supersedes: str | None = None
    holdout: bool = False
    play: str | None = None
    route: _Route | None = None
    message: _Message | None = None
    definition_version: str | None = None
    cause: _ChangeCause = _ChangeCause()
    experiment: str | None = None
    variant: str | None = None


_events: Final = msgspec.json.Decoder(_Event)
_commands: Final = msgspec.json.Decoder(_Command)
_changes: Final = msgspec.json.Decoder(_Change)


def read_published(value: bytes) -> Sequence[LedgerItem | TouchesForgotten] | None:
    """Return what a message says about touches; None for a message of another kind.

    Raises ValueError, which msgspec's errors are, for anything that is no message.
    """
    event = decode_value(_events, value)
    if event.type == TOUCH_TYPE:
        return [decode_touch(value)]
    if event.type == COMMAND_TYPE:
        return _read_command(decode_value(_commands, event.data))
    if event.type == CHANGE_TYPE:
        return _read_change(event.id, decode_value(_changes, event.data))
    return None


def _read_command(one: _Command) -> list[LedgerItem]:
    at = parse_instant(one.touched_at or one.cause.effective_at)
    if one.action == "enroll":
        return [
            Touch(
                touch=one.idempotency_key,
                at=at,
                change=one.cause.change,
                channel=one.channel or _channel_of(one.message),
                **_shared(one, ("account", "segment", "workflow", "play", "owner", "team", *_VERSIONED)),
            )
        ]
    if one.action in ANSWERED and one.touch is not None:
        return [TouchKey(account=one.account, at=at, key=one.idempotency_key, touch=one.touch)]
    return []


def _read_change(name: str, one: _Change) -> list[LedgerItem]:
    at = parse_instant(one.decided_at or one.effective_at)
    items: list[LedgerItem] = []
    if one.supersedes is not None:
        items.append(TouchVoid(account=one.account, at=at, change=one.supersedes))
    if one.holdout and one.route is not None and one.to is not None:
        items.append(
            Touch(
                touch=identify_holdout(name, one.route.workflow),
                account=one.account,
                at=at,
                segment=one.to,
                workflow=one.route.workflow,
                arm="holdout",
                play=one.play,
                team=one.route.team,
                channel=_channel_of(one.message),
                definition_version=one.definition_version,
                version=one.cause.definition,
                change=name,
                experiment=one.experiment,
                variant=one.variant,
            )
        )
    return items


_VERSIONED: Final = ("definition_version", "version", "experiment", "variant")


def _shared(one: _Command, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def _channel_of(message: _Message | None) -> str | None:
    return None if message is None else message.channels.primary
