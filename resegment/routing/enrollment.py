"""Lead accounts through workflows: `(state, event, now) -> commands`, asking for owners on the way."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from resegment.routing.account import RoutedAccount
from resegment.routing.decisions import NOT_ROUTED
from resegment.routing.family import apply_news, apply_report, own_gates
from resegment.routing.policy import Policy
from resegment.routing.transition import Made, Transition
from resegment.schemas.assignment import OwnerReply, OwnerRequest
from resegment.schemas.routed_change import RoutedChange
from resegment.schemas.routing import (
    AccountEvent,
    ChildReport,
    Enrollment,
    FamilyNews,
    GatesChanged,
    PriorState,
    Reassign,
    Review,
    RoutedOutcome,
    RoutedState,
    RouteSnapshot,
    decode_routed,
    encode_routed,
)
from resegment.schemas.times import NEVER

Steps = Generator[OwnerRequest, OwnerReply, list[Made]]
"""Yields questions for the store of owners, receives their answers, returns commands and events in their order."""

_KEPT: Final = frozenset({NOT_ROUTED, "rejected", "never-again"})
"""Decisions that remain after a change that was superseded back to where it came from."""


class EnrollmentMachine:
    """Applies events to accounts by one policy."""

    def __init__(self, policy: Policy, *, live: bool = True) -> None:
        """Set the policy and the clock.

        `live` is the wall clock: what is overdue happens now. On the clock of facts everything happens at its own
        instant.
        """
        self.policy, self.live = policy, live

    def load(self, name: str, value: bytes | None) -> RoutedAccount:
        """Decode an account's stored value; without one, return a new account. Raises msgspec.DecodeError."""
        return RoutedAccount(name, RoutedState() if value is None else decode_routed(value))

    def encode(self, account: RoutedAccount) -> bytes:
        """Return the bytes to store."""
        account.state.deadline = None if account.deadline == NEVER else account.deadline
        account.kept_deadline = account.state.deadline
        return encode_routed(account.state)

    def handle_change(self, account: RoutedAccount, change: RoutedChange, now: int) -> Steps:
        """Apply a segment change.

        A change that is not newer than the latest one does nothing. A change that supersedes one of the same
        instant undoes what that one began.
        """
        passed = yield from self.advance(account, now)
        state, target = account.state, change.target
        if state.target is not None and target.sequence <= state.target.sequence:
            return passed
        if state.target is None and state.enrollment is None and change.from_route is not None:
            state.enrollment = _enrollment_before(change, change.from_route)
        state.target, state.attempt = target, 0
        state.admitted = state.forced = False
        transition = Transition(account, self.policy, now)
        if change.active_gates is not None:
            transition.set_gates(
                change.active_gates, change.restrictions, target.effective_at, target.sequence
            )
        before = state.before
        if change.supersedes is not None and before is not None and before.at == target.effective_at:
            stays = yield from transition.cancel(before)
            if change.from_ == target.segment and before.enrollment is None and before.decision in _KEPT:
                transition.decide(before.decision, before.why)
                yield from _fulfill_request(transition)
                return [*passed, *transition.done()]
        else:
            before = state.before = PriorState(
                target.effective_at, state.enrollment, dict(state.left), state.decision, state.why
            )
            stays = yield from transition.leave()
        was_in = before.enrollment is not None and before.enrollment.workflow == transition.workflow
        yield from transition.enter(stays=stays, was_in=was_in)
        yield from _fulfill_request(transition)
        return [*passed, *transition.done()]

    def handle_event(self, account: RoutedAccount, event: AccountEvent, now: int) -> Steps:
        """Apply an event of `routing-events`. Applied twice, it has the effect of once."""
        passed = yield from self.advance(account, now)
        transition = Transition(account, self.policy, now)
        match event:
            case GatesChanged():
                if transition.set_gates(event.active_gates, event.restrictions, event.at, event.sequence):
                    yield from transition.review()
            case Review():
                if event.change is None:
                    yield from transition.review(forced=event.forced)
                else:
                    account.state.requested = event.change
                    yield from _fulfill_request(transition)
            case RoutedOutcome():
                yield from transition.answer(event)
            case ChildReport():
                own = own_gates(account.state, self.policy.family)
                transition.events += apply_report(account.name, account.state, event, own, now)
                yield from transition.review()
            case FamilyNews():
                if apply_news(account.state, event):
                    yield from transition.review()
            case Reassign():
                yield from transition.reassign(event.owner)
        return [*passed, *transition.done()]

    def advance(self, account: RoutedAccount, now: int) -> Steps:
        """Apply deadlines up to `now`: a late acknowledgment, a cooldown or wait that ended.

        On the clock of facts each deadline applies at its own instant, so the result does not depend on when it is
        noticed. An account that waits for a team asks once, now, and not once for every time it might have asked.
        """
        commands: list[Made] = []
        while account.deadline <= now:
            at = now if self.live or account.state.decision == "waiting" else account.deadline
            transition = Transition(account, self.policy, at)
            transition.escalate()
            if transition.is_over:
                yield from transition.enter()
            commands += transition.done()
        return commands


def _fulfill_request(transition: Transition) -> Generator[OwnerRequest, OwnerReply, None]:
    """Route the latest change although the mode left it out, if it is the one that somebody asked for."""
    state = transition.state
    if state.target is not None and state.target.change == state.requested:
        yield from transition.review(forced=True)


def _enrollment_before(change: RoutedChange, route: RouteSnapshot) -> Enrollment:
    """Return the enrollment that a change implies for an account without state: it has to leave that workflow too."""
    return Enrollment(
        key="",
        workflow=route.workflow,
        segment=change.from_ or "",
        sequence=0,
        at=0,
        on_exit=route.on_exit,
        team=route.team,
        owner=route.team,
        qualification=route.qualification,
    )
