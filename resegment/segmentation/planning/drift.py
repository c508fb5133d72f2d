"""Compare a saved plan with the world of today: what moved by time alone was foreseen, the rest counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from resegment.segmentation.planning.judging import Judgment
from resegment.segmentation.planning.plan import Move, PartitionInstant, Plan

TOLERATED_SHARE: Final = 0.01
TOLERATED_ACCOUNTS: Final = 20
NAMED: Final = 20
"""How many accounts a refusal names."""


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """One account that is not where the plan says, or would not move as it says, and how in words."""

    account: str
    how: str


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How the world moved since a plan was made.

    `foreseen` counts the accounts that depart from the plan because time passed, and for no other reason.
    """

    accounts: int
    foreseen: int
    unforeseen: tuple[Departure, ...]

    @property
    def tolerated(self) -> int:
        """How many unforeseen departures are accepted."""
        return tolerate(self.accounts)

    @property
    def is_too_much(self) -> bool:
        """Whether the plan has to be made again."""
        return len(self.unforeseen) > self.tolerated

    def flows(self) -> list[tuple[str, int]]:
        """Return how accounts depart and how many do so, the most first."""
        counts = Counter(one.how for one in self.unforeseen)
        return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


class News:
    """Notes, while a plan is made, which accounts have changed since an earlier plan.

    `since` is where the earlier plan knew each partition.
    """

    def __init__(self, since: Sequence[PartitionInstant]) -> None:
        self._since = {one.number: one for one in since}
        self.known: set[str] = set()
        """Accounts that learned of a fact."""
        self.entered: dict[str, tuple[str, str]] = {}
        """Accounts that learned of a fact and are in another segment than before: from and to."""

    def restart(self) -> News:
        """Return one that has noted nothing yet."""
        return News(list(self._since.values()))

    def add(self, other: News) -> None:
        """Add what another process has noted."""
        self.known |= other.known
        self.entered |= other.entered

    def note(self, one: Judgment, partition: int) -> None:
        """Note one account."""
        since = self._since.get(partition)
        clock = -1 if since is None else since.clock
        if one.news < clock:
            return
        if since is not None and one.news == clock and since.latest.get(one.account) == one.latest:
            return
        self.known.add(one.account)
        if one.entered > clock - (one.news == clock) and one.came_from not in (None, one.before):
            self.entered[one.account] = (one.came_from or "", one.before)


def tolerate(accounts: int) -> int:
    """Return how many accounts may depart from a plan: 1 % of all, and 20 in any case."""
    return max(TOLERATED_ACCOUNTS, int(accounts * TOLERATED_SHARE))


def find_drift(saved: Plan, fresh: Plan, news: News) -> Drift:
    """Compare the moves of a saved plan with those of one that was made just now, while `news` was noted.

    An account that learned of no fact since the saved plan can have been moved by time alone: that was foreseen.
    """
    planned = {one.account: one for one in saved.moves}
    today = {one.account: one for one in fresh.moves}
    foreseen, unforeseen = 0, []
    for account in sorted({*planned, *today, *news.entered}):
        then, now, came = planned.get(account), today.get(account), news.entered.get(account)
        if then == now and came is None:
            continue
        if account not in news.known:
            foreseen += 1
            continue
        unforeseen.append(Departure(account=account, how=_tell(then, now, came)))
    return Drift(
        accounts=max(saved.accounts, fresh.accounts), foreseen=foreseen, unforeseen=tuple(unforeseen)
    )


def _tell(then: Move | None, now: Move | None, came: tuple[str, str] | None) -> str:
    if then == now and came is not None:
        return f"moved from {came[0]} to {came[1]} since the plan"
    if then is None:
        assert now is not None
        return f"was not planned to move, and would move from {now.from_} to {now.to} now"
    planned = f"was planned to move from {then.from_} to {then.to}"
    if now is None:
        return f"{planned}, and would not move now"
    return f"{planned}, and would move from {now.from_} to {now.to} now"
