"""What the router keeps of an account (MessagePack arrays: append fields, never reorder), and what it is told."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from resegment.schemas.segments import OnExit
from resegment.schemas.times import parse_duration, parse_instant

RoutingDecision = Literal[
    "none",
    "no-route",
    "suppressed",
    "holdout",
    "quiet",
    "never-again",
    "cooldown",
    "waiting",
    "enrolled",
    "rejected",
]
"""What the router decided on an account: `none` before its first change."""

Mode = Literal["all", "changed", "none"]
"""Which changes are routed: all; those from one segment to another; none."""


class Enrollment(msgspec.Struct, array_like=True, frozen=True):
    """A workflow that an account is in. `key` is the command's; times in ms.

    `assignment` is the key under which an owner has room taken, None where none has. `accept_by` is when it must
    have been acknowledged, `keys` are those of the commands that may be, `answer` is what became of that.
    """

    key: str
    workflow: str
    segment: str
    sequence: int
    at: int
    on_exit: OnExit
    team: str | None = None
    owner: str | None = None
    assignment: str | None = None
    qualification: str | None = None
    play: str | None = None
    accept_by: int | None = None
    answer: Literal["accepted", "escalated"] | None = None
    keys: tuple[str, ...] = ()


_NOTHING: Final = msgspec.Raw(b"null")


class RouteSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The route of a segment, as a change carries it."""

    workflow: str
    team: str | None = None
    qualification: str | None = None
    on_exit: OnExit = "stop"
    reentry: Literal["always", "never"] = "always"
    cooldown: str | None = None


class _ChangeData(msgspec.Struct, frozen=True, rename={"from_": "from", "active_gates": "standing"}):
    """What the router reads of the data of a segment change; what was added later has defaults."""

    account: str
    sequence_number: int
    from_: str | None
    to: str
    effective_at: str
    play: str | None
    route: RouteSnapshot | None
    decided_at: str | None = None
    supersedes: str | None = None
    from_route: RouteSnapshot | None = None
    message: msgspec.Raw = _NOTHING
    holdout: bool = False
    active_gates: tuple[str, ...] | None = None
    values: dict[str, Any] = {}


class _ChangeEvent(msgspec.Struct, frozen=True):
    """The event of a segment change."""

    id: str
    data: _ChangeData


class RoutedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A segment change as the router reads it; instants in ms.

    `active_gates` is None in changes that were written before they carried the gates.
    """

    account: str
    target: Target
    decided_at: int
    from_: str | None
    from_route: RouteSnapshot | None
    supersedes: str | None
    active_gates: tuple[str, ...] | None


class Target(msgspec.Struct, array_like=True, frozen=True):
    """The latest change of an account: where it is to go. `message` is the play as JSON, while it may be needed."""

    change: str
    sequence: int
    effective_at: int
    segment: str
    is_first: bool
    route: RouteSnapshot | None
    play: str | None
    holdout: bool
    values: dict[str, Any] = {}
    message: bytes | None = None


class PriorState(msgspec.Struct, array_like=True, frozen=True):
    """How an account stood before the instant `at` of its latest change, for a change that makes that one void."""

    at: int
    enrollment: Enrollment | None
    left: dict[str, int]
    decision: RoutingDecision = "none"
    why: str = ""


class RoutedState(msgspec.Struct, array_like=True):
    """All that decides what an account's next commands are.

    `left` is when it left each workflow, `owners` who had it last by team. `attempt` counts the decisions on
    the latest change beyond the first. `assignment` is the key under which it waits for its team. `admitted` says
    that the mode let the latest change pass once, `forced` that somebody asked for it whatever the mode.
    """

    target: Target | None = None
    enrollment: Enrollment | None = None
    decision: RoutingDecision = "none"
    why: str = ""
    since: int = 0
    attempt: int = 0
    active_gates: tuple[str, ...] = ()
    gates_at: int = -1
    left: dict[str, int] = {}
    owners: dict[str, str] = {}
    before: PriorState | None = None
    assignment: str | None = None
    deadline: int | None = None
    gates_sequence: int = 0
    admitted: bool = False
    forced: bool = False


_state_encoder: Final = msgspec.msgpack.Encoder()
_state_decoder: Final = msgspec.msgpack.Decoder(RoutedState)


def encode_routed(state: RoutedState) -> bytes:
    """The bytes kept in Redis."""
    return _state_encoder.encode(state)


def decode_routed(value: bytes) -> RoutedState:
    """Raises msgspec.DecodeError for bytes that are no state."""
    return _state_decoder.decode(value)


# What the router is told beside segment changes: the topic `routing-events`, keyed by account


class GatesChanged(
    msgspec.Struct, frozen=True, kw_only=True, tag="standing", rename={"active_gates": "standing"}
):
    """Other suppressions or territories hold, and the segment is the same; ms.

    `sequence` is the number of the account's latest change before that.
    """

    account: str
    at: int
    active_gates: tuple[str, ...]
    sequence: int = 0


class RoutedOutcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """An outcome that concerns an enrollment, and when (ms) it happened; `key` is the command that it answers."""

    account: str
    at: int
    action: Literal["accepted", "rejected", "won", "lost"]
    key: str | None = None


class Review(msgspec.Struct, frozen=True, kw_only=True, tag="review"):
    """The account is to be decided again: a list has changed; or, `forced`, though its change was quiet."""

    account: str
    at: int
    forced: bool = False


class Reassign(msgspec.Struct, frozen=True, kw_only=True, tag="reassign"):
    """The account is to go to another owner, if it is still this one's."""

    account: str
    at: int
    owner: str


RoutingEvent = GatesChanged | RoutedOutcome | Review | Reassign

ROUTED_OUTCOMES: Final = frozenset({"accepted", "rejected", "won", "lost"})

_change_decoder: Final = msgspec.json.Decoder(_ChangeEvent)


def decode_change(value: bytes) -> RoutedChange:
    """Decode a segment change. Raises ValueError (msgspec's errors are such) for anything else."""
    event = _change_decoder.decode(value)
    data = event.data
    decided_at = parse_instant(data.decided_at or data.effective_at)
    target = Target(
        change=event.id,
        sequence=data.sequence_number,
        effective_at=parse_instant(data.effective_at),
        segment=data.to,
        is_first=data.from_ is None,
        route=data.route,
        play=data.play,
        holdout=data.holdout,
        values=data.values,
        message=None if data.message == b"null" else bytes(data.message),
    )
    if data.route is not None and data.route.cooldown is not None:
        parse_duration(data.route.cooldown)  # the state keeps the text, so refuse a bad one here
    return RoutedChange(
        account=data.account,
        target=target,
        decided_at=decided_at,
        from_=data.from_,
        from_route=data.from_route,
        supersedes=data.supersedes,
        active_gates=data.active_gates,
    )


_event_decoder: Final[msgspec.json.Decoder[RoutingEvent]] = msgspec.json.Decoder(RoutingEvent)


def encode_routing_event(event: RoutingEvent) -> bytes:
    """The bytes on the topic `routing-events`."""
    return msgspec.json.encode(event)


def decode_routing_event(value: bytes) -> RoutingEvent:
    """Raises msgspec.DecodeError."""
    return _event_decoder.decode(value)
