"""An account's way through workflows: `(state, what happened, now) -> commands`, with owners asked for as it goes.

Each step is a generator that yields what it asks of the store of owners, is sent the answer, and returns the
commands. So it does no IO itself, and whoever drives it may ask for many accounts at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import msgspec

from resegment.routing.policy import Policy
from resegment.schemas.assignment import Answer, Ask, Assigned, Release, Waiting
from resegment.schemas.outgoing import Action, WorkflowCommand, identify_command
from resegment.schemas.routing import (
    Before,
    Change,
    ChangeEvent,
    Decision,
    Enrolment,
    Outcome,
    Reassign,
    Review,
    RoutedState,
    RoutingEvent,
    Standing,
    Target,
    Way,
    decode_routed,
    encode_routed,
)
from resegment.schemas.times import NEVER, format_instant, parse_instant

Steps = Generator[Ask, Answer, list[WorkflowCommand]]
"""Yields asks, is sent their answers, returns commands in their order."""

_Asking = Generator[Ask, Answer, None]
_Leaving = Generator[Ask, Answer, Enrolment | None]

_KEPT: Final = frozenset({"quiet", "rejected", "never-again"})
"""Decisions that stand where a change came to nothing."""

DEFERRED: Final = frozenset({"suppressed", "quiet", "cooldown", "waiting"})
"""Decisions after which the account may still be enrolled by the same change."""


class RoutedAccount:
    """One account of the router."""

    __slots__ = ("deadline", "kept_deadline", "name", "state")

    def __init__(self, name: str, state: RoutedState) -> None:
        self.name, self.state = name, state
        self.kept_deadline = state.deadline
        self.deadline = NEVER if state.deadline is None else state.deadline


class Courses:
    """Keeps accounts and takes the steps, by one policy."""

    def __init__(self, policy: Policy, *, live: bool = True) -> None:
        """`live`: time is the wall's, and what is late is done now; else all is done at its own instant."""
        self.policy, self.live = policy, live

    def load(self, name: str, value: bytes | None) -> RoutedAccount:
        """The account of what is kept, a new one without. Raises msgspec.DecodeError."""
        return RoutedAccount(name, RoutedState() if value is None else decode_routed(value))

    def encode(self, account: RoutedAccount) -> bytes:
        """The bytes to keep."""
        account.state.deadline = None if account.deadline == NEVER else account.deadline
        account.kept_deadline = account.state.deadline
        return encode_routed(account.state)

    def change(
        self,
        account: RoutedAccount,
        event: ChangeEvent,
        now: int,
    ) -> Steps:
        """Follow a segment change.

        One that is not newer than the last changes nothing. One that supersedes an earlier one of the same
        instant cancels what that one began.
        """
        passed = yield from self.advance(account, now)
        state, data, target = account.state, event.data, target_of(event)
        if state.target is not None and target.sequence <= state.target.sequence:
            return passed
        if state.target is None and state.enrolment is None and data.from_route is not None:
            state.enrolment = _unknown(data)
        state.target, state.attempt = target, 0
        state.admitted = state.forced = False
        step = _Step(account, self.policy, now)
        if data.standing is not None:
            step.stand(data.standing, target.effective_at, target.sequence)
        before = state.before
        if data.supersedes is not None and before is not None and before.at == target.effective_at:
            stays = yield from step.cancel(before)
            if data.from_ == data.to and before.enrolment is None and before.decision in _KEPT:
                step.decide(before.decision, before.why)
                return [*passed, *step.done()]
        else:
            before = state.before = Before(
                target.effective_at, state.enrolment, dict(state.left), state.decision, state.why
            )
            stays = yield from step.leave()
        was_in = before.enrolment is not None and before.enrolment.workflow == step.workflow
        yield from step.enter(stays=stays, was_in=was_in)
        return [*passed, *step.done()]

    def hear(self, account: RoutedAccount, event: RoutingEvent, now: int) -> Steps:
        """Follow what the router is told beside segment changes; told again, it changes nothing."""
        passed = yield from self.advance(account, now)
        step = _Step(account, self.policy, now)
        match event:
            case Standing():
                if step.stand(event.standing, event.at, event.sequence):
                    yield from step.review()
            case Review():
                yield from step.review(forced=event.forced)
            case Outcome():
                yield from step.answer(event)
            case Reassign():
                yield from step.reassign(event.owner)
        return [*passed, *step.done()]

    def advance(self, account: RoutedAccount, now: int) -> Steps:
        """Follow what time brings up to `now`: an acknowledgement that is late, a wait that is over.

        On the clock of facts each at its own instant, so that it is the same whenever that is noticed; but
        whoever waits for a team asks now, and not once for each time that it might have asked.
        """
        commands: list[WorkflowCommand] = []
        while account.deadline <= now:
            at = now if self.live or account.state.decision == "waiting" else account.deadline
            step = _Step(account, self.policy, at)
            step.escalate()
            if step.is_over:
                yield from step.enter()
            commands += step.done()
        return commands


def target_of(event: ChangeEvent) -> Target:
    """Where a segment change leads."""
    data = event.data
    return Target(
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


def _unknown(data: Change) -> Enrolment:
    """Where an account comes from of which nothing is known any more: it is to leave that, all the same."""
    way = data.from_route
    assert way is not None
    return Enrolment(
        key="", workflow=way.workflow, segment=data.from_ or "", sequence=0, at=0, on_exit=way.on_exit, team=way.team,
        owner=way.team, qualification=way.qualification,
    )  # fmt: skip


class _Step:
    """What one event does to one account; the commands that it makes are gathered."""

    def __init__(self, account: RoutedAccount, policy: Policy, now: int) -> None:
        self.account, self.state, self.policy, self.now = account, account.state, policy, now
        self.commands: list[WorkflowCommand] = []
        route = None if account.state.target is None else account.state.target.route
        self.workflow: str | None = None if route is None else route.workflow
        self.retry_at = account.deadline if account.state.decision in ("cooldown", "waiting") else NEVER

    @property
    def is_over(self) -> bool:
        """Whether the time is over for which the account was not to be enrolled."""
        return self.state.decision in ("cooldown", "waiting") and self.retry_at <= self.now

    def done(self) -> list[WorkflowCommand]:
        """Set the account's next deadline, and return the commands."""
        state = self.state
        enrolment, deadline = state.enrolment, NEVER
        if enrolment is not None and enrolment.accept_by is not None and enrolment.answer is None:
            deadline = enrolment.accept_by
        if state.decision in ("cooldown", "waiting"):
            deadline = min(deadline, self.retry_at)
        self.account.deadline = deadline
        target = state.target
        if target is not None and target.message is not None:
            if state.decision not in DEFERRED or not self.policy.cites(target.play):
                state.target = msgspec.structs.replace(target, message=None)
        return self.commands

    # Out of a workflow

    def leave(self) -> _Leaving:
        """Leave what the account is in or waits for; the enrolment, where it goes on in the same workflow."""
        state = self.state
        yield from self._stop_waiting()
        old, state.enrolment = state.enrolment, None
        if old is None or old.workflow == self.workflow:
            return old
        yield from self._give_back(old)
        self._command(old.on_exit, old)
        state.left[old.workflow] = self.now
        return None

    def cancel(self, before: Before) -> _Leaving:
        """Take back what the change made void had begun; its enrolment, where it is in the right workflow."""
        state = self.state
        yield from self._stop_waiting()
        mine, state.enrolment = state.enrolment, None
        state.left = dict(before.left)
        old = before.enrolment
        if old is not None and old.workflow != self.workflow:
            state.left[old.workflow] = self.now
        if mine is None or mine.workflow == self.workflow:
            return mine
        yield from self._give_back(mine)
        if old is not None and old.workflow == mine.workflow:
            self._command(old.on_exit, mine)
        else:
            self._command("stop", mine, reason="the change that led here is void")
        return None

    def _stop_waiting(self) -> _Asking:
        if self.state.assignment is not None:
            yield Release(key=self.state.assignment)
            self.state.assignment = None

    def _give_back(self, enrolment: Enrolment) -> _Asking:
        if enrolment.assignment is not None:
            yield Release(key=enrolment.assignment)

    # Into a workflow

    def enter(self, *, stays: Enrolment | None = None, was_in: bool = False) -> _Asking:
        """Decide on the latest change.

        `stays` is the enrolment of the same workflow that is still running, `was_in` whether the account was in
        it before the change: such an account does not enter it anew.
        """
        state, target = self.state, self.state.target
        assert target is not None
        refusal = self._refusal(target, is_in=stays is not None or was_in)
        if refusal is None and stays is None and not was_in:
            state.admitted = True
            refusal = self._too_soon(target)
        if refusal is not None:
            yield from self._renounce(target)
            if stays is not None:
                yield from self._give_back(stays)
                self._command("stop", stays, reason=": ".join(filter(None, refusal)))
                state.left[stays.workflow] = self.now
            self.decide(*refusal)
            return
        route = target.route
        assert route is not None
        if stays is not None and stays.team == route.team:  # the owner stays, and what was promised of it
            key = identify_command(target.change, "enroll", route.workflow, state.attempt)
            self._enroll(target, route, key, stays.owner, stays.assignment, stays)
            return
        if stays is not None:
            yield from self._give_back(stays)
        key = state.assignment or identify_command(target.change, "enroll", route.workflow, state.attempt)
        ask = self.policy.ask(key, self.account.name, state, self.now, again=stays is not None)
        owner = route.team
        if ask is not None:
            answer = yield ask
            if isinstance(answer, Waiting):
                state.assignment, self.retry_at = key, self.policy.look_again_at(self.now)
                self.decide("waiting", f"{ask.team} takes no more today; {answer.ahead} come before")
                return
            assert isinstance(answer, Assigned)
            owner = answer.owner
            if not answer.is_queue:
                state.owners[ask.team] = owner
        elif state.assignment is not None:
            yield Release(key=state.assignment)
        state.assignment = None
        self._enroll(target, route, key, owner, None if ask is None else key)

    def _renounce(self, target: Target) -> _Asking:
        """Take back what may have been asked for under this change, also by a try that was not committed."""
        state = self.state
        if state.assignment is None and (target.route is None or self.policy.team(target.route.team) is None):
            return
        workflow = "" if target.route is None else target.route.workflow
        yield Release(
            key=state.assignment or identify_command(target.change, "enroll", workflow, state.attempt)
        )
        state.assignment = None
        state.attempt += 1  # a key that was given back is never granted again

    def _refusal(self, target: Target, *, is_in: bool) -> tuple[Decision, str] | None:
        """Why the account is not to be in the target's workflow; `is_in`: it is."""
        if target.route is None:
            return "no-route", ""
        suppression = self.policy.suppressed_by(self.account.name, self.state.standing)
        if suppression is not None:
            return "suppressed", suppression
        if target.holdout:
            return "holdout", ""
        mode, state = self.policy.mode, self.state
        passes = mode == "all" or (mode == "changed" and (state.admitted or not target.is_first))
        if not (passes or is_in or state.forced):
            return "quiet", f"routing is {mode}"
        return None

    def _too_soon(self, target: Target) -> tuple[Decision, str] | None:
        """Why the account, which comes from elsewhere, may not enter the workflow now."""
        if self.workflow in self.state.left and target.route is not None and target.route.reentry == "never":
            return "never-again", f"it has been in {self.workflow}"
        until = self.policy.cooled_down(self.state, target)
        if until > self.now:
            self.retry_at = until
            return "cooldown", f"until {format_instant(until)}"
        return None

    def _enroll(
        self,
        target: Target,
        route: Way,
        key: str,
        owner: str | None,
        assignment: str | None,
        before: Enrolment | None = None,
    ) -> None:
        sla = self.policy.sla(route.qualification)
        enrolment = Enrolment(
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
            accept_by=None if sla is None else self.now + sla,
            keys=(key,),
        )
        if before is not None and before.qualification == route.qualification:
            enrolment = msgspec.structs.replace(
                enrolment, accept_by=before.accept_by, answer=before.answer, keys=(*before.keys[-4:], key)
            )
        self.state.enrolment = enrolment
        self._command("enroll", enrolment, key=key)
        self.decide("enrolled", owner or "")

    # What happens meanwhile

    def review(self, *, forced: bool = False) -> _Asking:
        """Decide again, where suppressions are others now, or somebody asks for it."""
        state, target = self.state, self.state.target
        if target is None:
            return
        suppression = self.policy.suppressed_by(self.account.name, state.standing)
        if suppression is not None:
            if state.decision == "suppressed" and state.enrolment is None:
                self.decide("suppressed", suppression)
                return
            yield from self._stop_waiting()
            state.attempt += 1
            if state.enrolment is not None:
                yield from self._give_back(state.enrolment)
                self._command("stop", state.enrolment, reason=f"suppressed: {suppression}")
                state.left[state.enrolment.workflow] = self.now
                state.enrolment = None
            if state.decision not in ("no-route", "holdout", "never-again", "rejected"):
                self.decide("suppressed", suppression)
        elif state.decision == "suppressed" or (forced and state.decision == "quiet"):
            state.attempt += 1
            state.forced = state.forced or forced
            yield from self.enter()

    def answer(self, outcome: Outcome) -> _Asking:
        """An acknowledgement of the enrolment's command; a deal that is won or lost frees its owner."""
        state, enrolment = self.state, self.state.enrolment
        if enrolment is None:
            return
        mine = outcome.key in enrolment.keys
        if outcome.action in ("won", "lost"):
            if mine or enrolment.at < outcome.at:  # an older deal is not of this enrolment
                yield from self._give_back(enrolment)
                answer = enrolment.answer or "accepted"
                state.enrolment = msgspec.structs.replace(enrolment, assignment=None, answer=answer)
        elif mine and outcome.action == "accepted":
            state.enrolment = msgspec.structs.replace(enrolment, answer="accepted")
        elif mine:
            yield from self._give_back(enrolment)
            state.left[enrolment.workflow] = self.now
            state.enrolment = None
            state.owners.pop(enrolment.team or "", None)  # who does not want it does not get it back
            self.decide("rejected", enrolment.owner or "")

    def escalate(self) -> None:
        """Tell who is to be told of an enrolment that nobody has accepted in time."""
        enrolment = self.state.enrolment
        if enrolment is None or enrolment.accept_by is None or enrolment.answer is not None:
            return
        if enrolment.accept_by <= self.now:
            treatment = self.policy.qualification(enrolment.qualification)
            told = None if treatment is None else treatment.escalate_to
            self._command(
                "escalate",
                enrolment,
                owner=told or enrolment.team,
                reason=f"not accepted by {format_instant(enrolment.accept_by)}; owner: {enrolment.owner}",
            )
            self.state.enrolment = msgspec.structs.replace(enrolment, answer="escalated")

    def reassign(self, owner: str) -> _Asking:
        """Find another owner, for whom has left."""
        state, enrolment = self.state, self.state.enrolment
        if enrolment is None or enrolment.owner != owner or enrolment.team is None or state.target is None:
            return
        state.attempt += 1
        key = identify_command(state.target.change, "reassign", enrolment.workflow, state.attempt)
        ask = self.policy.ask(key, self.account.name, state, self.now, again=True)
        if ask is None:
            return
        yield from self._give_back(enrolment)
        answer = yield ask
        assert isinstance(answer, Assigned)
        if not answer.is_queue:
            state.owners[enrolment.team] = answer.owner
        won = enrolment.assignment is None
        if won:
            yield Release(key=key)
        sla = self.policy.sla(enrolment.qualification)
        state.enrolment = msgspec.structs.replace(
            enrolment,
            owner=answer.owner,
            assignment=None if won else key,
            accept_by=None if sla is None else self.now + sla,
            answer=enrolment.answer if won else None,
            keys=(key,),
        )
        self._command("reassign", state.enrolment, key=key, reason=f"{owner} has left")
        self.decide("enrolled", answer.owner)

    # Saying it

    def decide(self, decision: Decision, why: str = "") -> None:
        """Note a decision, and since when it stands."""
        state = self.state
        if state.decision != decision or (decision != "waiting" and state.why != why):
            state.since = self.now
        state.decision, state.why = decision, why

    def stand(self, standing: tuple[str, ...], at: int, sequence: int) -> bool:
        """Take in which gates hold, unless something newer is known; whether it was taken."""
        state = self.state
        if (at, sequence) < (state.standing_at, state.standing_sequence):
            return False
        state.standing, state.standing_at, state.standing_sequence = standing, at, sequence
        return True

    def _command(
        self,
        action: Action,
        enrolment: Enrolment,
        *,
        key: str | None = None,
        owner: str | None = None,
        reason: str | None = None,
    ) -> None:
        cause = self.state.target
        assert cause is not None
        message = self.policy.message(self.account.name, cause) if action == "enroll" else None
        self.commands.append(
            WorkflowCommand(
                action=action,
                account=self.account.name,
                workflow=enrolment.workflow,
                owner=owner or enrolment.owner,
                qualification=enrolment.qualification,
                play=enrolment.play if action in ("enroll", "reassign") else None,
                segment=enrolment.segment,
                idempotency_key=key
                or identify_command(cause.change, action, enrolment.workflow, self.state.attempt),
                cause={
                    "change": cause.change,
                    "sequence_number": cause.sequence,
                    "effective_at": format_instant(cause.effective_at),
                },
                team=enrolment.team,
                accept_by=None if enrolment.accept_by is None else format_instant(enrolment.accept_by),
                reason=reason,
                message=None if message is None else msgspec.Raw(message),
            )
        )
