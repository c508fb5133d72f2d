"""Why accounts wait that may still be enrolled or owned, in the words that the console and the command line share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from resegment.routing.describe import workflow_of
from resegment.schemas.routing import RoutedState

if TYPE_CHECKING:
    from resegment.routing.policy import Policy

QUEUED: Final = "queued"
SETTLING: Final = "settling"
WAITING: Final = "waiting"
QUIET: Final = "quiet"
HOLDOUT: Final = "holdout"
REASONS: Final[Mapping[str, str]] = {
    QUEUED: "in a workflow, in the queue of a team: no owner has room or is on shift",
    SETTLING: "in the line of a team that has room today: who gets it is settled a little after the last one joined",
    WAITING: "in the line of a team whose limit of the day others have taken, or will take",
    "held": "rests on the absence of events whose source is silent",
    "capped": "has reached the limit of enrollments over all workflows",
    "cooldown": "left the workflow or lost a deal recently",
    "suppressed": "a suppression applies",
    QUIET: "left out by the routing mode or by a new version; `resegment routing enroll` enrolls it",
    HOLDOUT: "drawn for the comparison group of its segment, which no workflow gets",
}
"""Why an account waits that may still be enrolled, or owned, later, or is kept out without waiting."""
WORDS: Final[Mapping[str, str]] = {
    QUEUED: "in a queue",
    SETTLING: "line settles",
    WAITING: "limit of the day",
    "held": "held: silent source",
    "capped": "limit of enrollments",
    "cooldown": "cooldown",
    "suppressed": "suppressed",
    QUIET: "quiet",
    HOLDOUT: "held out",
}
"""The reasons in short."""
KEPT_OUT: Final = (QUIET, HOLDOUT)
"""The reasons of accounts that wait for nothing."""
_FOR_MEMBERS: Final = frozenset({QUEUED, SETTLING, WAITING})


def find_reason(state: RoutedState, policy: Policy) -> str | None:
    """Return for which of `REASONS` an account waits; None if it does not. Only its line knows whether that settles."""
    reason = QUEUED if policy.is_queued(state) else str(state.decision)
    return reason if reason in REASONS else None


def team_of(reason: str, state: RoutedState) -> str | None:
    """Return the team that has an account that waits, or would get it."""
    if reason == QUEUED and state.enrollment is not None:
        return state.enrollment.team
    route = None if state.target is None else state.target.route
    return None if route is None else route.team


class Takers:
    """Finds the members who may take an account: once for all accounts of a team with the same gates."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._found: dict[tuple[str | None, frozenset[str]], tuple[str, ...]] = {}

    def find(self, reason: str, state: RoutedState) -> tuple[str, ...]:
        """Return them for an account that waits; none where it does not wait for a member."""
        if reason not in _FOR_MEMBERS:
            return ()
        return self._of(team_of(reason, state), state.active_gates)

    def _of(self, team: str | None, gates: Collection[str]) -> tuple[str, ...]:
        key = team, frozenset(gates)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._policy.eligible(team, gates)
        return found


class WaitCounts:
    """Counts the accounts that wait. `take` each account once."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._takers = policy, Takers(policy)
        self.teams: dict[str | None, Counter[str]] = {}
        """By team, and by reason."""
        self.workflows: dict[str, Counter[str | None]] = {}
        """By reason, and by workflow."""
        self.members: Counter[str] = Counter()
        """Accounts that each member may take."""

    def take(self, state: RoutedState, *, settles: bool = False) -> None:
        """Count an account, if it waits; where it is in a line, `settles` says whether that does."""
        reason = SETTLING if settles else find_reason(state, self._policy)
        if reason is None:
            return
        self.teams.setdefault(team_of(reason, state), Counter())[reason] += 1
        self.workflows.setdefault(reason, Counter())[workflow_of(state)] += 1
        self.members.update(self._takers.find(reason, state))
