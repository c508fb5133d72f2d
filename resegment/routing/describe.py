"""How an account stands with the router, in words and as plain data."""

from __future__ import annotations

from typing import Any, Final, get_args

from resegment.schemas.routing import Enrollment, Mode, RoutedState, RoutingDecision
from resegment.schemas.times import format_instant

DECISIONS: Final[tuple[RoutingDecision, ...]] = tuple(
    one for one in get_args(RoutingDecision) if one != "none"
)
"""What may be decided of an account that has had a change."""

MEANINGS: Final[dict[RoutingDecision, str]] = {
    "none": "nothing decided yet",
    "no-route": "in a segment that has no route",
    "suppressed": "never enrolled while a suppression holds",
    "holdout": "held out, to compare with",
    "quiet": "not enrolled by the mode; `resegment routing enroll` does",
    "never-again": "has been in the workflow, which takes nobody twice",
    "cooldown": "left the workflow too lately",
    "waiting": "waits for room in its team",
    "enrolled": "in a workflow",
    "rejected": "turned down by its owner",
}
"""What it means that something was decided."""

MODES: Final[dict[Mode, str]] = {
    "all": "every account is enrolled, also by the first segment that it enters",
    "changed": "accounts are enrolled when they move from one segment to another, not by the first that they enter",
    "none": "nobody is enrolled; who is in a workflow leaves it still",
}
"""What each mode does."""


def advise(mode: Mode, enrolled: int) -> str | None:
    """What to do where nobody is enrolled by the mode; `enrolled` accounts are in a workflow."""
    if mode != "none":
        return None
    if enrolled:
        return "nobody more is enrolled: `resegment routing set changed` goes on"
    return "nothing is enrolled yet: once your accounts are loaded, `resegment routing set changed`"


def words_of(state: RoutedState) -> str:
    """In which workflow the account is, since when and with whom; or why it is in none."""
    if state.decision == "none":
        return "not enrolled: it has entered no segment yet"
    if state.decision == "enrolled" and state.enrollment is not None:
        return _tell_enrollment(state.enrollment)
    since = f"since {_moment(state.since)}"
    if state.decision == "waiting":
        return f"not enrolled yet: waiting for {workflow_of(state)} {since} ({state.why})"
    return f"not enrolled: {_reason(state)} {since}"


def describe_routing(state: RoutedState) -> dict[str, Any]:
    """The same as plain JSON data. `workflow` and `team` are where the account is to go, where it is in none."""
    enrollment, target = state.enrollment, state.target
    route = None if target is None else target.route
    since, accept_by = since_of(state), None if enrollment is None else enrollment.accept_by
    return {
        "decision": state.decision,
        "why": state.why or None,
        "since": None if since is None else format_instant(since),
        "segment": None if target is None else target.segment,
        "workflow": workflow_of(state),
        "team": enrollment.team if enrollment is not None else None if route is None else route.team,
        "owner": None if enrollment is None else enrollment.owner,
        "accept_by": None if accept_by is None else format_instant(accept_by),
        "answer": None if enrollment is None else enrollment.answer,
        "text": words_of(state),
    }


def workflow_of(state: RoutedState) -> str | None:
    """The workflow that the account is in, or else the one that its segment leads to."""
    if state.enrollment is not None:
        return state.enrollment.workflow
    return None if state.target is None or state.target.route is None else state.target.route.workflow


def since_of(state: RoutedState) -> int | None:
    """Since when (ms) it is as decided; None where nothing was."""
    if state.decision == "enrolled" and state.enrollment is not None:
        return state.enrollment.at
    return None if state.decision == "none" else state.since


def _tell_enrollment(enrollment: Enrollment) -> str:
    parts = [f"enrolled in {enrollment.workflow} since {_moment(enrollment.at)}"]
    team = f" of {enrollment.team}" if enrollment.team not in (None, enrollment.owner) else ""
    if enrollment.owner is not None:
        parts.append(f"owner {enrollment.owner}{team}")
    if enrollment.answer == "accepted":
        parts.append("accepted")
    elif enrollment.accept_by is not None:
        by = _moment(enrollment.accept_by)
        parts.append(
            f"not accepted by {by}: escalated" if enrollment.answer == "escalated" else f"accept by {by}"
        )
    return ", ".join(parts)


def _reason(state: RoutedState) -> str:
    segment = "its segment" if state.target is None else state.target.segment
    match state.decision:
        case "no-route":
            return f"{segment} has no route,"
        case "suppressed":
            return f"suppressed ({state.why})"
        case "holdout":
            return f"held out of {segment}, to compare with,"
        case "quiet":
            mode = state.why.rpartition(" ")[2]
            if mode == "none":
                return f"routing was none when it entered {segment},"
            return f"{segment} is its first segment and routing was {mode},"
        case "never-again":
            return f"{state.why}, which takes nobody twice,"
        case "cooldown":
            return f"it left {workflow_of(state)} too lately, {state.why} it cools down,"
        case "rejected":
            return f"rejected by {state.why}" if state.why else "rejected"
    return state.decision


def _moment(ms: int) -> str:
    return format_instant(ms // 1000 * 1000)
