"""What a history of changes says as a whole: sizes over time, flows, dwell times, accounts that flap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from resegment.schemas.change import SegmentChange
from resegment.schemas.times import format_instant

MAX_FLAPPING: Final = 10
"""How many accounts with the most moves a summary names."""


class Move(NamedTuple):
    """What of a net change a summary counts; in order by time."""

    at: int
    account: str
    sequence_number: int
    from_: str | None
    to: str

    @classmethod
    def of(cls, change: SegmentChange) -> Move:
        """Return the move that a change is."""
        return cls(change.effective_at, change.account, change.sequence_number, change.from_, change.to or "")


@dataclass(frozen=True, slots=True)
class SegmentHistory:
    """One segment over time.

    `sizes` has the number of accounts at the end of each bucket, `size` the last of them and `peak` the greatest number
    at any instant. `stays` counts those that ended; `median` and `p90` are their lengths in ms, None without any.
    """

    name: str
    sizes: tuple[int, ...]
    size: int
    peak: int
    entries: int
    stays: int
    median: int | None
    p90: int | None
    target: float | None = None
    """How many accounts the segments file wants it to have."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How many times an account moved from one segment to another; None: it was seen for the first time."""

    from_: str | None
    to: str
    count: int


@dataclass(frozen=True, slots=True)
class Restless:
    """An account that moved often: how often, where it is, and the segments by number of entries."""

    account: str
    moves: int
    segment: str
    visited: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A history from `begin` to `end` (ms, both included).

    `moves` leaves the first placements out; `later` counts the moves after `end`, which are in nothing else here. `segments` are in the order of priority.
    """

    begin: int
    end: int
    accounts: int
    moves: int
    later: int
    segments: tuple[SegmentHistory, ...]
    flows: tuple[Flow, ...]
    flapping: tuple[Restless, ...]


def summarise(
    moves: Iterable[Move],
    segments: Sequence[str],
    *,
    end: int | None = None,
    buckets: int = 60,
    targets: Mapping[str, float] | None = None,
) -> Summary:
    """Sum up moves, in whatever order they come.

    `segments` are the names in the order of priority. Without `end`, the last move ends the history.
    """
    every = sorted(moves)
    counted = every if end is None else [one for one in every if one.at <= end]
    if end is None:
        end = every[-1].at if every else 0
    begin = counted[0].at if counted else end
    tally = _Tally(segments, begin, end, max(1, buckets))
    for move in counted:
        tally.add(move)
    tally.pass_time(end + 1)
    return Summary(
        begin=begin,
        end=end,
        accounts=len(tally.where),
        moves=sum(tally.moves.values()),
        later=len(every) - len(counted),
        segments=tuple(
            replace(tally.history(name), target=(targets or {}).get(name)) for name in tally.sizes
        ),
        flows=tuple(
            Flow(from_, to, count)
            for (from_, to), count in sorted(
                tally.flows.items(), key=lambda one: (-one[1], one[0][0] or "", one[0][1])
            )
        ),
        flapping=tuple(tally.restless()),
    )


def describe_summary(summary: Summary) -> dict[str, Any]:
    """Return a summary as the command line prints it: JSON, instants as RFC 3339, lengths in seconds."""
    return {
        "begin": format_instant(summary.begin),
        "end": format_instant(summary.end),
        "accounts": summary.accounts,
        "moves": summary.moves,
        "later": summary.later,
        "segments": [
            {
                "name": one.name,
                "size": one.size,
                "target": one.target,
                "peak": one.peak,
                "entries": one.entries,
                "stays": one.stays,
                "median_seconds": None if one.median is None else one.median / 1000,
                "p90_seconds": None if one.p90 is None else one.p90 / 1000,
                "sizes": one.sizes,
            }
            for one in summary.segments
        ],
        "flows": [{"from": one.from_, "to": one.to, "count": one.count} for one in summary.flows],
        "flapping": [
            {"account": one.account, "moves": one.moves, "segment": one.segment, "visited": dict(one.visited)}
            for one in summary.flapping
        ],
    }


class _Tally:
    """Counts moves in the order of time."""

    def __init__(self, segments: Sequence[str], begin: int, end: int, buckets: int) -> None:
        self.sizes = dict.fromkeys(segments, 0)
        self.where: dict[str, tuple[str, int]] = {}
        self.moves: Counter[str] = Counter()
        self.flows: Counter[tuple[str | None, str]] = Counter()
        self._peaks = dict(self.sizes)
        self._entries: Counter[str] = Counter()
        self._stays: dict[str, list[int]] = {name: [] for name in segments}
        self._visits: dict[str, Counter[str]] = {}
        self._rows: list[dict[str, int]] = []
        span = end + 1 - begin
        self._bounds = [begin + span * number // buckets for number in range(1, buckets + 1)]
        self._at = begin
        self._changed: set[str] = set()

    def add(self, move: Move) -> None:
        if move.at != self._at:
            self.pass_time(move.at)
        before = self.where.get(move.account)
        if before is not None:
            left, since = before
            self.sizes[left] -= 1
            self._stays.setdefault(left, []).append(move.at - since)
            self.moves[move.account] += 1
        self.where[move.account] = (move.to, move.at)
        self.sizes[move.to] = self.sizes.get(move.to, 0) + 1
        self._changed.add(move.to)
        self._entries[move.to] += 1
        self._visits.setdefault(move.account, Counter())[move.to] += 1
        self.flows[move.from_, move.to] += 1

    def pass_time(self, at: int) -> None:
        """Everything of the last instant is in: note its peaks, and the buckets that end before or at `at`."""
        for name in self._changed:
            self._peaks[name] = max(self._peaks.get(name, 0), self.sizes[name])
        self._changed.clear()
        while len(self._rows) < len(self._bounds) and self._bounds[len(self._rows)] <= at:
            self._rows.append(dict(self.sizes))
        self._at = at

    def history(self, name: str) -> SegmentHistory:
        stays = sorted(self._stays.get(name, ()))
        sizes = tuple(row.get(name, 0) for row in self._rows)
        return SegmentHistory(
            name=name,
            sizes=sizes,
            size=self.sizes[name],
            peak=self._peaks.get(name, 0),
            entries=self._entries[name],
            stays=len(stays),
            median=_quantile(stays, 50),
            p90=_quantile(stays, 90),
        )

    def restless(self) -> Iterable[Restless]:
        most = sorted(self.moves.items(), key=lambda one: (-one[1], one[0]))[:MAX_FLAPPING]
        for account, moves in most:
            if moves > 1:
                yield Restless(
                    account, moves, self.where[account][0], tuple(self._visits[account].most_common())
                )


def _quantile(ordered: Sequence[int], percent: int) -> int | None:
    """Return the nearest rank: the least value that `percent` of all do not exceed."""
    if not ordered:
        return None
    return ordered[-(-len(ordered) * percent // 100) - 1]
