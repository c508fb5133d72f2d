"""A segment change as the router reads it from the topic."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from resegment.routing.commands import shorten_reason
from resegment.schemas.change import EnrollmentRoute, Restrictions
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.routing import RouteSnapshot, Switch, Target
from resegment.schemas.times import parse_duration, parse_instant

_NOTHING: Final = msgspec.Raw(b"null")


class _ChangeCause(msgspec.Struct, frozen=True):
    """What the router reads of the cause of a change."""

    definition: int | None = None
    merged: str | None = None
    unmerged: str | None = None
    forgotten: str | None = None


class _ChangeData(msgspec.Struct, frozen=True, rename={"from_": "from", "active_gates": "standing"}):
    """The fields that the router reads from a segment change; fields that were added later have defaults."""

    account: str
    sequence_number: int
    from_: str | None
    to: str | None
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
    do_not_contact: tuple[str, ...] = ()
    lost_until: str | None = None
    parent: str | None = None
    definition_version: str = ""
    cause: _ChangeCause = _ChangeCause()
    apply_route: EnrollmentRoute | None = None
    moved: bool = False
    rollback_of: int | None = None
    absent: tuple[str, ...] = ()
    reason: msgspec.Raw = _NOTHING
    stays_until: str | None = None
    experiment: str | None = None
    variant: str | None = None
    forgotten: bool = False


class _ChangeEvent(msgspec.Struct, frozen=True):
    """The event of a segment change."""

    id: str
    data: _ChangeData


class RoutedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A segment change as the router reads it; instants in ms.

    `active_gates` is None in changes from before changes carried the gates. `switch` is set if a new version of the
    definition made the change, and `moved` if only the segment's name changed. `heir` is the account that this one was
    merged into: it ends. One that is `forgotten` ends too, and nothing is remembered of it.
    """

    account: str
    target: Target
    decided_at: int
    from_: str | None
    from_route: RouteSnapshot | None
    supersedes: str | None
    active_gates: tuple[str, ...] | None
    restrictions: Restrictions = Restrictions()
    switch: Switch | None = None
    moved: bool = False
    heir: str | None = None
    forgotten: bool = False


_change_decoder: Final = msgspec.json.Decoder(_ChangeEvent)


def decode_change(value: bytes) -> RoutedChange:
    """Decode a segment change. Raises ValueError (which msgspec's errors are) for anything else."""
    event = decode_value(_change_decoder, value)
    data = event.data
    cause = data.cause
    if data.to is None and cause.merged is None and cause.unmerged is None and cause.forgotten is None:
        raise ValueError("an account ends only where it is merged into another one, or forgotten")
    decided_at = parse_instant(data.decided_at or data.effective_at)
    target = Target(
        change=event.id,
        sequence=data.sequence_number,
        effective_at=parse_instant(data.effective_at),
        segment=data.to or "",
        is_first=data.from_ is None,
        route=data.route,
        play=data.play,
        holdout=data.holdout,
        values=data.values,
        message=None if data.message == b"null" else bytes(data.message),
        version=data.definition_version,
        definition=data.cause.definition,
        absent=data.absent,
        evidence=None if data.route is None else shorten_reason(data.reason),
        stays_until=None if data.stays_until is None else parse_instant(data.stays_until),
        experiment=data.experiment,
        variant=data.variant,
    )
    number = data.cause.definition
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
        restrictions=Restrictions(
            data.do_not_contact,
            0 if data.lost_until is None else parse_instant(data.lost_until),
            data.parent,
            data.forgotten,
        ),
        switch=None if number is None else Switch(number, data.apply_route or "none", data.rollback_of),
        moved=data.moved,
        heir=cause.merged if data.to is None else None,
        forgotten=data.to is None and cause.forgotten == "account",
    )
