"""Count the commands that a planned switch to another version would make, under each route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from resegment.routing.account import RoutedAccount
from resegment.routing.change import RoutedChange
from resegment.routing.enrollment import EnrollmentMachine, Steps
from resegment.routing.policy import Policies, Policy
from resegment.routing.transition import Made
from resegment.schemas.assignment import Assign, Assigned, Granted, Join, OwnerReply, OwnerRequest, Waiting
from resegment.schemas.change import GateChange, Restrictions, SegmentChange
from resegment.schemas.outgoing import WorkflowCommand
from resegment.schemas.routing import (
    DefinitionSwitched,
    GatesChanged,
    RoutedState,
    RouteSnapshot,
    Target,
    decode_routed,
    encode_routed,
)
from resegment.segmentation.planning.plan import EnrollmentForecast

Route = str | tuple[str, ...]


class PlannedPolicies:
    """The policies of a prefix with that of a version which is only planned."""

    def __init__(self, held: Policies, planned: Policy, number: int) -> None:
        self._held, self._planned, self._number = held, planned, number

    def of(self, fingerprint: str) -> Policy:
        """Return the policy of the version with this fingerprint."""
        return self._planned if fingerprint == self._planned.version else self._held.of(fingerprint)

    def at(self, number: int) -> Policy:
        """Return the policy of a version by its number."""
        return self._planned if number == self._number else self._held.at(number)


class EnrollmentForecaster:
    """Leads copies of accounts through the switch, once for each route.

    An owner is found for every account: who it is makes no difference here. Only a team's daily limit keeps some waiting.
    """

    def __init__(
        self,
        policies: Policies,
        *,
        before: Policy,
        after: Policy,
        number: int,
        at: int,
        routes: Iterable[Route],
        rollback_of: int | None = None,
    ) -> None:
        """Lead accounts through a switch at `at` (ms) to a new version, which will have this number."""
        self._machine = EnrollmentMachine(PlannedPolicies(policies, after, number))
        self._before, self._after, self._at = before, after, at
        self._counts = {
            route: _Count(
                DefinitionSwitched(
                    at=at,
                    version=number,
                    fingerprint=after.version,
                    route=route,  # type: ignore[arg-type]  # one of the words, or segments
                    rollback_of=rollback_of,
                )
            )
            for route in routes
        }
        self._routes = {
            one.name: None if one.route is None else msgspec.convert(one.route.model_dump(), RouteSnapshot)
            for policy in (before, after)
            for one in policy.definition.segments
        }
        self._draws = after.definition.draws

    def take(self, name: str, decision: SegmentChange | GateChange, state: RoutedState | None) -> None:
        """Count the commands for one account; `state` is the router's, None if it does not know the account."""
        value = encode_routed(state or RoutedState())
        was_in = None if state is None or state.enrollment is None else state.enrollment.workflow
        for count in self._counts.values():
            account = RoutedAccount(name, decode_routed(value))
            steps = self._steps(account, decision, count.switched, known=state is not None)
            count.take(_drive(steps, count), was_in, account.state)

    def look_again(self, name: str, state: RoutedState) -> None:
        """Count the commands for an account that teams or lists of the new version may concern, and nothing else."""
        if not self._after.has_to_look(name, state):
            return
        value = encode_routed(state)
        was_in = None if state.enrollment is None else state.enrollment.workflow
        for count in self._counts.values():
            account = RoutedAccount(name, decode_routed(value))
            steps = self._machine.look_again(account, count.switched, self._at, self._after)
            count.take(_drive(steps, count), was_in, account.state)

    def forecasts(self) -> Sequence[EnrollmentForecast]:
        """Return what each route would do."""
        return [
            one.forecast(" ".join([route] if isinstance(route, str) else route))
            for route, one in self._counts.items()
        ]

    def _steps(
        self,
        account: RoutedAccount,
        decision: SegmentChange | GateChange,
        switched: DefinitionSwitched,
        *,
        known: bool,
    ) -> Steps:
        if isinstance(decision, SegmentChange):
            change = self._change(decision, switched, known=known)
            return self._machine.handle_change(account, change, self._at, self._after, self._after)
        event = GatesChanged(
            account=account.name,
            at=self._at,
            active_gates=decision.active_gates,
            sequence=decision.sequence,
            do_not_contact=decision.do_not_contact,
            lost_until=decision.lost_until,
            parent=decision.parent,
            switch=switched.switch_of(None if account.state.target is None else account.state.target.segment),
        )
        return self._machine.handle_event(account, event, self._at, self._after)

    def _change(self, change: SegmentChange, switched: DefinitionSwitched, *, known: bool) -> RoutedChange:
        assert change.to is not None, "a version ends no account"
        drawn = self._draws.draw(change.to, change.account, change.effective_at)
        target = Target(
            change=change.id,
            sequence=change.sequence_number,
            effective_at=change.effective_at,
            segment=change.to,
            is_first=False,
            route=self._routes[change.to],
            play=drawn.play,
            holdout=drawn.holdout,
            experiment=drawn.experiment,
            variant=drawn.variant,
            values=change.values,
            version=self._after.version,
            definition=switched.version,
        )
        return RoutedChange(
            account=change.account,
            target=target,
            decided_at=self._at,
            from_=change.from_,
            from_route=self._routes.get(change.from_ or "") if known else None,
            supersedes=None,
            active_gates=change.active_gates,
            restrictions=Restrictions(change.do_not_contact, change.lost_until, change.parent),
            switch=switched.switch_of(change.to),
            moved=change.moved,
        )


class _Count:
    """What one route comes to."""

    def __init__(self, switched: DefinitionSwitched) -> None:
        self.switched = switched
        self._granted: Counter[str] = Counter()
        self._commands: dict[str, Counter[str]] = {}
        self._held_back: Counter[str] = Counter()

    def answer(self, ask: OwnerRequest) -> OwnerReply:
        """Answer as the store of owners would if everybody had room."""
        if isinstance(ask, Join):
            if self._granted[ask.team] >= ask.per_day:
                return Waiting()
            self._granted[ask.team] += 1
            return Granted(ask.day, 1, 1, self.switched.at)
        if not isinstance(ask, Assign):
            return None
        names = [*ask.preferred, *(one.name for one in ask.candidates)]
        return Assigned(names[0]) if names else Assigned(ask.fallback, is_queue=True)

    def take(self, made: list[Made], was_in: str | None, state: RoutedState) -> None:
        for one in made:
            if isinstance(one, WorkflowCommand) and not (one.action == "enroll" and one.workflow == was_in):
                self._commands.setdefault(one.action, Counter())[one.workflow] += 1
        waits = state.decision == "waiting"
        if waits or (state.enrollment is None and state.decision not in ("none", "no-route")):
            self._held_back[state.decision] += 1

    def forecast(self, route: str) -> EnrollmentForecast:
        found: dict[str, Any] = {
            action: dict(sorted(self._commands.get(action, Counter()).items()))
            for action in ("enroll", "stop", "finish", "pause")
        }
        return EnrollmentForecast(route=route, held_back=dict(sorted(self._held_back.items())), **found)


def _drive(steps: Steps, count: _Count) -> list[Made]:
    try:
        ask = next(steps)
        while True:
            ask = steps.send(count.answer(ask))
    except StopIteration as done:
        made: list[Made] = done.value
        return made
