"""What one event does to one account: leave a workflow, enter another, escalate, reassign.

A transition is a generator. It yields each question for the store of owners, receives the answer, and continues. So it
does no IO, and the router can ask for a whole batch of accounts at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import msgspec

from resegment.routing.account import RoutedAccount, touch
from resegment.routing.commands import ANSWERED, make_command
from resegment.routing.decisions import AFTER_LOST, DEFERRED, NOT_ROUTED, TIMED, tell_place
from resegment.routing.family import own_gates, tell_relatives
from resegment.routing.policy import Policy
from resegment.routing.touching.refusals import find_refusal, find_too_soon
from resegment.routing.touching.touches import draw, make_touch
from resegment.schemas.assignment import Assigned, Join, OwnerReply, OwnerRequest, Release, Waiting
from resegment.schemas.change import Restrictions
from resegment.schemas.logs.decision_log import LoggedDecision, log_decision
from resegment.schemas.outcomes.touch import TouchKey, TouchRecord
from resegment.schemas.outgoing import Action, WorkflowCommand, identify_command
from resegment.schemas.routing import (
    AccountEvent,
    Enrollment,
    PriorState,
    RouteSnapshot,
    RoutingDecision,
    Switch,
    Target,
)
from resegment.schemas.times import NEVER

Made = WorkflowCommand | AccountEvent | TouchRecord
"""What a transition makes: commands, events for relatives, and touches."""

Asking = Generator[OwnerRequest, OwnerReply, None]
"""Yields questions for the store of owners and receives their answers."""

MOST_COUNTED: Final = 50
"""The latest enrollments that an account remembers; no limit is greater."""

Leaving = Generator[OwnerRequest, OwnerReply, Enrollment | None]


class Transition:
    """Apply one event to one account, and collect the commands that follow."""

    def __init__(self, account: RoutedAccount, policy: Policy, now: int) -> None:
        self.account, self.state, self.policy, self.now = account, account.state, policy, now
        self.commands: list[WorkflowCommand] = []
        self.events: list[AccountEvent] = []
        """What relatives of the account have to know."""
        self.touches: list[TouchRecord] = []
        self.void: int | None = None
        """The number of the change that the latest one supersedes."""
        route = None if account.state.target is None else account.state.target.route
        self.workflow: str | None = None if route is None else route.workflow
        self.retry_at = account.deadline if account.state.decision in TIMED else NEVER

    @property
    def is_over(self) -> bool:
        """Whether the cooldown or the wait of the account has ended."""
        return self.state.decision in TIMED and self.retry_at <= self.now

    def done(self) -> list[Made]:
        """Set the account's next deadline and return the commands, then the events and touches."""
        state = self.state
        enrollment, deadline = state.enrollment, NEVER
        if enrollment is not None and enrollment.accept_by is not None and enrollment.answer is None:
            deadline = enrollment.accept_by
        if state.decision in TIMED:
            deadline = min(deadline, self.retry_at)
        self.account.deadline = deadline
        target = state.target
        if target is not None and target.message is not None:
            if state.decision not in DEFERRED or not self.policy.cites(target.play):
                state.target = msgspec.structs.replace(target, message=None)
        return [*self.commands, *self.events, *self.touches]

    # Out of a workflow

    def leave(self) -> Leaving:
        """Give up waiting. Return the enrollment if the latest change leads to its workflow, so that it continues.

        Any other stays until it is known that the account need not wait, see `enter`.
        """
        yield from self.stop_waiting()
        old = self.state.enrollment
        if old is None or old.workflow == self.workflow:
            self.state.enrollment = None
            return old
        return None

    def end_running(self) -> Asking:
        """End the enrollment that the account has, if it has one."""
        running, self.state.enrollment = self.state.enrollment, None
        if running is not None:
            yield from self.end(running)

    def end(self, enrollment: Enrollment) -> Asking:
        """End an enrollment as its route says."""
        yield from self.give_back(enrollment)
        self.command(enrollment.on_exit, enrollment)
        self.state.left[enrollment.workflow] = self.now

    def take_out(self, reason: str) -> Asking:
        """Stop what runs, if something does, at once."""
        old, self.state.enrollment = self.state.enrollment, None
        if old is not None:
            yield from self.give_back(old)
            self.command("stop", old, reason=reason)
            self.state.left[old.workflow] = self.now

    def cancel(self, before: PriorState) -> Leaving:
        """Undo what a superseded change began.

        Return its enrollment if that is in the workflow of the latest change, so that it continues.
        """
        state = self.state
        yield from self.stop_waiting()
        mine, state.enrollment = state.enrollment, None
        state.left = dict(before.left)
        old = before.enrollment
        if old is not None and mine is not None and old.workflow == mine.workflow != self.workflow:
            state.enrollment = msgspec.structs.replace(mine, on_exit=old.on_exit)  # `enter` leaves it
            return None
        if old is not None and old.workflow != self.workflow:
            state.left[old.workflow] = self.now
        if mine is None or mine.workflow == self.workflow:
            return mine
        yield from self.undo(mine)
        return None

    def undo(self, enrollment: Enrollment) -> Asking:
        """End an enrollment that a void change began."""
        yield from self.give_back(enrollment)
        self.command("stop", enrollment, reason="the change that led here is void")
        self.state.enrolled = tuple(one for one in self.state.enrolled if one != enrollment.at)

    def stop_waiting(self) -> Asking:
        """Give up the account's place in the line of its team."""
        if self.state.assignment is not None:
            yield Release(key=self.state.assignment)
            self.state.assignment = None

    def give_back(self, enrollment: Enrollment) -> Asking:
        """Release the owner's room."""
        if enrollment.assignment is not None:
            yield Release(key=enrollment.assignment)

    # Into a workflow

    def enter(self, *, stays: Enrollment | None = None, was_in: bool = False) -> Asking:
        """Decide on the latest change.

        `stays` is a running enrollment in the same workflow. `was_in` says that the account was in this workflow
        before the change, so that neither rules of re-entry nor limits apply. An enrollment in another workflow ends, unless the
        account waits for its team.
        """
        state, target = self.state, self.state.target
        assert target is not None
        if state.enrollment is not None and state.enrollment.workflow == self.workflow:
            stays, state.enrollment = state.enrollment, None
            yield from self.stop_waiting()
        is_new = stays is None and not was_in
        refusal = self.refusal(target, is_in=stays is not None or was_in)
        if refusal is None and is_new:
            state.admitted = True
            refusal = self._too_soon(target) or self.policy.hold_back(target, state)
        if refusal is not None:
            yield from self._refuse(target, refusal, stays, was_in=was_in)
            return
        route = target.route
        assert route is not None
        if stays is not None and stays.team == route.team:  # keep the owner and its promise
            key = identify_command(target.change, "enroll", route.workflow, state.attempt)
            self._enroll(target, route, key, stays.owner, stays.assignment, stays)
            return
        if stays is not None:
            yield from self.give_back(stays)
        key = state.assignment or identify_command(target.change, "enroll", route.workflow, state.attempt)
        join = self.policy.join(key, self.account.name, state, self.now) if is_new else None
        if join is not None:
            admitted = yield join
            if isinstance(admitted, Waiting):
                self._wait(join, admitted)
                return
        yield from self.end_running()
        ask = self.policy.ask(key, self.account.name, route.team, state, self.now)
        owner = route.team
        if ask is not None:
            answer = yield ask
            assert isinstance(answer, Assigned)
            owner = answer.owner
            if not answer.is_queue:
                state.owners[ask.team] = owner
        elif state.assignment is not None:
            yield Release(key=state.assignment)
        state.assignment = None
        self._enroll(target, route, key, owner, None if ask is None else key)
        if is_new:
            state.enrolled = (*state.enrolled, self.now)[-MOST_COUNTED:]

    def _refuse(
        self, target: Target, refusal: tuple[RoutingDecision, str], stays: Enrollment | None, *, was_in: bool
    ) -> Asking:
        """Leave what the account is in, and record why it is not enrolled."""
        if refusal[0] == "holdout":
            is_new = stays is None and not was_in
            self.touches += draw(self.account.name, self.state, self.policy, self.now, is_new=is_new)
        yield from self.end_running()
        yield from self._renounce(target)
        if stays is not None:
            yield from self.give_back(stays)
            self.command("stop", stays, reason=": ".join(filter(None, refusal)))
        if stays is not None or was_in:
            self.state.left[self.workflow or ""] = self.now
        self.decide(*refusal)

    def _wait(self, join: Join, answer: Waiting) -> None:
        """Wait in the line of a team. What the account is in continues meanwhile."""
        self.state.assignment = join.key
        self.retry_at = self.policy.next_turn(join.team, self.now, answer.settles_in)
        self.decide("waiting", tell_place(answer.ahead, answer.of, join.team, join.per_day))

    def _renounce(self, target: Target) -> Asking:
        """Release what this change may have asked for, including by an attempt that was not committed."""
        state = self.state
        if state.assignment is None and (target.route is None or self.policy.team(target.route.team) is None):
            return
        workflow = "" if target.route is None else target.route.workflow
        yield Release(
            key=state.assignment or identify_command(target.change, "enroll", workflow, state.attempt)
        )
        state.assignment = None
        state.attempt += 1  # a released key is never granted again

    def refusal(self, target: Target, *, is_in: bool) -> tuple[RoutingDecision, str] | None:
        """Return the decision and reason against the target's workflow; None if there is none.

        `is_in` says that the account is in the workflow already.
        """
        return find_refusal(self.account.name, self.state, target, self.policy, is_in=is_in)

    def _too_soon(self, target: Target) -> tuple[RoutingDecision, str] | None:
        """Return the re-entry rule that keeps the account out of the workflow now, and note when it ends."""
        found = find_too_soon(self.state, target, self.policy, self.now)
        if found is None:
            return None
        decision, why, until = found
        if until is not None:
            self.retry_at = until
        return decision, why

    def _enroll(
        self,
        target: Target,
        route: RouteSnapshot,
        key: str,
        owner: str | None,
        assignment: str | None,
        before: Enrollment | None = None,
    ) -> None:
        enrollment = Enrollment(
            key=key,
            workflow=route.workflow,
            segment=target.segment,
            sequence=target.sequence,
            at=self.now,
            on_exit=route.on_exit,
            team=route.team,
            owner=owner,
            assignment=assignment,
            qualification=route.qualification,
            play=target.play,
            accept_by=self.policy.accept_by(route.qualification, route.team, owner, self.now),
            keys=(key,),
        )
        if before is not None and before.qualification == route.qualification:
            enrollment = msgspec.structs.replace(
                enrollment, accept_by=before.accept_by, answer=before.answer, keys=(*before.keys[-4:], key)
            )
        self.state.enrollment = enrollment
        self.touches.append(make_touch(self.account.name, target, self.policy, enrollment))
        if before is not None and before.sequence == self.void:
            self.touches.append(TouchKey(account=self.account.name, at=self.now, key=before.key, touch=key))
        self.command("enroll", enrollment, key=key)
        self.decide("enrolled", owner or "")

    # What happens meanwhile

    def review(self, *, forced: bool = False) -> Asking:
        """Decide again: suppressions have changed, or somebody asked for it (`forced`)."""
        state, target = self.state, self.state.target
        if target is None:
            return
        suppression = self.policy.suppressed_by(self.account.name, state)
        if suppression is not None:
            if state.decision == "suppressed" and state.enrollment is None:
                self.decide("suppressed", suppression)
                return
            yield from self.stop_waiting()
            state.attempt += 1
            if state.enrollment is not None:
                yield from self.give_back(state.enrollment)
                self.command("stop", state.enrollment, reason=f"suppressed: {suppression}")
                state.left[state.enrollment.workflow] = self.now
                state.enrollment = None
            if state.decision not in ("no-route", "holdout", "never-again", "rejected"):
                self.decide("suppressed", suppression)
        elif (
            state.decision == "suppressed"
            or (forced and state.decision in (NOT_ROUTED, "held"))
            or (
                state.decision == "cooldown"
                and state.why.endswith(AFTER_LOST)
                and state.lost_until != self.retry_at
            )
            or (state.decision == "waiting" and state.lost_until > self.now)
        ):
            state.attempt += 1
            state.forced = state.forced or forced
            yield from self.enter()

    # Noting it

    def decide(self, decision: RoutingDecision, why: str = "") -> None:
        """Record a decision, its reason, and since when it applies."""
        state = self.state
        if state.decision != decision or (decision != "waiting" and state.why != why):
            state.since = self.now
        self.log(decision, why, state.enrollment, why if decision == "enrolled" else None)
        state.decision, state.why = decision, why

    def set_gates(
        self,
        active_gates: tuple[str, ...],
        restrictions: Restrictions,
        at: int,
        sequence: int,
        switch: Switch | None = None,
    ) -> bool:
        """Record which gates and restrictions hold; return False if the account already has newer ones."""
        state = self.state
        if (at, sequence) < (state.gates_at, state.gates_sequence):
            return False
        family = self.policy.family
        before = own_gates(state, family) if family else ()
        state.active_gates, state.gates_at, state.gates_sequence = active_gates, at, sequence
        state.gates_by = switch
        state.lost_until = restrictions.lost_until
        if (
            not restrictions.forgotten
        ):  # else those that are known stay: nobody may be contacted for want of a list
            state.do_not_contact = restrictions.do_not_contact
        if family:
            own = own_gates(state, family)
            self.events += tell_relatives(
                self.account.name, state, before, own, restrictions.parent, self.now, switch
            )
        return True

    def command(
        self,
        action: Action,
        enrollment: Enrollment,
        *,
        key: str | None = None,
        owner: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Add a command about an enrollment, which follows from the latest change."""
        if action == "enroll":
            touch(self.state, enrollment.workflow, enrollment.play)
        else:
            self.log(action, reason or "", enrollment, owner or enrollment.owner)
        name = self.account.name
        command = make_command(
            name, self.state, self.policy, action, enrollment, key=key, owner=owner, reason=reason
        )
        if action in ANSWERED and enrollment.key:
            self.touches.append(
                TouchKey(account=name, at=self.now, key=command.idempotency_key, touch=enrollment.key)
            )
        self.commands.append(command)

    def log(
        self, what: str, why: str, enrollment: Enrollment | None = None, owner: str | None = None
    ) -> None:
        """Keep a decision or a command for `resegment routing history`."""
        state = self.state
        target = state.target
        segment = enrollment.segment if enrollment is not None else "" if target is None else target.segment
        workflow = self.workflow if enrollment is None else enrollment.workflow
        entry = LoggedDecision(self.now, what, why, segment, workflow, owner)
        state.log = log_decision(state.log, entry)
