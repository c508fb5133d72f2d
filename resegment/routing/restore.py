"""Rebuild an account's state of routing from published changes and commands, after the store was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from resegment.routing.account import touch
from resegment.routing.change import RoutedChange
from resegment.routing.decisions import NOT_ROUTED
from resegment.routing.policy import Policies, Policy
from resegment.routing.switching import displace
from resegment.routing.transition import MOST_COUNTED
from resegment.schemas.change import Restrictions
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.routing import Enrollment, PriorState, RoutedState
from resegment.schemas.times import parse_instant


class PublishedCommand(msgspec.Struct, frozen=True):
    """What a restore reads of a published command."""

    action: str
    account: str
    workflow: str
    segment: str
    idempotency_key: str
    cause: dict[str, Any]
    owner: str | None = None
    team: str | None = None
    qualification: str | None = None
    play: str | None = None
    accept_by: str | None = None


class PublishedCommandEvent(msgspec.Struct, frozen=True):
    """The event of a published command."""

    data: PublishedCommand


_decoder: Final = msgspec.json.Decoder(PublishedCommandEvent)


def decode_published_command(value: bytes) -> PublishedCommand:
    """Decode a workflow command. Raises ValueError for anything else, also if a cause or an instant is not one."""
    command = decode_value(_decoder, value).data
    number = command.cause.get("sequence_number")
    if type(number) is not int:
        raise ValueError("the cause of a command has the sequence number of its change")
    effective_at = command.cause.get("effective_at")
    if not isinstance(effective_at, str):
        raise ValueError("the cause of a command has the instant of its change")  # noqa: TRY004  # as for all others
    parse_instant(effective_at)
    if command.accept_by is not None:
        parse_instant(command.accept_by)
    return command


@dataclass(slots=True)
class Trail:
    """What a restore keeps of an account's changes, taken in their order.

    `switched` are those that switches to new versions made since the account last moved by itself. `versions` has the
    fingerprint of the version that decided each change, by its number.
    """

    latest: RoutedChange | None = None
    switched: list[RoutedChange] = field(default_factory=list)
    versions: dict[int, str] = field(default_factory=dict)

    def take(self, change: RoutedChange) -> None:
        """Take a change. One that is not newer than the latest is a repetition."""
        target = change.target
        if self.latest is not None and target.sequence <= self.latest.target.sequence:
            return
        if change.switch is None:
            self.switched.clear()
        else:
            self.switched.append(change)
        if target.version:
            self.versions[target.sequence] = target.version
        self.latest = change


def restore(
    trail: Trail,
    commands: Sequence[PublishedCommand],
    policies: Policies,
    current: Policy,
    now: int,
    active_gates: tuple[str, ...] | None = None,
    restrictions: Restrictions | None = None,
) -> RoutedState:
    """Return the state after an account's latest change and its commands, in their order; repeated keys count once.

    The trail is empty if Kafka no longer has the changes. `active_gates` are the gates and `restrictions` the
    restrictions that hold now. What no command says is lost: an account that was not enrolled stays not routed until its next
    change, or until somebody asks for it. A command whose acknowledgment was due by `now` (ms) is not escalated.
    """
    # Earlier decisions counted attempts from 0, so `now` makes keys that were never used.
    state = RoutedState(decision=NOT_ROUTED, why="restored", since=now, attempt=now)
    change = trail.latest
    if change is not None:
        told = active_gates if active_gates is not None else change.active_gates
        if told is not None:
            state.active_gates, state.gates_at = told, change.target.effective_at
            state.gates_sequence = change.target.sequence
        now_restricted = restrictions or change.restrictions
        state.do_not_contact = now_restricted.do_not_contact
        state.lost_until = now_restricted.lost_until
    switched = list(trail.switched)
    seen: set[str] = set()
    for one in commands:
        if one.idempotency_key in seen:
            continue
        seen.add(one.idempotency_key)
        number = int(one.cause["sequence_number"])
        while switched and switched[0].target.sequence <= number:
            _switch(state, switched.pop(0))
        version = trail.versions.get(number, "")
        _apply(state, one, policies.of(version) if version else current, current, now)
    for left in switched:
        _switch(state, left)
    if change is not None:
        state.target = change.target
        if change.switch is not None and state.enrollment is None and change.switch.route != "all":
            state.target = msgspec.structs.replace(change.target, kept_out=change.switch.route)
    if state.enrollment is not None:
        state.decision, state.why = "enrolled", state.enrollment.owner or ""
    state.deadline = None
    if state.enrollment is not None and state.enrollment.answer is None:
        state.deadline = state.enrollment.accept_by
    if _waited(state, current):
        state.decision, state.why, state.deadline, state.admitted = "waiting", "restored", now, True
    return state


def _waited(state: RoutedState, current: Policy) -> bool:
    """Return whether the account waited for another workflow: it has moved on, and has not left the one before."""
    target, running = state.target, state.enrollment
    if target is None or target.route is None or running is None or target.definition is not None:
        return False
    moved_on = running.segment != target.segment and running.workflow != target.route.workflow
    return moved_on and current.limits_per_day(target.route.team)


def _switch(state: RoutedState, change: RoutedChange) -> None:
    """Remember what a switch found, as the router does when the change comes."""
    switch, enrollment = change.switch, state.enrollment
    if switch is None:
        return
    prior = PriorState(
        change.target.effective_at,
        enrollment,
        dict(state.left),
        state.decision if enrollment is None else "enrolled",
        state.why if enrollment is None else enrollment.owner or "",
        displaced=state.displaced,
        segment=change.from_ or "",
    )
    state.displaced, _ = displace(prior, switch, change.target.segment)
    if change.moved and enrollment is not None:
        state.enrollment = msgspec.structs.replace(enrollment, segment=change.target.segment)


def _apply(state: RoutedState, command: PublishedCommand, policy: Policy, current: Policy, now: int) -> None:
    """Apply a command. `policy` is that of the version which decided its change."""
    at = parse_instant(command.cause["effective_at"])
    team = current.team(command.team)
    if command.action == "enroll":
        touch(state, command.workflow, command.play)
        if state.enrollment is None or state.enrollment.workflow != command.workflow:
            state.enrolled = (*state.enrolled, at)[-MOST_COUNTED:]
        accept_by = None if command.accept_by is None else parse_instant(command.accept_by)
        state.enrollment = Enrollment(
            key=command.idempotency_key,
            workflow=command.workflow,
            segment=command.segment,
            sequence=int(command.cause["sequence_number"]),
            at=at,
            on_exit=policy.on_exit(command.segment),
            team=command.team,
            owner=command.owner,
            assignment=None if team is None else command.idempotency_key,
            qualification=command.qualification,
            play=command.play,
            accept_by=accept_by,
            answer="escalated" if accept_by is not None and accept_by <= now else None,
            keys=(command.idempotency_key,),
        )
    elif command.action == "reassign" and state.enrollment is not None:
        state.enrollment = msgspec.structs.replace(
            state.enrollment,
            owner=command.owner,
            assignment=command.idempotency_key,
            keys=(command.idempotency_key,),
        )
    elif command.action in ("stop", "finish", "pause"):
        state.left[command.workflow] = at
        if state.enrollment is not None and state.enrollment.workflow == command.workflow:
            state.enrollment = None
    if command.action in ("enroll", "reassign") and command.owner in current.members(command.team):
        state.owners[command.team or ""] = command.owner or ""
