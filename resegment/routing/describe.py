"""The router's decision on an account, in words and as plain data."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, get_args

from resegment.routing.commands import tell_reason
from resegment.routing.decisions import AFTER_LOST, BY_DEFINITION
from resegment.routing.staffing.lines import Turn
from resegment.schemas.routing import Enrollment, Mode, RoutedState, RoutingDecision
from resegment.schemas.times import format_instant, format_second, parse_instant

DECISIONS: Final[tuple[RoutingDecision, ...]] = tuple(
    one for one in get_args(RoutingDecision) if one != "none"
)
"""The possible decisions on an account that has had a change."""

MEANINGS: Final[dict[RoutingDecision, str]] = {
    "none": "no decision yet",
    "no-route": "its segment has no route",
    "suppressed": "not enrolled while a suppression applies",
    "holdout": "held out as a comparison group",
    "quiet": "left out by the routing mode or by a new version; `resegment routing enroll` enrolls it",
    "never-again": "was in the workflow before, which never enrolls an account twice",
    "cooldown": "left the workflow or lost a deal recently, and is in cooldown",
    "capped": "has reached the limit of enrollments over all workflows",
    "held": "held back: it rests on the absence of events whose source is silent",
    "waiting": "waits for its turn in the line of its team, which takes only so many accounts a day",
    "enrolled": "in a workflow",
    "rejected": "rejected by its owner",
}
"""What each decision means."""

MODES: Final[dict[Mode, str]] = {
    "all": "every change enrolls an account, including its first segment",
    "changed": "only a move from one segment to another enrolls an account; its first segment does not",
    "none": "no account is enrolled; accounts that are already enrolled are still removed",
}
"""What each mode does."""


_UNTIL: Final = re.compile(r"until (\d{4}-\d\d-\d\dT[0-9:.]+Z)", re.ASCII)


_MOVES: Final = "when it moves to another segment"
ENDS: Final[dict[str, str]] = {
    "suppressed": "when the suppression no longer holds",
    "holdout": "not while it is in this segment",
    "cooldown": "when the cooldown is over",
    "waiting": "when it is its turn: each day the team takes the best of its line, up to its limit a day",
    "settling": "when the line has settled, if no better accounts take the room of today",
    "capped": "when the limit allows another enrollment",
    "held": "when the source is heard again, or `resegment routing enroll` names the account",
    "quiet": f"{_MOVES}, or `resegment routing enroll` enrolls it",
    "never-again": _MOVES,
    "rejected": _MOVES,
    "no-route": _MOVES,
    "queue": "when an owner has room, a shift begins, or somebody returns",
}
"""What ends each decision that keeps an account out of its workflow, a queue, and the wait until a line has settled."""


class Stop(NamedTuple):
    """What keeps an account from being enrolled, until when (ms; None where no time ends it), and what ends it.

    `estimated` says that others may move the time: it is the turn of an account in a line.
    """

    decision: str
    text: str
    until: int | None
    ends: str
    estimated: bool = False

    def describe(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        until = None if self.until is None else format_instant(self.until)
        return {
            "decision": self.decision,
            "text": self.text,
            "until": until,
            "ends": self.ends,
            "estimated": self.estimated,
        }


def find_stop(state: RoutedState, turn: Turn | None = None) -> Stop | None:
    """Return what keeps an account out of the workflow of its segment; None where it is in one, or nothing was decided.

    `turn` is that of an account that waits in a line: without it, nobody can say how long that takes.
    """
    if state.decision in ("none", "enrolled"):
        return None
    segment = "its segment" if state.target is None else state.target.segment
    workflow = _goal_of(state) or "a workflow"
    match = _UNTIL.search(state.why)
    if state.decision == "waiting":
        ends = ENDS["waiting"] if turn is None or not turn.settles else ENDS["settling"]
        until = None if turn is None else turn.at
        return Stop("waiting", _tell_stop(state, segment, workflow), until, ends, until is not None)
    until = parse_instant(match[1]) if match is not None else None
    return Stop(state.decision, _tell_stop(state, segment, workflow), until, ENDS[state.decision])


def describe_queue(state: RoutedState) -> Stop:
    """Return what an account waits for that is in a queue: nobody has taken it."""
    queue = None if state.enrollment is None else state.enrollment.owner
    return Stop("queue", f"it is in the queue {queue}: no owner has taken it", None, ENDS["queue"])


def _tell_stop(state: RoutedState, segment: str, workflow: str) -> str:
    """Say what keeps an account out."""
    after_lost = state.why.endswith(AFTER_LOST)
    told = {
        "suppressed": f"the suppression {state.why} holds for it",
        "holdout": f"it was drawn for the comparison group of {segment}, which no workflow gets",
        "cooldown": f"{'a deal was lost' if after_lost else f'it left {workflow}'} a short time ago",
        "waiting": f"it waits for {workflow}: {state.why}",
        "capped": f"it was enrolled often enough for now: {state.why}",
        "quiet": _tell_quiet(state.why, segment),
        "never-again": f"{state.why} before, and that workflow takes an account only once",
        "rejected": f"{state.why or 'its owner'} rejected it",
        "no-route": f"{segment} routes to no workflow",
    }
    return told.get(state.decision, state.why)


def tell_end(state: RoutedState, turn: Turn | None = None) -> str:
    """Say what ends that an account is kept out of its workflow; nothing where it is in one. `turn` as in `find_stop`."""
    stop = find_stop(state, turn)
    return "" if stop is None else f"; ends {stop.ends}" if stop.ends.startswith("when") else f"; {stop.ends}"


def advise(mode: Mode, enrolled: int) -> str | None:
    """Return advice if the mode enrolls no account; `enrolled` accounts are in a workflow."""
    if mode != "none":
        return None
    if enrolled:
        return "no more accounts are enrolled: `resegment routing set changed` resumes"
    return "no account is enrolled yet: once your accounts are loaded, run `resegment routing set changed`"


def words_of(state: RoutedState, stop: Stop | None = None) -> str:
    """Say which workflow the account is in, since when and with which owner; or why it is in none.

    `stop` is what keeps it from an owner: the name in place of an owner's is then that of its queue.
    """
    queued = stop is not None and stop.decision == "queue"
    if state.decision == "none":
        return "not enrolled: it is in no segment yet"
    if state.decision == "enrolled" and state.enrollment is not None:
        return _tell_enrollment(state.enrollment, queued=queued)
    since = f"since {format_second(state.since)}"
    if state.decision == "waiting":
        meanwhile = (
            ""
            if state.enrollment is None
            else f"; meanwhile {_tell_enrollment(state.enrollment, queued=queued)}"
        )
        return f"not enrolled yet: waiting for {_goal_of(state)} {since} ({state.why}){meanwhile}"
    return f"not enrolled: {_reason(state)}, {since}"


def tell_obstacle(state: RoutedState) -> str:
    """Say what keeps an account that is in no workflow out of it, without since when."""
    if state.decision == "waiting":
        return f"waiting for {_goal_of(state)} ({state.why})"
    return _reason(state)


def describe_routing(state: RoutedState, turn: Turn | None = None) -> dict[str, Any]:
    """Return the same as plain JSON data. If the account is in no workflow, `workflow` and `team` are its route.

    `stopped_by` says what keeps it out, until when, and what ends that; `turn` as in `find_stop`.
    """
    enrollment, target = state.enrollment, state.target
    route = None if target is None else target.route
    since, accept_by = since_of(state), None if enrollment is None else enrollment.accept_by
    stop = find_stop(state, turn)
    return {
        "decision": state.decision,
        "why": state.why or None,
        "because": (None if target is None else tell_reason(target.evidence)) or None,
        "since": None if since is None else format_instant(since),
        "segment": None if target is None else target.segment,
        "workflow": workflow_of(state),
        "team": enrollment.team if enrollment is not None else None if route is None else route.team,
        "owner": None if enrollment is None else enrollment.owner,
        "accept_by": None if accept_by is None else format_instant(accept_by),
        "answer": None if enrollment is None else enrollment.answer,
        "stopped_by": None if stop is None else stop.describe(),
        "text": words_of(state),
    }


def tell_why(state: RoutedState) -> str:
    """Say why an account is enrolled, by the tests of its segment; or why it is not, by the rule that keeps it out."""
    if state.decision == "enrolled":
        return "" if state.target is None else tell_reason(state.target.evidence)
    return state.why


def workflow_of(state: RoutedState) -> str | None:
    """Return the workflow of the account, or else the one that its segment routes to."""
    return _goal_of(state) if state.enrollment is None else state.enrollment.workflow


def _goal_of(state: RoutedState) -> str | None:
    """Return the workflow that the account's segment routes to."""
    return None if state.target is None or state.target.route is None else state.target.route.workflow


def since_of(state: RoutedState) -> int | None:
    """Return since when (ms) the decision stands; None without a decision."""
    if state.decision == "enrolled" and state.enrollment is not None:
        return state.enrollment.at
    return None if state.decision == "none" else state.since


def _tell_enrollment(enrollment: Enrollment, *, queued: bool) -> str:
    parts = [f"enrolled in {enrollment.workflow} since {format_second(enrollment.at)}"]
    team = f" of {enrollment.team}" if enrollment.team not in (None, enrollment.owner) else ""
    if enrollment.owner is not None:
        parts.append(f"{'in the queue' if queued else 'owner'} {enrollment.owner}{team}")
    if enrollment.answer == "accepted":
        parts.append("accepted")
    elif enrollment.accept_by is not None:
        by = format_second(enrollment.accept_by)
        parts.append(
            f"not accepted by {by}: escalated" if enrollment.answer == "escalated" else f"accept by {by}"
        )
    return ", ".join(parts)


def _reason(state: RoutedState) -> str:
    segment = "its segment" if state.target is None else state.target.segment
    match state.decision:
        case "no-route":
            return f"{segment} has no route"
        case "suppressed":
            return f"suppressed ({state.why})"
        case "holdout":
            return f"held out of {segment} as a comparison group"
        case "quiet":
            return _tell_quiet(state.why, segment)
        case "never-again":
            return f"{state.why} before, which never enrolls an account twice"
        case "cooldown":
            if state.why.endswith(AFTER_LOST):
                return f"in cooldown {state.why}"
            return f"in cooldown {state.why} after leaving {workflow_of(state)}"
        case "capped" | "held":
            return state.why
        case "rejected":
            return f"rejected by {state.why}" if state.why else "rejected"
    return state.decision


def _tell_quiet(why: str, segment: str) -> str:
    if why.startswith(BY_DEFINITION):
        return why
    mode = why.rpartition(" ")[2]
    if mode == "none":
        return f"routing was none when it entered {segment}"
    return f"{segment} is its first segment and routing was {mode}"
