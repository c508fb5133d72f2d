"""Forecast the entries and exits that time alone brings, if no further fact becomes known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from resegment.schemas.contracts.structs import struct_schema
from resegment.schemas.logs.log_framing import is_log
from resegment.schemas.logs.state_log import decode_head, decode_state, encode_state
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER, format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import changes_in, net_changes
from resegment.segmentation.versions.timeline import Timeline

DAY: Final = 86_400_000
MAX_TOP: Final = 10
"""How many moves a forecast names first."""


class ForecastMove(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}, gc=False):
    """One account that moves at an instant. `definition` is the version that moves it, null where time does."""

    account: str
    at: str
    from_: str
    to: str
    definition: int | None = None


class ForecastDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day (UTC), and the moves of that day: `entries` and `exits` by segment."""

    day: str
    moves: int
    entries: dict[str, int]
    exits: dict[str, int]


class SegmentForecast(msgspec.Struct, frozen=True, kw_only=True):
    """One segment: its size at the beginning, and at the end of each day."""

    name: str
    size: int
    sizes: tuple[int, ...]
    entries: int
    exits: int


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What comes from `at` to `until`, both included, with no further news.

    `accounts` counts those that have a segment, and `moving` those of them that move. `days` begins with the day of
    `at` and ends with that of `until`. `segments` are in the order of priority; `top` has the moves that touch the
    highest segments, the soonest first, and `moves` has all of them in the order of time.
    """

    at: str
    until: str
    accounts: int
    moving: int
    segments: tuple[SegmentForecast, ...]
    days: tuple[ForecastDay, ...]
    top: tuple[ForecastMove, ...]
    moves: tuple[ForecastMove, ...]


class Forecaster:
    """Looks ahead from `at` to `until` (ms), account by account. Nothing that it is given is changed."""

    def __init__(self, timeline: Timeline, at: int, until: int) -> None:
        self._timeline, self.at, self.until = timeline, at, until
        self._sizes: Counter[str] = Counter()
        self._moves: list[tuple[int, ForecastMove]] = []

    def take(self, account: Account) -> None:
        """Take an account that is in memory."""
        self._look(account.name, decode_state(encode_state(self._timeline.close(account))), None)

    def take_stored(self, name: str, value: bytes, folded: AccountState | None = None) -> None:
        """Take a stored account. `folded` are facts from the log, for a version that is still to come.

        Raises msgspec.DecodeError.
        """
        head = decode_head(value)
        deadline = NEVER if head.deadline is None else head.deadline
        held = head.membership.segment
        if (
            held is not None
            and is_log(value)  # of a state of an earlier release, the head has no deadline
            and deadline > self.until
            and not self._timeline.is_version_behind(head.version, self.until)
        ):
            self._sizes[held] += 1
            return
        self._look(name, decode_state(value), folded)

    def _look(self, name: str, state: AccountState, folded: AccountState | None) -> None:
        timeline = self._timeline
        account = timeline.open(name, state)
        if folded is not None:
            timeline.join_folded(account, folded)
        if account.state.membership.segment is None:
            return
        timeline.advance(account, self.at)
        self._sizes[account.state.membership.segment or ""] += 1
        for change in net_changes(changes_in(timeline.advance(account, self.until))):
            move = ForecastMove(
                account=name,
                at=format_instant(change.effective_at),
                from_=change.from_ or "",
                to=change.to or "",
                definition=change.cause.definition,
            )
            self._moves.append((change.effective_at, move))

    def finish(self, segment: str | None = None) -> Forecast:
        """Return the forecast of all accounts that were taken, or of one segment: who enters it and who leaves it."""
        moves = sorted(self._moves, key=lambda one: (one[0], one[1].account))
        if segment is not None:
            moves = [one for one in moves if segment in (one[1].from_, one[1].to)]
        names = self._rank(moves)
        ends = _ends_of_days(self.at, self.until)
        days: dict[int, list[ForecastMove]] = defaultdict(list)
        for at, move in moves:
            days[at // DAY].append(move)
        accounts = self._sizes.total() if segment is None else self._sizes[segment]
        return Forecast(
            at=format_instant(self.at),
            until=format_instant(self.until),
            accounts=accounts,
            moving=len({move.account for _, move in moves}),
            segments=tuple(
                _follow(name, self._sizes[name], moves, ends) for name in names if segment in (None, name)
            ),
            days=tuple(_describe_day(end // DAY, days[end // DAY]) for end in ends),
            top=_choose(moves, names),
            moves=tuple(move for _, move in moves),
        )

    @property
    def names(self) -> list[str]:
        """The names of the segments: those of the newest version first, each by priority, and others with accounts."""
        first = self._timeline.at(self.at)
        eras = [one for one in self._timeline.eras if first.at <= one.at <= self.until]
        names = [one.name for era in reversed(eras) for one in era.definition.segments]
        return list(dict.fromkeys([*names, *sorted(self._sizes)]))

    def _rank(self, moves: Iterable[tuple[int, ForecastMove]]) -> dict[str, int]:
        """Return the rank of each segment."""
        moved = [name for _, move in moves for name in (move.from_, move.to)]
        return {name: rank for rank, name in enumerate(dict.fromkeys([*self.names, *moved]))}


def _ends_of_days(at: int, until: int) -> list[int]:
    """Return the last instant of each day (UTC); the last day ends at `until`."""
    last = until // DAY
    return [*((day + 1) * DAY - 1 for day in range(at // DAY, last)), until]


def _follow(
    name: str, size: int, moves: Sequence[tuple[int, ForecastMove]], ends: Sequence[int]
) -> SegmentForecast:
    """Return the sizes of a segment at the ends of the days."""
    came = [at for at, move in moves if move.to == name]
    went = [at for at, move in moves if move.from_ == name]
    entered, left, sizes = 0, 0, []
    for end in ends:
        while entered < len(came) and came[entered] <= end:
            entered += 1
        while left < len(went) and went[left] <= end:
            left += 1
        sizes.append(size + entered - left)
    return SegmentForecast(name=name, size=size, sizes=tuple(sizes), entries=len(came), exits=len(went))


def _describe_day(day: int, moves: Sequence[ForecastMove]) -> ForecastDay:
    return ForecastDay(
        day=format_instant(day * DAY)[:10],
        moves=len(moves),
        entries=dict(Counter(one.to for one in moves).most_common()),
        exits=dict(Counter(one.from_ for one in moves).most_common()),
    )


def _choose(moves: Sequence[tuple[int, ForecastMove]], ranks: Mapping[str, int]) -> tuple[ForecastMove, ...]:
    """Return the moves that touch the highest segments, the soonest first; each account once."""

    def rank(one: tuple[int, ForecastMove]) -> tuple[int, int, str]:
        at, move = one
        return min(ranks[move.from_], ranks[move.to]), at, move.account

    first: dict[str, ForecastMove] = {}
    for _, move in sorted(moves, key=rank):
        first.setdefault(move.account, move)
        if len(first) == MAX_TOP:
            break
    return tuple(first.values())


def describe_forecast(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as plain JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(forecast)
    return plain


def forecast_schema() -> dict[str, Any]:
    """Return the JSON Schema of a forecast."""
    return struct_schema(Forecast, "A forecast, as `resegment forecast --json` prints it")
