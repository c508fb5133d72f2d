"""An account's state of routing from what was said of it: for a store that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from resegment.routing.course import target_of
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


def restore(change: ChangeEvent, said: Sequence[Said], policy: Policy, now: int) -> RoutedState:
    """The state after the latest change and the commands of its account, in their order; each once by key.

    What is told by no command is not known any more: an account that was not enrolled is quiet, until its next
    change or until somebody asks for it. A command that should have been accepted by `now` is not escalated.
    """
    state = RoutedState(target=target_of(change), decision="quiet", why="restored", since=now)
    if change.data.standing is not None:
        state.standing, state.standing_at = change.data.standing, parse_instant(change.data.effective_at)
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
        )
    elif said.action == "reassign" and state.enrolment is not None:
        state.enrolment = msgspec.structs.replace(
            state.enrolment, owner=said.owner, assignment=said.idempotency_key
        )
    elif said.action in ("stop", "finish", "pause"):
        state.left[said.workflow] = at
        if state.enrolment is not None and state.enrolment.workflow == said.workflow:
            state.enrolment = None
    if said.action in ("enroll", "reassign") and said.owner in policy.members(said.team):
        state.owners[said.team or ""] = said.owner or ""
