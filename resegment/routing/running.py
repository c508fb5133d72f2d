"""What happens to an account while it is in a workflow: an answer, a late acknowledgment, another owner, a merge."""

from __future__ import annotations

import msgspec

from resegment.routing.staffing.handover import LEFT
from resegment.routing.transition import MOST_COUNTED, Asking, Transition
from resegment.schemas.assignment import Assigned, Release
from resegment.schemas.outgoing import identify_command
from resegment.schemas.routing import (
    Displaced,
    Enrollment,
    Inherit,
    Reassign,
    RoutedOutcome,
    RoutedState,
    Touched,
)
from resegment.schemas.times import format_instant


def answer(transition: Transition, outcome: RoutedOutcome) -> Asking:
    """Apply an acknowledgment of a command, or a won or lost deal, which frees its owner."""
    state = transition.state
    enrollment = state.enrollment
    for prior in (one.prior.enrollment for one in state.displaced):
        if prior is not None and outcome.action == "rejected" and outcome.key in prior.keys:
            _forget_owner(state, prior)
    state.displaced = tuple(_answer_displaced(one, outcome) for one in state.displaced)
    if enrollment is None:
        return
    mine = outcome.key in enrollment.keys
    if outcome.action in ("won", "lost"):
        if mine or enrollment.at < outcome.at:  # an older deal belongs to an earlier enrollment
            yield from transition.give_back(enrollment)
            state.enrollment = _close(enrollment)
    elif mine and outcome.action == "accepted":
        state.enrollment = msgspec.structs.replace(enrollment, answer="accepted")
    elif mine:
        yield from transition.give_back(enrollment)
        state.left[enrollment.workflow] = transition.now
        state.enrollment = None
        _forget_owner(state, enrollment)
        if state.decision != "waiting":
            transition.decide("rejected", enrollment.owner or "")


def _close(enrollment: Enrollment) -> Enrollment:
    """Return the enrollment after a deal: no owner's room is taken, and nobody has to answer."""
    return msgspec.structs.replace(enrollment, assignment=None, answer=enrollment.answer or "accepted")


def _forget_owner(state: RoutedState, enrollment: Enrollment) -> None:
    """Have a sticky team not offer the account to this owner again."""
    state.owners.pop(enrollment.team or "", None)


def _answer_displaced(displaced: Displaced, outcome: RoutedOutcome) -> Displaced:
    """Apply an answer to an enrollment that a switch ended: a rollback may begin it again."""
    prior = displaced.prior
    enrollment = prior.enrollment
    if enrollment is None:
        return displaced
    mine = outcome.key in enrollment.keys
    if outcome.action in ("won", "lost"):
        if mine or enrollment.at < outcome.at:
            prior = msgspec.structs.replace(prior, enrollment=_close(enrollment))
    elif mine and outcome.action == "accepted":
        accepted = msgspec.structs.replace(enrollment, answer="accepted")
        prior = msgspec.structs.replace(prior, enrollment=accepted)
    elif mine:
        prior = msgspec.structs.replace(
            prior, enrollment=None, decision="rejected", why=enrollment.owner or ""
        )
    return msgspec.structs.replace(displaced, prior=prior)


def escalate(transition: Transition) -> None:
    """Escalate an enrollment that nobody accepted in time."""
    enrollment = transition.state.enrollment
    if enrollment is None or enrollment.accept_by is None or enrollment.answer is not None:
        return
    if enrollment.accept_by <= transition.now:
        qualification = transition.policy.qualification(enrollment.qualification)
        told = None if qualification is None else qualification.escalate_to
        transition.command(
            "escalate",
            enrollment,
            owner=told or enrollment.team,
            reason=f"not accepted by {format_instant(enrollment.accept_by)}; owner: {enrollment.owner}",
        )
        transition.state.enrollment = msgspec.structs.replace(enrollment, answer="escalated")


def reassign(transition: Transition, owner: str) -> Asking:
    """Give the account of an owner who left to another owner."""
    state, policy = transition.state, transition.policy
    enrollment = state.enrollment
    if enrollment is None or enrollment.owner != owner or enrollment.team is None or state.target is None:
        return
    state.attempt += 1
    key = identify_command(state.target.change, "reassign", enrollment.workflow, state.attempt)
    ask = policy.ask(key, transition.account.name, enrollment.team, state, transition.now)
    if ask is None:
        return
    yield from transition.give_back(enrollment)
    answered = yield ask
    assert isinstance(answered, Assigned)
    if not answered.is_queue:
        state.owners[enrollment.team] = answered.owner
    won = enrollment.assignment is None
    if won:
        yield Release(key=key)
    _hand_over(transition, enrollment, answered.owner, key, f"{owner}{LEFT}", won=won)


def hand_back(transition: Transition, event: Reassign) -> Asking:
    """Give the account back to an owner who has returned, if it is still where it went, and they have room."""
    state, policy = transition.state, transition.policy
    enrollment, to = state.enrollment, event.to
    if enrollment is None or enrollment.owner != event.owner or state.target is None or to is None:
        return
    state.attempt += 1
    key = identify_command(state.target.change, "reassign", enrollment.workflow, state.attempt)
    before = msgspec.structs.replace(enrollment, owner=to)
    ask = policy.ask_same(key, transition.account.name, before, state, transition.now)
    if ask is None:
        return
    only = tuple(one for one in ask.candidates if one.name == to)
    answered = yield msgspec.structs.replace(ask, candidates=only)
    assert isinstance(answered, Assigned)
    if answered.is_queue or answered.owner != to:
        yield Release(key=key)
        return
    yield from transition.give_back(enrollment)
    state.owners[ask.team] = to
    won = enrollment.assignment is None
    if won:
        yield Release(key=key)
    _hand_over(transition, enrollment, to, key, f"{to} is back", won=won)


def take_from_queue(transition: Transition, *, only_lists: bool = False) -> Asking:
    """Give the account to an owner if its team's queue has it and somebody may take it now.

    `only_lists` leaves it in the queue, for those who may take it by the version in force. An offer follows, and the
    longest in the queue comes first.
    """
    state, policy = transition.state, transition.policy
    enrollment = state.enrollment
    if enrollment is None or enrollment.assignment is None or state.target is None:
        return
    if enrollment.answer == "accepted":  # somebody works it
        yield from transition.give_back(enrollment)
        state.enrollment = msgspec.structs.replace(enrollment, assignment=None)
        return
    key = identify_command(state.target.change, "reassign", enrollment.workflow, state.attempt + 1)
    ask = policy.ask(
        key, transition.account.name, enrollment.team, state, transition.now, enrollment.assignment
    )
    if ask is not None and only_lists:
        ask = msgspec.structs.replace(ask, candidates=())
    answered = None if ask is None else (yield ask)
    if isinstance(answered, Assigned) and ask is not None and not answered.is_queue:
        state.attempt += 1
        state.owners[ask.team] = answered.owner
        _hand_over(transition, enrollment, answered.owner, key, f"taken from {enrollment.owner}")


def _hand_over(
    transition: Transition, enrollment: Enrollment, owner: str, key: str, reason: str, *, won: bool = False
) -> None:
    """Record another owner, who has to accept the account again unless its deal is closed."""
    due = transition.policy.accept_by(enrollment.qualification, enrollment.team, owner, transition.now)
    transition.state.enrollment = handed = msgspec.structs.replace(
        enrollment,
        owner=owner,
        assignment=None if won else key,
        accept_by=due,
        answer=enrollment.answer if won else None,
        keys=(key,),
    )
    transition.command("reassign", handed, key=key, reason=reason)
    if transition.state.decision != "waiting":
        transition.decide("enrolled", owner)


def inherit_of(alias: str, account: str, state: RoutedState, now: int) -> Inherit:
    """Return what an account leaves to the one that it is merged into. `state` is as it was before it ended.

    The workflow that it is in does not count as left: the account may continue in it.
    """
    running = state.enrollment
    return Inherit(
        account=account,
        at=now,
        alias=alias,
        workflow=None if running is None else running.workflow,
        left=dict(state.left),
        owners=dict(state.owners),
        touched=state.touched,
        enrolled=state.enrolled,
    )


def take_inherit(state: RoutedState, event: Inherit) -> None:
    """Let what another account has been through count for this one too. Done twice, it has the effect of once."""
    state.left = {
        name: max(state.left.get(name, 0), event.left.get(name, 0))
        for name in state.left.keys() | event.left.keys()
    }
    state.owners = {**event.owners, **state.owners}
    state.enrolled = tuple(sorted({*state.enrolled, *event.enrolled}))[-MOST_COUNTED:]
    mine, others = state.touched, event.touched
    state.touched = Touched(
        tuple(dict.fromkeys((*others.workflows, *mine.workflows))),
        tuple(dict.fromkeys((*others.plays, *mine.plays))),
    )
    if event.at <= state.inherited.get(event.alias, -1):
        return
    state.inherited = {**state.inherited, event.alias: event.at}
    running = state.enrollment
    if event.workflow is not None and (running is None or running.workflow != event.workflow):
        state.heir_of = event.workflow
