"""What a new version of the definition does to one account, and how a rollback undoes it.

The steps are generators, as those of `Transition` are.
"""

from __future__ import annotations

from typing import Final

import msgspec

from resegment.routing.change import RoutedChange
from resegment.routing.decisions import AFTER_LOST, NOT_ROUTED
from resegment.routing.policy import Policy
from resegment.routing.transition import Asking, Transition
from resegment.schemas.assignment import Assigned, Release
from resegment.schemas.change import EnrollmentRoute
from resegment.schemas.outgoing import identify_command
from resegment.schemas.routing import Displaced, Enrollment, PriorState, RoutedState, Switch, Target, Touched

KEPT: Final = frozenset({NOT_ROUTED, "rejected", "never-again"})
"""Decisions that remain where the account goes back to where it was."""

UNDECIDED: Final = frozenset({"none", "suppressed", "cooldown", "capped", "waiting", "held"})
"""Decisions that are made again where the account goes back to where it was, because they depend on what holds now."""

MOST_REMEMBERED: Final = 8
"""Versions whose effect on one account is remembered."""


def snapshot(state: RoutedState, at: int) -> PriorState:
    """Return what is to be known of the account before a change at an instant (ms)."""
    target = state.target
    return PriorState(
        at,
        state.enrollment,
        dict(state.left),
        state.decision,
        state.why,
        is_first=target is not None and target.is_first,
        definition=None if target is None else target.definition,
        kept_out=None if target is None else target.kept_out,
        admitted=state.admitted,
        forced=state.forced,
        touched=state.touched,
        displaced=state.displaced,
        segment="" if target is None else target.segment,
    )


def displace(
    prior: PriorState, switch: Switch, segment: str
) -> tuple[tuple[Displaced, ...], PriorState | None]:
    """Return what to remember after a switch, and what the account goes back to if the switch is a rollback.

    `prior` is the account before the switch, `segment` its segment after it. A rollback takes back a version and all
    that came after it. An account that it brings to another segment than it had would have moved in the meantime.
    """
    kept, back = prior.displaced, None
    if switch.rollback_of is not None:
        undone = [one.prior for one in kept if switch.rollback_of <= one.by < switch.number]
        back = undone[0] if undone and undone[0].segment == segment else None
    if all(one.by != switch.number for one in kept):
        kept = (*kept, Displaced(switch.number, _shorten(prior)))
    return kept[-MOST_REMEMBERED:], back


def _shorten(prior: PriorState) -> PriorState:
    """Return the prior state without what a rollback does not need."""
    workflow = "" if prior.enrollment is None else prior.enrollment.workflow
    left = {workflow: prior.left[workflow]} if workflow in prior.left else {}
    return msgspec.structs.replace(prior, left=left, touched=None, displaced=())


def find_kept_out(switch: Switch, target: Target, prior: PriorState) -> EnrollmentRoute | None:
    """Return the route of a switch if it keeps the account out of the target's workflow; None if it enrolls it."""
    if switch.route != "new-only":
        return None if switch.route == "all" else switch.route
    touched, enrollment = prior.touched or Touched(), prior.enrollment
    workflows, plays = {*touched.workflows, *prior.left}, {*touched.plays}
    if enrollment is not None:
        workflows.add(enrollment.workflow)
        plays.add(enrollment.play or "")
    workflow = None if target.route is None else target.route.workflow
    return "new-only" if workflow in workflows or (target.play and target.play in plays) else None


def rename(state: RoutedState, target: Target) -> None:
    """Take the account over into a segment of another name: what runs runs on, and what was decided stays decided."""
    old = state.target
    if old is not None:
        target = msgspec.structs.replace(
            target,
            is_first=old.is_first,
            definition=old.definition,
            kept_out=old.kept_out,
            holdout=old.holdout,
            experiment=old.experiment,
            variant=old.variant,
        )
        if state.requested == old.change:
            state.requested = target.change
    state.target = target
    if state.enrollment is not None and state.decision != "waiting":
        state.enrollment = msgspec.structs.replace(state.enrollment, segment=target.segment)


def keeps(transition: Transition, decision: str) -> bool:
    """Return whether the decision remains on an account that has not moved, as it turns out."""
    if decision == NOT_ROUTED:  # a suppression comes first
        return transition.policy.suppressed_by(transition.account.name, transition.state) is None
    return decision in KEPT


def follow_switch(
    transition: Transition,
    switch: Switch,
    prior: PriorState,
    back: PriorState | None,
    stays: Enrollment | None,
) -> Asking:
    """Decide on a change that a switch made, after the account left its workflow.

    `prior` is the account before the change, `back` what it goes back to if the switch is a rollback, and `stays` a
    running enrollment in the workflow of the new segment. Such an enrollment continues without a command, unless the
    switch enrolls all.
    """
    was = prior.enrollment
    was_in = was is not None and was.workflow == transition.workflow
    if back is not None:
        yield from transition.end_running()
        yield from put_back(transition, back, stays)
    elif was is None or not was_in or switch.route == "all":
        yield from transition.enter(stays=stays, was_in=was_in)
    elif stays is not None:
        yield from _keep(transition, stays)
    else:
        yield from _resume(transition, was, prior)


def judge_gates(transition: Transition, switch: Switch, prior: PriorState) -> Asking:
    """Stop the account if the switch suppresses it. If the switch ends its suppression, decide as its route says.

    `prior` is the account before the switch.
    """
    state, policy = transition.state, transition.policy
    if state.target is None:
        return
    suppressed = policy.suppressed_by(transition.account.name, state) is not None
    back: PriorState | None = None
    if suppressed != (state.decision == "suppressed") or switch.rollback_of is not None:
        known = any(one.by == switch.number for one in prior.displaced)
        state.displaced, back = displace(prior, switch, state.target.segment)
        back = None if known else back
    if suppressed:
        yield from transition.review()
        if back is not None and back.enrollment is None:
            yield from put_back(transition, back, None)
        elif back is not None:
            _restore_terms(state, back)
    elif back is not None and state.enrollment is None:
        state.attempt += 1
        yield from put_back(transition, back, None)
    elif state.decision == "suppressed":
        state.attempt += 1
        kept_out = find_kept_out(switch, state.target, prior)
        state.target = msgspec.structs.replace(state.target, definition=switch.number, kept_out=kept_out)
        yield from transition.enter()
    elif switch.route == "all" and state.decision == "cooldown" and state.why.endswith(AFTER_LOST):
        yield from transition.review()


def meet_gates(name: str, state: RoutedState, change: RoutedChange, policy: Policy) -> None:
    """Let a change meet gates that a later switch has set already: the account was suppressed by it, or released.

    Changes and gates come in different topics, so the switch may be known first. It counts as if it came after.
    """
    switch, target = state.gates_by, state.target
    if switch is None or target is None or change.active_gates is None:
        return
    if target.effective_at >= state.gates_at or (target.definition or 0) >= switch.number:
        return
    now = policy.suppressed_by(name, state)
    then = policy.suppressed_by(name, msgspec.structs.replace(state, active_gates=change.active_gates))
    if (now is None) == (then is None):
        return
    prior = PriorState(
        state.gates_at,
        None,
        {},
        "suppressed",
        is_first=target.is_first,
        definition=target.definition,
        kept_out=target.kept_out,
        displaced=state.displaced,
        segment=target.segment,
    )
    state.displaced, _ = displace(prior, switch, target.segment)
    if now is None:
        kept_out = find_kept_out(switch, target, snapshot(state, state.gates_at))
        state.target = msgspec.structs.replace(target, definition=switch.number, kept_out=kept_out)


def put_back(transition: Transition, prior: PriorState, stays: Enrollment | None) -> Asking:
    """Decide as if the account had never left the state that it had before."""
    state = transition.state
    _restore_terms(state, prior)
    was = prior.enrollment
    if was is None:
        if stays is not None or prior.decision in UNDECIDED:
            yield from transition.enter(stays=stays)
        else:
            transition.decide(prior.decision, prior.why)
            yield from transition.review()
    elif stays is None:
        yield from _resume(transition, was, prior)
    elif stays.key == was.key:
        state.enrollment = msgspec.structs.replace(stays, segment=was.segment)
        transition.decide("enrolled", stays.owner or "")
        yield from transition.review()  # it may be suppressed by now
    elif stays.workflow != was.workflow:
        yield from transition.end(stays)
        yield from _resume(transition, was, prior)
    elif transition.workflow == was.workflow:
        yield from transition.enter(stays=stays)
    else:
        state.enrollment = stays
        yield from transition.review()  # it may be suppressed by now
        if state.enrollment is not None:
            state.enrollment = None
            yield from transition.give_back(stays)
            yield from _resume(transition, was, prior)
    if was is not None and prior.decision == "waiting" and state.enrollment is not None:
        yield from transition.enter()  # it waited for another workflow


def runs_on(running: Enrollment | None, prior: PriorState | None) -> bool:
    """Return whether an account goes back to a workflow that it is in, whatever its segment's workflow is now."""
    was = None if prior is None else prior.enrollment
    return running is not None and was is not None and running.workflow == was.workflow


def _restore_terms(state: RoutedState, prior: PriorState) -> None:
    """Let the account be enrolled on the same terms as before."""
    assert state.target is not None
    state.target = msgspec.structs.replace(
        state.target, is_first=prior.is_first, definition=prior.definition, kept_out=prior.kept_out
    )
    state.admitted, state.forced = prior.admitted, prior.forced


def _keep(transition: Transition, stays: Enrollment) -> Asking:
    """Let an enrollment continue as it is, without a command, unless something forbids it."""
    state, target = transition.state, transition.state.target
    assert target is not None
    if transition.refusal(target, is_in=True) is not None:
        yield from transition.enter(stays=stays)
        return
    state.enrollment = stays
    transition.decide("enrolled", stays.owner or "")


def _resume(transition: Transition, was: Enrollment, prior: PriorState) -> Asking:
    """Enroll the account again in the workflow that a switch took it out of, with the same owner if there is room.

    It does not count as new for the day. Only a suppression prevents it.
    """
    state, policy, now = transition.state, transition.policy, transition.now
    target, name = state.target, transition.account.name
    assert target is not None
    key = identify_command(target.change, "enroll", was.workflow, state.attempt)
    suppression = policy.suppressed_by(name, state)
    if suppression is not None:
        if was.assignment is not None:
            yield Release(key=key)  # an attempt that was not committed may have asked
        state.attempt += 1
        if state.left.get(was.workflow) == prior.left.get(was.workflow):
            state.left[was.workflow] = now
        transition.decide("suppressed", suppression)
        return
    state.left.pop(was.workflow, None)
    if was.workflow in prior.left:
        state.left[was.workflow] = prior.left[was.workflow]
    owner, assignment = was.owner, None
    ask = None if was.assignment is None else policy.ask_same(key, name, was, state, now)
    if ask is not None:
        answer = yield ask
        assert isinstance(answer, Assigned)
        owner, assignment = answer.owner, key
        if not answer.is_queue:
            state.owners[ask.team] = owner
    answered = was.answer if owner == was.owner else None
    due = policy.accept_by(was.qualification, was.team, owner, now)
    state.enrollment = msgspec.structs.replace(
        was,
        key=key,
        segment=target.segment,
        sequence=target.sequence,
        owner=owner,
        assignment=assignment,
        play=target.play,
        accept_by=was.accept_by if answered is not None else due,
        answer=answered,
        keys=(*was.keys[-4:], key),
    )
    transition.command("enroll", state.enrollment, key=key)
    transition.decide("enrolled", owner or "")
