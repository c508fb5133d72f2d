"""An account's state of routing from what was said of it: for a store that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from resegment.routing.enrollment import target_of
from resegment.routing.policy import Policy
from resegment.schemas.routing import ChangeEvent, Enrolment, RoutedState
from resegment.schemas.times import parse_instant


class Said(msgspec.Struct, frozen=True):
    """What is read of a command that was published."""

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


class SaidEvent(msgspec.Struct, frozen=True):
    """The event of a command."""

    data: Said


def restore(
    change: ChangeEvent | None,
    said: Sequence[Said],
    policy: Policy,
    now: int,
    standing: tuple[str, ...] | None = None,
) -> RoutedState:
    """The state after the latest change and the commands of its account, in their order; each once by key.

    `change` is None where it is not kept any more, `standing` has the gates that hold now. What is told by no
    command is not known any more: an account that was not enrolled is quiet, until its next change or until
    somebody asks for it. A command that should have been accepted by `now` (ms) is not escalated.
    """
    # no decision before had a number like that: no key is used twice
    state = RoutedState(decision="quiet", why="restored", since=now, attempt=now)
    if change is not None:
        state.target = target_of(change)
        told = standing if standing is not None else change.data.standing
        if told is not None:
            state.standing, state.standing_at = told, state.target.effective_at
            state.standing_sequence = state.target.sequence
    seen: set[str] = set()
    for one in said:
        if one.idempotency_key not in seen:
            seen.add(one.idempotency_key)
            _apply(state, one, policy, now)
    if state.enrolment is not None:
        state.decision, state.why = "enrolled", state.enrolment.owner or ""
    state.deadline = None
    if state.enrolment is not None and state.enrolment.answer is None:
        state.deadline = state.enrolment.accept_by
    return state


def _apply(state: RoutedState, said: Said, policy: Policy, now: int) -> None:
    at = parse_instant(said.cause["effective_at"])
    team = policy.team(said.team)
    if said.action == "enroll":
        accept_by = None if said.accept_by is None else parse_instant(said.accept_by)
        state.enrolment = Enrolment(
            key=said.idempotency_key,
            workflow=said.workflow,
            segment=said.segment,
            sequence=int(said.cause["sequence_number"]),
            at=at,
            on_exit=policy.on_exit(said.segment),
            team=said.team,
            owner=said.owner,
            assignment=None if team is None else said.idempotency_key,
            qualification=said.qualification,
            play=said.play,
            accept_by=accept_by,
            answer="escalated" if accept_by is not None and accept_by <= now else None,
            keys=(said.idempotency_key,),
        )
    elif said.action == "reassign" and state.enrolment is not None:
        state.enrolment = msgspec.structs.replace(
            state.enrolment,
            owner=said.owner,
            assignment=said.idempotency_key,
            keys=(said.idempotency_key,),
        )
    elif said.action in ("stop", "finish", "pause"):
        state.left[said.workflow] = at
        if state.enrolment is not None and state.enrolment.workflow == said.workflow:
            state.enrolment = None
    if said.action in ("enroll", "reassign") and said.owner in policy.members(said.team):
        state.owners[said.team or ""] = said.owner or ""
