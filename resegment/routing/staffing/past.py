"""What the router decided on an account before, from the account's own log and from the commands that Kafka still has."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from resegment.routing.commands import tell_reason
from resegment.routing.describe import MEANINGS
from resegment.schemas.logs.decision_log import MOST, LoggedDecision
from resegment.schemas.routing import RoutedState
from resegment.schemas.times import format_instant, format_second

SENT_WITHIN: Final = 600_000
"""Milliseconds between a decision and its command, beyond which they are not taken to belong together."""


class PastDecision(NamedTuple):
    """One decision or command, and why: the reason of the router, then the tests that put the account there."""

    at: int
    what: str
    segment: str
    workflow: str | None
    owner: str | None
    why: str

    def describe(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {**self._asdict(), "at": format_instant(self.at), "why": self.why or None}


def tell_history(state: RoutedState, sent: Collection[PastDecision]) -> list[PastDecision]:
    """Return what was decided on an account, oldest first; `sent` are its commands in their order, as far as they are kept.

    Commands count from before the account's own log begins. They also say why the account was enrolled in segments
    that it has left.
    """
    log = state.log
    begins = log[0].at if log else None
    earlier = [one for one in sent if begins is None or one.at < begins]
    return [*_in_order(earlier), *(_tell(state, one, sent) for one in log)]


def _in_order(sent: Iterable[PastDecision]) -> list[PastDecision]:
    """Order commands by their times. Those of one instant stay as they were sent: one workflow stops, and another begins."""
    return sorted(sent, key=lambda one: one.at)


def find_gaps(state: RoutedState, kept_days: int) -> list[str]:
    """Return what a history cannot know, one sentence each. `kept_days` is how long Kafka keeps commands, 0 means forever."""
    log, gaps = state.log, []
    if len(log) >= MOST:
        gaps.append(
            f"the account keeps its latest {MOST} decisions: of earlier ones, only commands are known"
        )
    elif not log:
        gaps.append("the account has no decisions of its own yet: they are kept since this release")
    if kept_days and (len(log) >= MOST or not log):
        gaps.append(f"commands are known for {kept_days} days, as long as Kafka keeps them")
    return gaps


_ENDED: Final = {"stop": "taken out of", "finish": "left to finish", "pause": "paused in"}
"""What a command that ends an enrollment did, in words."""


class PastStanding(NamedTuple):
    """Where an account stood with workflows at an instant: in which, with which owner, since when (ms); and what was decided.

    `decision` is the latest one, None where none is known. `begins` is when the account's own log of decisions begins, if
    that is later: of the time before, only commands are known.
    """

    decision: PastDecision | None
    workflow: str | None = None
    owner: str | None = None
    since: int | None = None
    begins: int | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "decision": None if self.decision is None else self.decision.describe(),
            "workflow": self.workflow,
            "owner": self.owner,
            "since": None if self.since is None else format_instant(self.since),
            "only_commands_before": None if self.begins is None else format_instant(self.begins),
            "text": tell_standing(self),
        }


def find_standing(state: RoutedState | None, sent: Collection[PastDecision], at: int) -> PastStanding:
    """Return where an account stood at an instant (ms). `sent` are its commands in their order, as far as they are kept."""
    history = _in_order(sent) if state is None else tell_history(state, sent)
    found = PastStanding(None)
    for one in history:
        if one.at > at:
            break
        match one.what:
            case "enrolled":
                found = found._replace(workflow=one.workflow, owner=one.owner or None, since=one.at)
            case "reassign":
                found = found._replace(owner=one.owner or None)
            case "stop" | "finish" | "pause" if one.workflow == found.workflow:
                found = found._replace(workflow=None, owner=None, since=None)
            case "rejected":
                found = found._replace(workflow=None, owner=None, since=None)
        if one.what != "escalate":
            found = found._replace(decision=one)
    log = () if state is None else state.log
    begins = log[0].at if log and log[0].at > at else None
    return found._replace(begins=begins)


def tell_standing(one: PastStanding) -> str:
    """Say where an account stood, in one sentence."""
    decision = one.decision
    if one.workflow is not None and one.since is not None:
        owner = "" if one.owner is None else f", owner {one.owner}"
        told = f"enrolled in {one.workflow} since {format_second(one.since)}{owner}"
        if decision is not None and decision.what == "waiting":
            return f"waiting for {decision.workflow} ({decision.why}); meanwhile {told}"
        return told
    if decision is None:
        return "no decision of the router is known"
    why = f" ({decision.why})" if decision.why else ""
    if decision.what in _ENDED:
        return f"in no workflow: {_ENDED[decision.what]} {decision.workflow} on {format_second(decision.at)}{why}"
    return f"not enrolled: {decision.what}{why}, since {format_second(decision.at)}"


def received_since(
    rows: Iterable[tuple[str, RoutedState]], owner: str, since: int
) -> list[tuple[str, PastDecision, RoutedState]]:
    """Return the accounts that an owner got since an instant (ms), the newest first, with their states now."""
    found = []
    for name, state in rows:
        got = [one for one in state.log if one.owner == owner and one.what in ("enrolled", "reassign")]
        running = state.enrollment
        if not got and running is not None and running.owner == owner:  # from before accounts kept a log
            got = [LoggedDecision(running.at, "enrolled", owner, running.segment, running.workflow, owner)]
        found += [(name, _tell(state, one), state) for one in got if one.at >= since]
    return sorted(found, key=lambda one: (-one[1].at, one[0]))


def tell_now(owner: str, state: RoutedState) -> str:
    """Say where an account that an owner got is now."""
    running = state.enrollment
    if running is None:
        return state.decision if not state.why else f"{state.decision}: {state.why}"
    if running.owner == owner:
        return "accepted" if running.answer == "accepted" else "theirs"
    return f"now {running.owner}" if running.owner else f"in {running.workflow}"


def _tell(state: RoutedState, one: LoggedDecision, sent: Collection[PastDecision] = ()) -> PastDecision:
    why = "" if one.what == "enrolled" else one.why
    target = state.target
    if one.what in ("enrolled", "reassign"):
        if target is not None and target.segment == one.segment:
            why = "; ".join(filter(None, (why, tell_reason(target.evidence))))
        else:
            why = _find_reason(one, sent) or why
    meaning = MEANINGS.get(one.what) if not why and one.what != "enrolled" else None  # type: ignore[call-overload]  # a command has none
    return PastDecision(one.at, one.what, one.segment, one.workflow, one.owner, why or meaning or "")


def _find_reason(one: LoggedDecision, sent: Collection[PastDecision]) -> str:
    """Return what the command of a decision says of its reason; nothing if it is not kept."""
    about = one.what, one.segment, one.workflow, one.owner
    same = [each for each in sent if (each.what, each.segment, each.workflow, each.owner) == about]
    nearest = min(same, key=lambda each: abs(each.at - one.at), default=None)
    return nearest.why if nearest is not None and abs(nearest.at - one.at) <= SENT_WITHIN else ""
