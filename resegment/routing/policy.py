"""Answer what a segments file says about routing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

import msgspec

from resegment.routing.family import gates_of_relatives
from resegment.routing.teams import candidates, day_of, members, next_day, preferred, rank
from resegment.schemas.assignment import Assign, Throttle
from resegment.schemas.routing import Mode, RoutedState, Target
from resegment.schemas.segments import OnExit, Qualification, Suppression, Team
from resegment.schemas.times import parse_duration
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.gates import suppression_gate
from resegment.segmentation.plays.rendering import render_play

WAITING_IS_LOOKED_AT: Final = 15 * 60_000
"""How often (ms) a waiting account asks again: others may have left the queue."""

FIRST_MODE: Final[Mode] = "none"
"""The mode of a prefix that has none set: a first load enrolls no account."""

Lists = Mapping[str, Collection[str]]
"""The accounts of each suppression that is a list, by its name."""


def mode_of(text: str | None) -> Mode:
    """Return the mode that a prefix keeps as text."""
    return next((one for one in get_args(Mode) if one == text), FIRST_MODE)


@dataclass
class Policy:
    """The routing rules of a definition. `lists` and `mode` may change while a worker runs."""

    definition: Definition
    lists: Lists = field(default_factory=dict)
    mode: Mode = "none"

    def __post_init__(self) -> None:
        definition = self.definition
        self._plays = definition.compiled_plays
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

    def members(self, team: str | None) -> frozenset[str]:
        """Return the names of a team's members."""
        found = self.definition.teams.get(team or "")
        return frozenset() if found is None else frozenset(one.name for one in members(found))

    def on_exit(self, segment: str) -> OnExit:
        """Return what to do with the segment's workflow when an account leaves it."""
        return self._exits.get(segment, "stop")

    def sla(self, qualification: str | None) -> int | None:
        """Return the time (ms) within which a command must be acknowledged."""
        return self._slas.get(qualification or "")

    def qualification(self, name: str | None) -> Qualification | None:
        """Return a qualification by its name; None if the file does not define it."""
        return self.definition.qualifications.get(name or "")

    def ask(
        self, key: str, account: str, state: RoutedState, now: int, *, again: bool = False
    ) -> Assign | None:
        """Return the question for the store of owners; None if the target's team assigns no owners.

        `again` says that the account is enrolled already, so that the daily limit does not apply.
        """
        target = state.target
        name = None if target is None or target.route is None else target.route.team
        team = self.team(name)
        if target is None or team is None or name is None:
            return None
        throttle = None
        if team.per_day is not None and not again:
            index = self._order.get(target.segment, len(self._order))
            throttle = Throttle(
                team.per_day, day_of(now), rank(team, index, target.effective_at, target.values)
            )
        return Assign(
            key=key,
            account=account,
            team=name,
            strategy=team.strategy,
            candidates=candidates(name, team, state.active_gates, now),
            preferred=preferred(team, account, state.owners.get(name)),
            fallback=team.fallback or name,
            throttle=throttle,
        )

    def message(self, account: str, target: Target) -> bytes | None:
        """Return the play as JSON for the account: as its change had it, or rendered from the stored values."""
        play = self._plays.get(target.play or "")
        if target.message is not None or play is None:
            return target.message
        said = render_play(play, account=account, segment=target.segment, values=target.values, evidence=())
        return msgspec.json.encode(said.play)

    def cites(self, play: str | None) -> bool:
        """Whether a play's texts use evidence, which only the change carries."""
        compiled = self._plays.get(play or "")
        return compiled is None or compiled.asks_evidence

    def look_again_at(self, now: int) -> int:
        """Return when a waiting account asks again."""
        return min(now + WAITING_IS_LOOKED_AT, next_day(now))

    def cooled_down(self, state: RoutedState, target: Target) -> int:
        """Return when (ms) the account's cooldown in the target's workflow ends; 0 if there is none."""
        route = target.route
        left = None if route is None else state.left.get(route.workflow)
        if left is None or route is None or route.cooldown is None:
            return 0
        return left + parse_duration(route.cooldown)


def list_files(definition: Definition) -> dict[str, str]:
    """Return the suppressions that are lists: name to path, as the file gives it."""
    return {
        one.name: one.file
        for one in definition.suppression
        if isinstance(one, Suppression) and one.file is not None
    }
