"""Measures of what happened last: by person, by deal, or in the whole account."""

from __future__ import annotations

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.measures.measures import Measure
from resegment.segmentation.language.conditions import Newest


class NewestOf(Measure):
    """Counts the groups of facts whose newest one has one of some actions. `series` are those of its matchers."""

    def __init__(self, series: tuple[int, ...], newest: Newest) -> None:
        self.series, self.by, self.folded = series, newest.by, newest.folded
        self._actions = frozenset(newest.actions)

    def value(self, account: Account, t: int) -> int:
        return len(self.facts(account, t))

    def facts(self, account: Account, t: int) -> list[Entry]:
        """Return the newest fact of each group that counts at t, in the order in which they happened."""
        groups: dict[str, Entry] = {}
        for number in self.series:
            series = account.series.get(number)
            if series is None:
                continue
            for newest in series.summarize(self, 0, series.reach(t), self._summarize):
                for group, entry in newest.items():
                    known = groups.get(group)
                    if known is None or _order(known) < _order(entry):
                        groups[group] = entry
        found = [entry for entry in groups.values() if (entry.data or {}).get("action") in self._actions]
        return sorted(found, key=_order)

    def _summarize(self, entries: list[Entry]) -> dict[str, Entry]:
        """Return the newest of consecutive facts by group."""
        return {self.group_of(entry): entry for entry in entries}

    def group_of(self, entry: Entry) -> str:
        """Return the group of a fact."""
        text = None if self.by is None else (entry.data or {}).get(self.by)
        if not isinstance(text, str):
            return ""
        return text.strip().casefold() if self.folded else text.strip()

    def matters(self, entry: Entry) -> bool:  # noqa: ARG002  # a grouping's signature
        """Whether the newest fact of a group says more than nothing would. That of these groups always does."""
        return True

    def boundary(self, account: Account, t: int) -> int:
        return min((account.boundary(number, 0, NEVER, t) for number in self.series), default=NEVER)


def _order(entry: Entry) -> tuple[int, str, str]:
    return entry.time, entry.id, entry.source
