"""Select the facts of a series that count at an instant: those in a window, and that no later fact undoes."""

from __future__ import annotations

from dataclasses import dataclass

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.measures.series import Series
from resegment.segmentation.language.conditions import Window


@dataclass(frozen=True, slots=True)
class Selection:
    """The facts of a series in a window. With `followers`, those before the newest fact of that series do not count."""

    series: int
    window: Window
    followers: int | None = None

    def span(self, account: Account, t: int) -> tuple[Series | None, int, int]:
        """Return the series, the first index that counts at t, and the one after the last."""
        series = account.series.get(self.series)
        if series is None:
            return None, 0, 0
        low, high = series.span(self.window.opens, self.window.closes, t)
        if self.followers is not None and (newest := self.newest_follower(account, t)) is not None:
            low = min(max(low, series.find(newest)), high)
        return series, low, high

    def newest_follower(self, account: Account, t: int) -> int | None:
        """Return the time of the newest follower at t."""
        followers = None if self.followers is None else account.series.get(self.followers)
        newest = None if followers is None else followers.newest_at(t)
        return None if newest is None else newest.time

    def entries(self, account: Account, t: int) -> list[Entry]:
        """Return the facts that count at t, oldest first."""
        series, low, high = self.span(account, t)
        return [] if series is None else series.entries[low:high]

    def boundary(self, account: Account, t: int) -> int:
        """Return the next instant after t at which a fact starts or stops counting, or NEVER."""
        instant = account.boundary(self.series, self.window.opens, self.window.closes, t)
        if self.followers is None or (followers := account.series.get(self.followers)) is None:
            return instant
        following = followers.next_after(t)
        return min(instant, following) if following != NEVER else instant
