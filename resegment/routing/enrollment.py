"""Lead accounts through workflows: `(state, event, now) -> commands`, asking for owners on the way."""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from resegment.routing.account import RoutedAccount
from resegment.routing.change import RoutedChange
from resegment.routing.decisions import DEFERRED
from resegment.routing.family import apply_news, apply_report, own_gates, tell_relatives
from resegment.routing.forgetting import forget, forget_account
from resegment.routing.policy import Policies, Policy
from resegment.routing.running import (
    answer,
    escalate,
    hand_back,
    inherit_of,
    reassign,
    take_from_queue,
    take_inherit,
)
from resegment.routing.switching import (
    displace,
    find_kept_out,
    follow_switch,
    judge_gates,
    keeps,
    meet_gates,
    put_back,
    rename,
    runs_on,
    snapshot,
)
from resegment.routing.transition import Asking, Made, Transition
from resegment.schemas.assignment import OwnerReply, OwnerRequest
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.logs.state_log import StateWrite
from resegment.schemas.outcomes.touch import TouchVoid
from resegment.schemas.routing import (
    AccountEvent,
    ChildReport,
    DefinitionSwitched,
    Enrollment,
    FamilyNews,
    GatesChanged,
    Inherit,
    Offered,
    PriorState,
    Reassign,
    Review,
    RoutedOutcome,
    RoutedState,
    RouteSnapshot,
    Switch,
    decode_routed,
    encode_routed,
)
from resegment.schemas.times import NEVER

Steps = Generator[OwnerRequest, OwnerReply, list[Made]]
"""Yields questions for the store of owners, receives their answers, returns commands and events in their order."""

_Transiting = Generator[OwnerRequest, OwnerReply, Transition]


class EnrollmentMachine:
    """Applies events to accounts, each by the policy that counts for it."""

    def __init__(self, policies: Policies, *, live: bool = True) -> None:
        """Set the policies and the clock.

        `live` is the wall clock: what is overdue happens now. On the clock of facts everything happens at its own
        instant.
        """
        self.policies, self.live = policies, live

    def load(self, name: str, value: bytes | None) -> RoutedAccount:
        """Decode an account's stored value; without one, return a new account. Raises msgspec.DecodeError."""
        return RoutedAccount(name, RoutedState() if value is None else decode_routed(value))

    def encode(self, account: RoutedAccount) -> bytes:
        """Return the bytes to store."""
        account.state.deadline = None if account.deadline == NEVER else account.deadline
        account.kept_deadline = account.state.deadline
        return encode_routed(account.state)

    def write(self, account: RoutedAccount) -> StateWrite:
        """Return what to store: the whole state, which is small."""
        return StateWrite(self.encode(account))

    def handle_change(
        self, account: RoutedAccount, change: RoutedChange, now: int, current: Policy, own: Policy
    ) -> Steps:
        """Apply a segment change by its `own` policy, that of the version which decided it.

        A change that is not newer than the latest one does nothing. A change that supersedes one of the same
        instant undoes what that one began.
        """
        passed = yield from self.advance(account, now, current)
        state, target, gates = account.state, change.target, account.state.active_gates
        if target.sequence <= max(state.forgotten, -1 if state.target is None else state.target.sequence):
            return passed
        if change.forgotten:
            transition = Transition(account, own, now)
            yield from forget_account(transition, target.effective_at, target.sequence)
            return [*passed, *transition.done()]
        if state.target is None and state.enrollment is None and change.from_route is not None:
            state.enrollment = _enrollment_before(change, change.from_route)
        before = state.before if change.supersedes is not None else None
        if before is not None and before.at == target.effective_at:
            transition = yield from self._supersede(account, change, before, now, own)
        elif change.moved and state.target is not None:
            transition = yield from self._rename(account, change, now, own)
        else:
            transition = yield from self._move(account, change, now, own)
        yield from _fulfill_request(transition)
        yield from _meet_territory(transition, gates)
        return [*passed, *transition.done()]

    def _move(self, account: RoutedAccount, change: RoutedChange, now: int, own: Policy) -> _Transiting:
        """Take the account out of its workflow and into that of its new segment."""
        state, switch = account.state, change.switch
        prior = snapshot(state, change.target.effective_at)
        # what touched the account counts only where a switch makes the changes
        state.before = prior if switch is not None else msgspec.structs.replace(prior, touched=None)
        inherited = None
        if change.heir is not None:
            inherited = inherit_of(account.name, change.heir, state, now)
        back = _begin(account, change, prior, own)
        transition = _open(account, change, now, own)
        if inherited is not None:
            transition.events.append(inherited)
            yield from transition.stop_waiting()
            yield from transition.take_out(f"merged into {inherited.account}")
            stays = None
        elif runs_on(state.enrollment, back):
            stays, state.enrollment = state.enrollment, None
        else:
            stays = yield from transition.leave()
        yield from _enter(transition, switch, prior, back, stays)
        return transition

    def _rename(self, account: RoutedAccount, change: RoutedChange, now: int, own: Policy) -> _Transiting:
        """Take the account over into the new name of its segment: only gates may change what runs."""
        state, switch = account.state, change.switch
        prior = snapshot(state, change.target.effective_at)
        if switch is not None and displace(prior, switch, change.target.segment)[1] is not None:
            return (yield from self._move(account, change, now, own))
        state.before = prior
        rename(state, change.target)
        state.attempt = 0
        transition = _open(account, change, now, own)
        if switch is not None:
            yield from judge_gates(transition, switch, prior)
            state.displaced, _ = displace(
                msgspec.structs.replace(prior, displaced=state.displaced), switch, ""
            )
        return transition

    def _supersede(
        self, account: RoutedAccount, change: RoutedChange, before: PriorState, now: int, own: Policy
    ) -> _Transiting:
        """Undo what a change of the same instant began, and do what this one asks for instead."""
        state, switch = account.state, change.switch
        returns = change.from_ == change.target.segment or change.moved
        back = _begin(account, change, before, own)
        if returns:
            state.displaced = before.displaced
        transition = _open(account, change, now, own)
        if returns and switch is not None and runs_on(state.enrollment, before):
            stays, state.enrollment, state.left = state.enrollment, None, dict(before.left)
        else:
            stays = yield from transition.cancel(before)
            if returns and switch is not None and stays is not None and before.enrollment is not None:
                yield from transition.undo(stays)
                stays = None
        if returns and switch is not None:
            yield from put_back(transition, before, stays)
        elif returns and stays is None and before.enrollment is None and keeps(transition, before.decision):
            transition.decide(before.decision, before.why)
        else:
            yield from _enter(transition, switch, before, back, stays)
        return transition

    def handle_event(self, account: RoutedAccount, event: AccountEvent, now: int, current: Policy) -> Steps:
        """Apply an event of `routing-events`. Applied twice, it has the effect of once."""
        passed = yield from self.advance(account, now, current)
        state, gates = account.state, account.state.active_gates
        self._catch_up(account, current)
        transition = Transition(account, current, now)
        match event:
            case GatesChanged():
                if transition.set_gates(
                    event.active_gates, event.restrictions, event.at, event.sequence, event.switch
                ):
                    yield from _judge(transition, event)
                    yield from _meet_territory(transition, gates)
            case Review():
                yield from _review(transition, event)
            case RoutedOutcome():
                yield from answer(transition, event)
            case ChildReport():
                own = own_gates(state, current.family)
                transition.events += apply_report(account.name, state, event, own, now)
                yield from _judge(transition, event)
            case FamilyNews():
                if apply_news(state, event):
                    yield from _judge(transition, event)
            case Reassign():
                yield from (hand_back(transition, event) if event.to else reassign(transition, event.owner))
            case Inherit():
                take_inherit(state, event)
            case Forgotten():
                yield from forget(transition, event)
            case Offered():
                yield from _take(transition, event.key)
        return [*passed, *transition.done()]

    def look_again(
        self, account: RoutedAccount, switched: DefinitionSwitched, now: int, current: Policy
    ) -> Steps:
        """Decide again after a switch: the account waits, is in a queue, or a list suppresses it or no longer does."""
        state = account.state
        self._catch_up(account, current)
        transition = Transition(account, current, now)
        if current.family and state.family is not None:
            own, switch = own_gates(state, current.family), switched.switch_of(None)
            transition.events += tell_relatives(
                account.name, state, (), own, state.family.parent, now, switch
            )
        if state.target is not None:
            switch = switched.switch_of(state.target.segment)
            yield from judge_gates(transition, switch, snapshot(state, switched.at))
            if state.decision in ("waiting", "capped"):
                yield from transition.enter()
            if current.is_queued(state):
                yield from take_from_queue(transition, only_lists=True)
        return transition.done()

    def decide_held(self, account: RoutedAccount, now: int, current: Policy) -> Steps:
        """Decide again on an account that was held back, after a source is back."""
        passed = yield from self.advance(account, now, current)
        if account.state.decision != "held":
            return passed
        self._catch_up(account, current)
        transition = Transition(account, current, now)
        yield from transition.enter()
        return [*passed, *transition.done()]

    def advance(self, account: RoutedAccount, now: int, current: Policy) -> Steps:
        """Apply deadlines up to `now`: a late acknowledgment, a cooldown or wait that ended.

        On the clock of facts each deadline applies at its own instant, so the result does not depend on when it is
        noticed. An account that waits for a team asks once, now, and not once for every time it might have asked.
        """
        commands: list[Made] = []
        while account.deadline <= now:
            at = now if self.live or account.state.decision == "waiting" else account.deadline
            self._catch_up(account, current)
            transition = Transition(account, current, at)
            escalate(transition)
            if transition.is_over:
                yield from transition.enter()
            commands += transition.done()
        return commands

    def _catch_up(self, account: RoutedAccount, current: Policy) -> None:
        """Give an account that may still be enrolled by its latest change the route and texts of the version in force."""
        state, target = account.state, account.state.target
        if target is not None and target.version not in ("", current.version) and state.decision in DEFERRED:
            state.target = current.catch_up(account.name, target, self.policies.of(target.version))


def _open(account: RoutedAccount, change: RoutedChange, now: int, own: Policy) -> Transition:
    """Set the gates that the change carries, void what it supersedes, and return what applies the rest."""
    transition = Transition(account, own, now)
    target, state = change.target, account.state
    if change.supersedes is not None and (state.touched.workflows or state.decision == "holdout"):
        transition.touches.append(TouchVoid(account=account.name, at=now, change=change.supersedes))
        transition.void = target.sequence - 1
    # gates of the same instant and number follow the change, although their topic may be read first
    if change.active_gates is not None and (target.effective_at, target.sequence) != (
        state.gates_at,
        state.gates_sequence,
    ):
        transition.set_gates(
            change.active_gates, change.restrictions, target.effective_at, target.sequence, change.switch
        )
    return transition


def _begin(account: RoutedAccount, change: RoutedChange, prior: PriorState, own: Policy) -> PriorState | None:
    """Set the change as the account's target. Return what the account goes back to, if a rollback made the change."""
    state = account.state
    target, switch, back = change.target, change.switch, None
    if switch is None:
        state.displaced = ()
    else:
        state.displaced, back = displace(prior, switch, target.segment)
        target = msgspec.structs.replace(target, kept_out=find_kept_out(switch, target, prior))
    state.target, state.attempt = target, 0
    state.admitted = (
        state.heir_of is not None and target.route is not None and target.route.workflow == state.heir_of
    )
    state.heir_of, state.forced = None, False
    meet_gates(account.name, state, change, own)
    return back


def _enter(
    transition: Transition,
    switch: Switch | None,
    prior: PriorState,
    back: PriorState | None,
    stays: Enrollment | None,
) -> Asking:
    """Decide on the new segment."""
    if switch is None:
        was = prior.enrollment
        was_in = was is not None and was.workflow == transition.workflow
        yield from transition.enter(stays=stays, was_in=was_in)
    else:
        yield from follow_switch(transition, switch, prior, back, stays)


def _judge(transition: Transition, event: GatesChanged | ChildReport | FamilyNews) -> Asking:
    """Decide again after gates of the account or of a relative changed."""
    if event.switch is None:
        yield from transition.review()
    else:
        yield from judge_gates(transition, event.switch, snapshot(transition.state, event.at))


def _review(transition: Transition, event: Review) -> Asking:
    """Decide again, or route the change that somebody asked for."""
    if event.change is None:
        yield from transition.review(forced=event.forced)
    else:
        transition.state.requested = event.change
        yield from _fulfill_request(transition)


def _take(transition: Transition, key: str) -> Asking:
    """Ask again for an account that has its grant, or that somebody may take from a queue."""
    state = transition.state
    if state.decision == "waiting" and state.assignment == key:
        yield from transition.enter()
    elif state.enrollment is not None and state.enrollment.assignment == key:
        yield from take_from_queue(transition)


def _meet_territory(transition: Transition, before: tuple[str, ...]) -> Asking:
    """Ask again for an account in a queue if other members may take it than with the gates before."""
    state, policy = transition.state, transition.policy
    if before != state.active_gates and state.enrollment is not None and policy.is_queued(state):
        team = state.enrollment.team
        if policy.eligible(team, before) != policy.eligible(team, state.active_gates):
            yield from take_from_queue(transition)


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
