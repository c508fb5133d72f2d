"""Answer what a segments file says about routing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Final, Protocol, get_args

import msgspec

from resegment.routing.family import gates_of_relatives
from resegment.routing.staffing.teams import (
    available,
    candidates,
    eligible,
    members,
    preferred,
    rank,
    working_time,
)
from resegment.routing.staffing.working_time import day_of, next_day
from resegment.schemas.assignment import Assign, Candidate, Join, Shift
from resegment.schemas.routing import Enrollment, Mode, RoutedState, RouteSnapshot, RoutingDecision, Target
from resegment.schemas.segments import OnExit, Qualification, Suppression, Team
from resegment.schemas.sources.silence import Silences, find_silent
from resegment.schemas.times import format_second, parse_duration
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.gates import suppression_gate
from resegment.segmentation.plays.rendering import render_play

FIRST_MODE: Final[Mode] = "none"
"""The mode of a prefix that has none set: a first load enrolls no account."""

Lists = Mapping[str, Collection[str]]
"""The accounts of each suppression that is a list, by its name."""


def mode_of(text: str | None) -> Mode:
    """Return the mode that a prefix keeps as text."""
    return next((one for one in get_args(Mode) if one == text), FIRST_MODE)


@dataclass
class RoutingControls:
    """What may change while workers run, without a new version: the mode, and the suppressions that are lists."""

    lists: Lists = field(default_factory=dict)
    mode: Mode = FIRST_MODE


class Policy:
    """The routing rules of one version of a definition. The policies of all versions share the controls."""

    def __init__(self, definition: Definition, controls: RoutingControls | None = None) -> None:
        self.definition = definition
        self.controls = controls or RoutingControls()
        self.silent: Silences = {}
        """The sources that are silent now."""
        self.number: int | None = None
        """The number of the version, None where versions have none."""
        self._plays = definition.compiled_plays
        self._segments = {one.name: one for one in definition.segments if not one.draft}
        self.family = frozenset(map(suppression_gate, definition.family))
        """The gates of suppressions that hold for relatives too."""
        self._exits = {one.name: one.route.on_exit for one in definition.segments if one.route is not None}
        self._slas = {
            name: None if one.sla is None else parse_duration(one.sla)
            for name, one in definition.qualifications.items()
        }
        self._order = {one.name: number for number, one in enumerate(definition.segments)}
        self._suppressions: list[tuple[str, str | None]] = [
            (one, suppression_gate(one))
            if isinstance(one, str)
            else (one.name, suppression_gate(one.name) if one.when is not None else None)
            for one in definition.suppression
        ]

    @property
    def version(self) -> str:
        """Return the fingerprint of the definition."""
        return self.definition.version

    def amid(self, silent: Silences) -> Policy:
        """Return the same policy while some sources are silent."""
        if silent == self.silent:
            return self
        policy = copy(self)
        policy.silent = silent
        return policy

    def hold_back(self, target: Target, state: RoutedState) -> tuple[RoutingDecision, str] | None:
        """Return the decision on an account that is where it is for lack of events, while a source of them is silent."""
        silent = None if state.forced else find_silent(self.silent, target.absent)
        if silent is None:
            return None
        name, silence = silent
        kinds = " and ".join(sorted({*target.absent} & {*silence.kinds}))
        since = format_second(silence.since)
        return "held", f"it rests on the absence of {kinds} events, and {name} is silent since {since}"

    @property
    def mode(self) -> Mode:
        """Return which changes are routed."""
        return self.controls.mode

    @property
    def lists(self) -> Lists:
        """Return the accounts of the suppressions that are lists."""
        return self.controls.lists

    @property
    def limits(self) -> str:
        """Say what the limit over all workflows is."""
        one = self.definition.limits
        return "" if one is None else f"enrolled {one.enrollments:,} times in {one.per}, over all workflows,"

    def suppressed_by(self, account: str, state: RoutedState) -> str | None:
        """Return the first suppression of the file that holds for the account, or for a relative where that counts."""
        relatives = gates_of_relatives(state) & self.family if self.family else frozenset[str]()
        for name, gate in self._suppressions:
            if gate in state.active_gates if gate is not None else account in self.lists.get(name, ()):
                return name
            if gate in relatives:
                return f"{name} (family)"
        return None

    def team(self, name: str | None) -> Team | None:
        """Return the team if it has members or a limit; otherwise there is nothing to assign."""
        team = self.definition.teams.get(name or "")
        return team if team is not None and (team.members or team.per_day is not None) else None

    def limits_per_day(self, team: str | None) -> bool:
        """Return whether a team takes only so many accounts a day."""
        found = self.team(team)
        return found is not None and found.per_day is not None

    def members(self, team: str | None) -> frozenset[str]:
        """Return the names of a team's members."""
        found = self.definition.teams.get(team or "")
        return frozenset() if found is None else frozenset(one.name for one in members(found))

    def on_exit(self, segment: str) -> OnExit:
        """Return what to do with the segment's workflow when an account leaves it."""
        return self._exits.get(segment, "stop")

    def accept_by(
        self, qualification: str | None, team: str | None, owner: str | None, now: int
    ) -> int | None:
        """Return when (ms) a command must be acknowledged, in the working time of its owner; None for never."""
        sla = self._slas.get(qualification or "")
        found = self.definition.teams.get(team or "")
        if sla is None or found is None:
            return None if sla is None else now + sla
        member = next((one for one in members(found) if one.name == owner), None)
        return working_time(found, member).add(now, sla)

    def qualification(self, name: str | None) -> Qualification | None:
        """Return a qualification by its name; None if the file does not define it."""
        return self.definition.qualifications.get(name or "")

    def join(self, key: str, account: str, state: RoutedState, now: int) -> Join | None:
        """Return the request to join the line of the target's team; None if the team has no limit per day."""
        target = state.target
        name = None if target is None or target.route is None else target.route.team
        team = self.team(name)
        if target is None or team is None or name is None or team.per_day is None:
            return None
        index = self._order.get(target.segment, len(self._order))
        return Join(
            key=key,
            account=account,
            team=name,
            per_day=team.per_day,
            day=day_of(now, team.timezone),
            rank=rank(team, account, index, target.effective_at, target.values),
            settle=parse_duration(team.settle),
        )

    def ask(
        self,
        key: str,
        account: str,
        name: str | None,
        state: RoutedState,
        now: int,
        queued: str | None = None,
    ) -> Assign | None:
        """Return the question for an owner from the team of that name; None if it assigns no owners.

        `queued` is the key under which the account is in the team's queue, if it is.
        """
        team = self.team(name)
        if team is None or name is None:
            return None
        return Assign(
            key=key,
            account=account,
            team=name,
            strategy=team.strategy,
            candidates=candidates(name, team, state.active_gates, now),
            preferred=preferred(team, account, state.owners.get(name)),
            fallback=team.fallback or name,
            eligible=eligible(name, team, state.active_gates),
            queued=queued,
        )

    def eligible(self, name: str | None, active_gates: Collection[str]) -> tuple[str, ...]:
        """Return the members of a team whose territory includes an account with these gates."""
        team = self.definition.teams.get(name or "")
        return () if team is None else eligible(name or "", team, active_gates)

    @property
    def queues(self) -> tuple[tuple[str, str], ...]:
        """The teams with a queue, each with the queue's name: where accounts wait that no member could take."""
        named = ((name, team.fallback or name) for name, team in self.definition.teams.items())
        return tuple((name, queue) for name, queue in named if queue not in self.members(name))

    def is_queued(self, state: RoutedState) -> bool:
        """Return whether the account is in the queue of its team."""
        one = state.enrollment
        if one is None or one.assignment is None or one.team is None:
            return False
        team = self.definition.teams.get(one.team)
        queue = one.team if team is None else team.fallback or one.team
        return one.owner == queue and queue not in self.members(one.team)

    def shifts(self, now: int) -> list[Shift]:
        """Return who takes new accounts now, and how many each team takes on its present day."""
        return [
            Shift(name, available(team, now), team.per_day, day_of(now, team.timezone))
            for name, team in self.definition.teams.items()
            if team.members or team.per_day is not None
        ]

    def ask_same(
        self, key: str, account: str, enrollment: Enrollment, state: RoutedState, now: int
    ) -> Assign | None:
        """Return the question for the owner of an enrollment that begins again: the same one, if there is room.

        The daily limit does not apply. None if the team no longer assigns owners.
        """
        name = enrollment.team
        team = self.team(name)
        if team is None or name is None:
            return None
        fallback, owner = team.fallback or name, enrollment.owner
        if owner == fallback:
            group: tuple[Candidate, ...] = ()
        else:
            group = candidates(name, team, state.active_gates, now)
            if all(one.name != owner for one in group):
                mine = (one for one in members(team) if one.name == owner)
                group += tuple(Candidate(one.name, one.weight, one.capacity) for one in mine)
        return Assign(
            key=key,
            account=account,
            team=name,
            strategy=team.strategy,
            candidates=group,
            preferred=() if owner is None else (owner,),
            fallback=fallback,
            eligible=eligible(name, team, state.active_gates),
        )

    def concerns(self, before: Policy) -> bool:
        """Return whether accounts may have to be decided again although none of their facts is judged again.

        That is where teams or limits changed, for accounts that wait for one, and where the suppressions that are lists
        or that hold for families did.
        """
        new, old = self.definition, before.definition
        if new.limits != old.limits:
            return True
        return new.teams != old.teams or list_files(new) != list_files(old) or self.family != before.family

    def has_to_look(self, account: str, state: RoutedState) -> bool:
        """Return whether an account may be decided otherwise than it was, with the teams and lists of now.

        One with relatives may have to tell them of gates that have come to count for the family.
        """
        suppressed = self.suppressed_by(account, state) is not None
        has_news = bool(self.family) and state.family is not None
        waits = state.decision in ("waiting", "capped") or self.is_queued(state)
        return has_news or waits or suppressed != (state.decision == "suppressed")

    def catch_up(self, account: str, target: Target, before: Policy) -> Target:
        """Return the target with the route, play and holdout that its segment has now; `before` is its own policy.

        A segment that is gone or got another name is left as it is: a change of the account follows.
        """
        segment = self._segments.get(target.segment)
        if segment is None or target.segment in self.definition.moved.values():
            return target
        route = segment.route
        drawn = self.definition.draws.draw(segment.name, account, target.effective_at)
        plays = self.definition.plays, before.definition.plays
        same = target.play == drawn.play and plays[0].get(target.play or "") == plays[1].get(
            target.play or ""
        )
        return msgspec.structs.replace(
            target,
            route=None if route is None else msgspec.convert(route.model_dump(), RouteSnapshot),
            play=drawn.play,
            holdout=drawn.holdout,
            experiment=drawn.experiment,
            variant=drawn.variant,
            message=target.message if same else None,
            version=self.version,
        )

    def message(self, account: str, target: Target) -> bytes | None:
        """Return the play as JSON for the account: as its change had it, or rendered from the stored values."""
        play = self._plays.get(target.play or "")
        if target.message is not None or play is None:
            return target.message
        said = render_play(play, account=account, segment=target.segment, values=target.values, evidence=())
        return msgspec.json.encode(said.play)

    def channel(self, play: str | None) -> str | None:
        """Return the primary channel of a play."""
        found = self.definition.plays.get(play or "")
        return None if found is None else found.channels.primary

    def number_of(self, version: str) -> int | None:
        """Return the number of the version with this fingerprint, if it is this one."""
        return self.number if version in ("", self.version) else None

    def cites(self, play: str | None) -> bool:
        """Whether a play's texts use evidence, which only the change carries."""
        compiled = self._plays.get(play or "")
        return compiled is None or compiled.asks_evidence

    def next_turn(self, team: str, now: int, settles_in: int) -> int:
        """Return when (ms) an account that waits for a team asks again: once the line has settled, or on the next day."""
        found = self.definition.teams.get(team)
        tomorrow = next_day(now, "UTC" if found is None else found.timezone)
        return min(now + settles_in, tomorrow) if settles_in > 0 else tomorrow

    def capped_until(self, state: RoutedState) -> int:
        """Return until when (ms) the limit over all workflows keeps the account out; 0 if it does not."""
        limits = self.definition.limits
        if limits is None or len(state.enrolled) < limits.enrollments:
            return 0
        return state.enrolled[-limits.enrollments] + parse_duration(limits.per)

    def cooled_down(self, state: RoutedState, target: Target) -> int:
        """Return when (ms) the account's cooldown in the target's workflow ends; 0 if there is none."""
        route = target.route
        left = None if route is None else state.left.get(route.workflow)
        if left is None or route is None or route.cooldown is None:
            return 0
        return left + parse_duration(route.cooldown)


class Policies(Protocol):
    """Finds the policy of a version. All policies of a prefix share the mode and the lists.

    Both methods raise TransientError while a version that exists is not read yet.
    """

    def of(self, fingerprint: str) -> Policy:
        """Return the policy of the version with this fingerprint; of the one in force if there is none."""
        ...

    def at(self, number: int) -> Policy:
        """Return the policy of a version by its number. 0 is the first version."""
        ...


class OnePolicy:
    """The policies of a prefix that has had one version."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def of(self, fingerprint: str) -> Policy:  # noqa: ARG002  # the port
        """Return the policy."""
        return self._policy

    def at(self, number: int) -> Policy:  # noqa: ARG002  # the port
        """Return the policy."""
        return self._policy


def list_files(definition: Definition) -> dict[str, str]:
    """Return the suppressions that are lists: name to path, as the file gives it."""
    return {
        one.name: one.file
        for one in definition.suppression
        if isinstance(one, Suppression) and one.file is not None
    }
