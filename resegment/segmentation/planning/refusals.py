"""Why a plan is not carried out."""

from __future__ import annotations

from resegment.errors import ResegmentError
from resegment.segmentation.planning.drift import NAMED, Drift, tolerate
from resegment.segmentation.planning.plan import Plan

AGAIN = "Make a new plan with `resegment plan`, look at it, and apply that."


class PlanStale(ResegmentError):
    """The accounts are no longer as the plan says: more of them depart from it than is tolerated."""

    def __init__(self, drift: Drift) -> None:
        flows = "; ".join(f"{count:,} {how}" for how, count in drift.flows()[:NAMED])
        names = ", ".join(one.account for one in drift.unforeseen[:NAMED])
        more = len(drift.unforeseen) - NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        super().__init__(
            f"the plan is stale: {len(drift.unforeseen):,} of {drift.accounts:,} accounts depart from it, and "
            f"{drift.tolerated:,} may ({drift.foreseen:,} others do by time alone, as foreseen). {flows}. "
            f"Accounts: {names}{rest}",
            remedy=AGAIN,
        )
        self.drift = drift


class BaseDiffers(ResegmentError):
    """Another version is in force than the plan was made for."""

    def __init__(self, plan: Plan, current: int) -> None:
        super().__init__(
            f"the plan is stale: it was made for version {plan.base.number}, and version {current} is in force",
            remedy=f"{AGAIN} `resegment plan --show` still shows this one.",
        )
        self.current = current


class PlanUsed(ResegmentError):
    """A saved plan is carried out once."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the plan was applied already, as version {version}", remedy=AGAIN)
        self.version = version


class NotAppliable(ResegmentError):
    """The plan was made from recorded events, not for a running prefix."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was made from recorded events, so it can only be shown",
            remedy="Plan on the running prefix: leave --events and --segments out.",
        )
        self.path = path


class HashDiffers(ResegmentError):
    """What would be applied is not what the hash approves."""

    def __init__(self, given: str, plan: Plan, problem: str) -> None:
        super().__init__(
            f"--plan-hash {given} approves another plan: {problem}",
            remedy=f"If the plan that is shown is right, have its hash approved: {plan.hash}.",
        )
        self.given = given


def check_hash(given: str, plan: Plan) -> None:
    """Raise HashDiffers unless a hash approves the plan.

    The hash of a plan that was made earlier still does if about as many accounts move: 1 % of all may depart, and 20
    in any case.
    """
    content, _, moved = given.strip().rpartition("-")
    own, _, _ = plan.hash.rpartition("-")
    if content != own or not moved.isdecimal():
        raise HashDiffers(given, plan, "the file, the version in force or --route differs")
    if abs(int(moved) - plan.moved) > tolerate(plan.accounts):
        problem = f"{int(moved):,} accounts were to move, and {plan.moved:,} would move now"
        raise HashDiffers(given, plan, problem)


class NothingBefore(ResegmentError):
    """The prefix has had one version only."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"version {number} is the only one that was ever in force: there is nothing to go back to"
        )


class InForce(ResegmentError):
    """A rollback names the version that is in force."""

    def __init__(self, number: int, before: int | None) -> None:
        super().__init__(
            f"version {number} is in force already",
            remedy=None
            if before is None
            else f"To undo it, go back to the one before: `resegment rollback {before}`.",
        )
        self.number = number


class NeverInForce(ResegmentError):
    """A rollback names a version that no switch ever led to."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"version {number} was never in force, so there is no going back to it",
            remedy=f"`resegment show {number}` prints its files: apply them.",
        )
        self.number = number


class NothingToResume(ResegmentError):
    """No apply is under way."""

    def __init__(self) -> None:
        super().__init__(
            "no apply is under way", remedy="`resegment history` shows the versions and how each ended."
        )


class NotSwitched(ResegmentError):
    """An interrupted apply has not got as far as its switch."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the apply of version {version} was interrupted before its switch: nothing has changed",
            remedy="Run the same apply again, with its file or plan: it continues.",
        )
        self.version = version
