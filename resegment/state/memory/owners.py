"""The owner store in memory: the twin of the one in Redis, for tests and replays without a server."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from resegment.schemas.assignment import (
    Assign,
    Assigned,
    Candidate,
    Granted,
    Join,
    LineLook,
    Offer,
    OwnerReply,
    OwnerRequest,
    Queued,
    Rank,
    Release,
    Shift,
    Waiting,
)
from resegment.state.owner_store import (
    DAYS_KEPT,
    LONGEST_SETTLING,
    MemberLoad,
    OwnerLoads,
    QueueLoad,
    TeamLoad,
)
from resegment.state.weighted_round_robin import WeightedRoundRobin

SOON: Final = 2_000
"""After how long (ms) a granted account is offered that has not asked."""
AGAIN: Final = 30_000
"""After how long (ms) an account is offered again."""

Place = tuple[float, bytes]
"""Where an account is in a line."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a key holds: an owner, a place in a queue or a line, or a grant. `answer` is None for the last."""

    team: str
    account: str
    answer: Assigned | Waiting | None
    grant: Granted | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    first: int
    last: int
    settle: int

    @property
    def end(self) -> int:
        return min(self.last + self.settle, self.first + LONGEST_SETTLING)


@dataclass
class Owners:
    """The stored data. Several stores may share it, as workers share a server. Released keys are kept forever."""

    held: dict[str, Held] = field(default_factory=dict)
    released: dict[str, Held] = field(default_factory=dict)
    lines: defaultdict[str, dict[str, Place]] = field(default_factory=lambda: defaultdict(dict))
    windows: dict[str, _Window] = field(default_factory=dict)
    queues: dict[tuple[str, tuple[str, ...]], dict[str, int]] = field(default_factory=dict)
    """By team and members who may take them: keys, and since when they are there."""
    offered: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    """Granted keys that have not asked for an owner, and when to offer them."""
    open: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)
    turns: defaultdict[str, WeightedRoundRobin] = field(
        default_factory=lambda: defaultdict(WeightedRoundRobin)
    )
    granted: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


class OwnerStore:
    """See `resegment.state.owner_store.OwnerStore`. `clock` is that of the store, ms."""

    def __init__(self, owners: Owners | None = None, clock: Callable[[], int] | None = None) -> None:
        self.owners = owners or Owners()
        self._clock = clock or (lambda: int(time.time() * 1000))

    async def settle(
        self, asks: Sequence[OwnerRequest], times: Sequence[int] | None = None
    ) -> list[OwnerReply]:
        now = self._clock()
        given = [now] * len(asks) if times is None else times
        return [self._settle(ask, at) for ask, at in zip(asks, given, strict=True)]

    async def offer(self, shifts: Sequence[Shift], now: int | None = None) -> list[Offer]:
        owners, at = self.owners, self._clock() if now is None else now
        for shift in shifts:
            if shift.per_day is not None and owners.lines[shift.team]:
                self._grant(shift.team, shift.per_day, shift.day, at)
        offers = []
        for key, due in self._in_order(owners.ready):
            if due <= at:
                owners.ready[key] = at + AGAIN
                offers.append(Offer(owners.held[key].account, key))
        for key in self._find_takers({one.team: one.members for one in shifts}):
            if owners.offered.get(key, -AGAIN) + AGAIN <= at:
                owners.offered[key] = at
                offers.append(Offer(owners.held[key].account, key))
        return offers

    def _find_takers(self, on_shift: Mapping[str, Sequence[Candidate]]) -> list[str]:
        """Return the keys in queues that somebody on shift has room for: over all queues, the longest in one first."""
        queued, takers = dict[str, int](), dict[str, list[tuple[str, int]]]()
        for (team, eligible), queue in self.owners.queues.items():
            found = [(one.name, self._room(one)) for one in on_shift.get(team, ()) if one.name in eligible]
            queued |= queue
            takers |= dict.fromkeys(queue, found)
        taken: Counter[str] = Counter()
        keys = []
        for key, _ in self._in_order(queued):
            left = [(room - taken[name], name) for name, room in takers[key] if room > taken[name]]
            if left:
                _, name = max(left, key=lambda one: one[0])
                taken[name] += 1
                keys.append(key)
        return keys

    def _in_order(self, times: Mapping[str, int]) -> list[tuple[str, int]]:
        held = self.owners.held
        return sorted(times.items(), key=lambda one: (one[1], f"{held[one[0]].account}\0{one[0]}".encode()))

    async def line(self, team: str) -> list[str]:
        places = self.owners.lines[team]
        return sorted(places, key=lambda key: places[key])

    async def look_at_line(self, team: str, day: str, keys: Sequence[str] | None = None) -> LineLook:
        owners, window = self.owners, self.owners.windows.get(team)
        line = await self.line(team)
        places = {key: place for place, key in enumerate(line) if keys is None or key in keys}
        settles_at = None if window is None else window.end
        return LineLook(places, owners.granted[team][day], settles_at, None if keys is None else len(line))

    async def look(self) -> OwnerLoads:
        owners = self.owners
        names = {*(name for name, count in owners.open.items() if count), *owners.drawn, *owners.gone}
        return OwnerLoads(
            {name: MemberLoad(owners.open[name], owners.drawn[name], name in owners.gone) for name in names},
            {
                team: TeamLoad(dict(owners.granted[team]), len(owners.lines[team]))
                for team in list(owners.turns)
            },
            [
                QueueLoad(team, eligible, len(queue))
                for (team, eligible), queue in sorted(owners.queues.items())
                if queue and eligible
            ],
        )

    async def leave(self, member: str) -> None:
        self.owners.gone.add(member)

    async def come_back(self, member: str) -> None:
        self.owners.gone.discard(member)

    async def recount(
        self,
        open_: Mapping[str, tuple[str, str]],
        waiting: Collection[str],
        queued: Mapping[str, Queued] | None = None,
    ) -> None:
        owners = self.owners
        before, kept = owners.held, set(waiting) - open_.keys()
        owners.held = {
            key: held
            for key, held in before.items()
            if key in kept and (held.answer is None or isinstance(held.answer, Waiting))
        }
        for line in owners.lines.values():
            for key in line.keys() - owners.held.keys():
                del line[key]
        owners.open.clear()
        for key, (team, owner) in open_.items():
            was = before.get(key)
            listed = (queued or {}).get(key)
            is_queue = listed is not None or (
                was is not None and was.answer == Assigned(owner, is_queue=True)
            )
            account, grant = ("", None) if was is None else (was.account, was.grant)
            if listed is not None:
                account = listed.account
                if listed.eligible:
                    owners.queues.setdefault((team, listed.eligible), {})[key] = listed.at
            owners.held[key] = Held(team, account, Assigned(owner, is_queue), grant)
            if not is_queue:
                owners.open[owner] += 1
        for keys in (owners.ready, *owners.queues.values()):
            for key in keys.keys() - owners.held.keys():
                del keys[key]

    def _settle(self, ask: OwnerRequest, now: int) -> OwnerReply:
        match ask:
            case Release():
                self._release(ask.key)
                return None
            case Join():
                return self._join(ask, now)
        return self._assign(ask, now)

    # Lines

    def _join(self, ask: Join, now: int) -> Granted | Waiting:
        owners = self.owners
        gone = owners.released.get(ask.key)
        if gone is not None and not isinstance(gone.answer, Assigned):
            return Waiting()
        was = owners.held.get(ask.key, gone)
        if was is not None and not isinstance(was.answer, Waiting):
            return was.grant or Granted(ask.day, 0, 0, now)
        _ = owners.turns[ask.team]
        self._grant(ask.team, ask.per_day, ask.day, now)
        was = owners.held.get(ask.key)
        if was is None or was.grant is None:
            is_new = was is None or was.team != ask.team
            if was is not None and is_new:
                owners.lines[was.team].pop(ask.key, None)
            owners.lines[ask.team][ask.key] = _place(ask.rank, ask.key)
            owners.held[ask.key] = Held(ask.team, ask.account, Waiting())
            if is_new and ask.settle > 0:
                window = owners.windows.get(ask.team)
                first = now if window is None else window.first
                owners.windows[ask.team] = _Window(first, now, ask.settle)
            self._grant(ask.team, ask.per_day, ask.day, now)
            was = owners.held[ask.key]
        if was.grant is not None:
            return was.grant
        line, window = owners.lines[ask.team], owners.windows.get(ask.team)
        here = line[ask.key]
        ahead = sum(place < here for place in line.values())
        return Waiting(ahead, len(line), 0 if window is None else window.end - now)

    def _grant(self, team: str, per_day: int, day: str, now: int) -> None:
        """Grant the best of a line that has settled, as many as the day has room for."""
        owners = self.owners
        window = owners.windows.get(team)
        if window is not None and now < window.end:
            return
        owners.windows.pop(team, None)
        line, granted = owners.lines[team], owners.granted[team]
        of, room = len(line), max(per_day - granted[day], 0)
        for number, key in enumerate(sorted(line, key=lambda one: line[one])[:room], 1):
            for old in sorted(granted.keys() - {day})[: -DAYS_KEPT + 1]:
                del granted[old]
            granted[day] += 1
            del line[key]
            owners.held[key] = replace(owners.held[key], answer=None, grant=Granted(day, number, of, now))
            owners.ready[key] = now + SOON

    # Owners and queues

    def _assign(self, ask: Assign, now: int) -> Assigned | Waiting | None:
        owners = self.owners
        if ask.key in owners.released:
            return owners.released[ask.key].answer or Waiting()
        was = owners.held.get(ask.key)
        if was is not None and isinstance(was.answer, Assigned):
            return was.answer
        turns = owners.turns[ask.team]
        if was is not None:
            self._take_out(ask.key, was)
        owner = self._choose(ask, turns)
        if ask.queued is not None and owner is None:
            waits = owners.held.get(ask.queued)
            if waits is not None and isinstance(waits.answer, Assigned) and waits.answer.is_queue:
                since = [one[ask.queued] for one in owners.queues.values() if ask.queued in one]
                self._take_out(ask.queued, waits)
                self._queue(ask.queued, ask, min(since, default=now))
            return None
        if ask.queued is not None:
            self._release(ask.queued)
        answer = Assigned(ask.fallback, is_queue=True) if owner is None else Assigned(owner)
        if owner is None:
            self._queue(ask.key, ask, now)
        else:
            owners.open[owner] += 1
            owners.drawn[owner] += 1
        owners.held[ask.key] = Held(ask.team, ask.account, answer, None if was is None else was.grant)
        return answer

    def _queue(self, key: str, ask: Assign, since: int) -> None:
        if ask.eligible:
            self.owners.queues.setdefault((ask.team, ask.eligible), {})[key] = since

    def _choose(self, ask: Assign, turns: WeightedRoundRobin) -> str | None:
        room = [one for one in ask.candidates if self._room(one)]
        names = {one.name for one in room}
        for name in ask.preferred:
            if name in names:
                return name
        if not room:
            return None
        if ask.strategy == "least-loaded":
            best = room[0]
            for one in room[1:]:
                if self.owners.open[one.name] * best.weight < self.owners.open[best.name] * one.weight:
                    best = one
            return best.name
        return turns.draw([(one.name, one.weight) for one in room])

    def _room(self, one: Candidate) -> int:
        if one.name in self.owners.gone:
            return 0
        return 1_000_000 if one.capacity is None else max(one.capacity - self.owners.open[one.name], 0)

    def _release(self, key: str) -> None:
        owners = self.owners
        held = owners.held.pop(key, None)
        if held is None:
            return
        owners.released[key] = held
        self._take_out(key, held)
        if held.answer is None and held.grant is not None:
            granted = owners.granted[held.team]
            granted[held.grant.day] = max(granted[held.grant.day] - 1, 0)
        elif isinstance(held.answer, Assigned) and not held.answer.is_queue:
            owners.open[held.answer.owner] -= 1

    def _take_out(self, key: str, held: Held) -> None:
        """Take a key out of its line or queue."""
        owners = self.owners
        owners.lines[held.team].pop(key, None)
        owners.ready.pop(key, None)
        owners.offered.pop(key, None)
        for queue in owners.queues.values():
            queue.pop(key, None)


def _place(rank: Rank, key: str) -> Place:
    return rank.value, f"{rank.tie}\0{key}".encode()
