"""A second, slow reading of docs/routing.md on versions: it remembers every state, and a rollback looks one up.

An account is in one workflow at most. Nothing here knows teams, times or keys; an enrollment has a number instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Route = Literal["none", "new-only", "all"]
Command = tuple[str, str]
"""`enroll` or `leave`, and the workflow."""

ONLY_ONCE = "w-once"
"""The workflow whose route says `reentry: never`."""


@dataclass(frozen=True)
class Event:
    """What happens to the account. `version` is None where it happens by itself.

    `move` goes to `segment`, `rename` is the same segment by another name, `gates` says whether a suppression holds.
    `void`: it takes the place of the event before, at the same instant.
    """

    kind: Literal["move", "rename", "gates"]
    segment: str = ""
    suppressed: bool = False
    version: int | None = None
    route: Route = "none"
    rollback_of: int | None = None
    void: bool = False


@dataclass(frozen=True)
class State:
    """Where the account is. `allowed`: whether its segment may enroll it at all, `running`: workflow and number."""

    segment: str | None = None
    suppressed: bool = False
    allowed: bool = True
    running: tuple[str, int] | None = None
    decision: str = "none"
    left: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()


@dataclass
class NaiveRouter:
    """Follows one account. `workflows` has the workflow of each segment, or None."""

    workflows: Mapping[str, str | None]
    events: list[Event] = field(default_factory=list)
    states: list[State] = field(default_factory=lambda: [State()])
    """The state before the first event, and after each."""
    numbers: int = 0

    def take(self, event: Event) -> Sequence[Command]:
        """Take the next event, and return what the workflows are told."""
        actual = self.states[-1].running
        if event.void:
            self.events.pop()
            voided = self.states.pop()
        before = self.states[-1]
        if event.void and event.segment == before.segment:
            event = Event("gates", suppressed=event.suppressed)  # nothing happened
            after = replace(self._go_back(voided, before, event), left=before.left)
            if event.suppressed and before.running is not None:
                after = replace(after, left=before.left | {before.running[0]})
        else:
            after = self._after(before, event)
        if event.void:
            after = replace(after, touched=after.touched | voided.touched)
            began = voided.running
            if after.running is None and began is not None and began[0] == self.workflows.get(event.segment):
                after = replace(after, left=after.left | {began[0]})
        commands = list(self._tell(actual, after.running))
        if commands and after.running is not None and after.running == before.running:
            after = replace(after, running=self._number(after.running[0]))
        if after.running is not None and after.running != actual:
            after = replace(after, touched=after.touched | {after.running[0], f"play {after.segment}"})
        self.events.append(event)
        self.states.append(after)
        return commands

    def _tell(self, old: tuple[str, int] | None, new: tuple[str, int] | None) -> Sequence[Command]:
        if old == new:
            return []
        made = []
        if old is not None and (new is None or new[0] != old[0]):
            made.append(("leave", old[0]))
        if new is not None:
            made.append(("enroll", new[0]))
        return made

    def _after(self, before: State, event: Event) -> State:
        if event.rollback_of is not None:
            past = self._past(event)
            if past is not None and past.segment == (event.segment or before.segment):
                return self._go_back(before, past, event)
        if event.kind == "gates":
            return self._after_gates(before, event)
        if event.kind == "rename":
            renamed = replace(before, segment=event.segment)
            return self._after_gates(renamed, event)
        return self._after_move(before, event)

    def _past(self, event: Event) -> State | None:
        """Return the state before the oldest version that a rollback takes back, unless it moved by itself since."""
        assert event.rollback_of is not None
        assert event.version is not None
        found = None
        for place in reversed(range(len(self.events))):
            one = self.events[place]
            if one.version is None and one.kind == "move":
                break
            if one.version is not None and event.rollback_of <= one.version < event.version:
                found = self.states[place]
        return found

    def _go_back(self, before: State, past: State, event: Event) -> State:
        """Return the state as if nothing had happened since, apart from what suppresses the account now."""
        was, running, left = past.running, before.running, before.left
        target = self.workflows[past.segment or ""]
        stays = running is not None and running[0] == (target if was is None else was[0])
        if running is not None and not stays:
            left |= {running[0]}
        back = replace(past, suppressed=event.suppressed, touched=before.touched, left=left, running=None)
        if was is None:
            stopped = event.kind == "gates" and event.suppressed
            if past.decision not in ("none", "suppressed") and (stopped or not stays):
                quiet = event.suppressed and past.decision == "quiet"
                left |= {running[0]} if stopped and running is not None else set()
                return replace(back, left=left, decision="suppressed" if quiet else back.decision)
            return self._enter(back, running if stays else None)
        if event.suppressed:
            return replace(back, decision="suppressed", left=left | {was[0]} if stays else left)
        if running == was:
            return replace(back, running=was, decision="enrolled")
        if not stays:
            left = left - {was[0]} | (past.left & {was[0]})
        return replace(back, running=self._number(was[0]), decision="enrolled", left=left)

    def _number(self, workflow: str) -> tuple[str, int]:
        self.numbers += 1
        return workflow, self.numbers

    def _after_gates(self, before: State, event: Event) -> State:
        after = replace(before, suppressed=event.suppressed)
        if event.suppressed:
            if before.running is not None:
                after = replace(after, running=None, left=before.left | {before.running[0]})
            if before.decision in ("no-route", "never-again"):
                return after
            return replace(after, decision="suppressed")
        if before.decision != "suppressed":
            return after
        if event.version is not None:
            after = replace(after, allowed=self._allows(event, before, before.segment or ""))
        return self._enter(after, None)

    def _after_move(self, before: State, event: Event) -> State:
        workflow = self.workflows[event.segment]
        allowed = event.version is None or self._allows(event, before, event.segment)
        after = replace(before, segment=event.segment, suppressed=event.suppressed, allowed=allowed)
        running = before.running
        if running is not None and running[0] == workflow:
            if event.version is not None and event.route != "all":
                if event.suppressed:
                    return self._enter(after, running)
                return replace(after, decision="enrolled")
            return self._enter(after, running)
        if running is not None:
            after = replace(after, running=None, left=before.left | {running[0]})
        return self._enter(after, None)

    def _allows(self, event: Event, before: State, segment: str) -> bool:
        if event.route != "new-only":
            return event.route == "all"
        known = before.touched | before.left
        return not {self.workflows[segment], f"play {segment}"} & known

    def _enter(self, state: State, running: tuple[str, int] | None) -> State:
        """Go through the list of decisions. `running` is an enrollment in the workflow of the segment, or in another."""
        workflow = self.workflows[state.segment or ""]
        stays = running is not None and running[0] == workflow
        out = replace(state, running=None)
        if stays and running is not None:
            out = replace(out, left=state.left | {running[0]})
        if workflow is None:
            return replace(out, decision="no-route")
        if state.suppressed:
            return replace(out, decision="suppressed")
        if not stays:
            if not state.allowed:
                return replace(out, decision="quiet")
            if workflow == ONLY_ONCE and workflow in state.left:
                return replace(out, decision="never-again")
        return replace(state, running=self._number(workflow), decision="enrolled")
