"""The owner store in memory: the twin of the one in Redis, for tests and replays without a server."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from resegment.schemas.assignment import (
    Assign,
    Assigned,
    Candidate,
    OwnerReply,
    OwnerRequest,
    Release,
    Throttle,
    Waiting,
)
from resegment.state.owner_store import DAYS_KEPT, MemberLoad, OwnerLoads, TeamLoad
from resegment.state.weighted_round_robin import WeightedRoundRobin


@dataclass(frozen=True, slots=True)
class _Held:
    """What a key holds: an owner, or a place in the queue."""

    team: str
    answer: Assigned | Waiting


@dataclass
class Owners:
    """The stored data. Several stores may share it, as workers share a server. Released keys are kept forever."""

    held: dict[str, _Held] = field(default_factory=dict)
    released: dict[str, _Held] = field(default_factory=dict)
    waiting: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    open: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)
    turns: defaultdict[str, WeightedRoundRobin] = field(
        default_factory=lambda: defaultdict(WeightedRoundRobin)
    )
    granted: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


class OwnerStore:
    """See `resegment.state.owner_store.OwnerStore`."""

    def __init__(self, owners: Owners | None = None) -> None:
        self.owners = owners or Owners()

    async def settle(self, asks: Sequence[OwnerRequest]) -> list[OwnerReply]:
        return [self._settle(ask) for ask in asks]

    async def look(self) -> OwnerLoads:
        owners = self.owners
        names = {*(name for name, count in owners.open.items() if count), *owners.drawn, *owners.gone}
        return OwnerLoads(
            {name: MemberLoad(owners.open[name], owners.drawn[name], name in owners.gone) for name in names},
            {
                team: TeamLoad(dict(owners.granted[team]), len(owners.waiting[team]))
                for team in list(owners.turns)
            },
        )

    async def leave(self, member: str) -> None:
        self.owners.gone.add(member)

    async def come_back(self, member: str) -> None:
        self.owners.gone.discard(member)

    async def recount(self, open_: Mapping[str, tuple[str, str]], waiting: Collection[str]) -> None:
        owners = self.owners
        before, kept = owners.held, set(waiting) - open_.keys()
        owners.held = {
            key: held for key, held in before.items() if key in kept and isinstance(held.answer, Waiting)
        }
        for ranks in owners.waiting.values():
            for key in ranks.keys() - kept:
                del ranks[key]
        owners.open.clear()
        for key, (team, owner) in open_.items():
            was = before.get(key)
            is_queue = was is not None and was.answer == Assigned(owner, is_queue=True)
            owners.held[key] = _Held(team, Assigned(owner, is_queue))
            if not is_queue:
                owners.open[owner] += 1

    def _settle(self, ask: OwnerRequest) -> OwnerReply:
        if isinstance(ask, Release):
            self._release(ask.key)
            return None
        return self._assign(ask)

    def _assign(self, ask: Assign) -> OwnerReply:
        owners = self.owners
        held = owners.held.get(ask.key)
        known = owners.released.get(ask.key) if held is None else held
        if known is not None and not (known is held and isinstance(known.answer, Waiting)):
            return known.answer
        turns = owners.turns[ask.team]
        if held is not None:
            del owners.waiting[held.team][ask.key]
        if ask.throttle is not None:
            ahead = self._wait(ask, ask.throttle)
            if ahead is not None:
                return ahead
        owner = self._choose(ask, turns)
        answer = Assigned(ask.fallback, is_queue=True)
        if owner is not None:
            answer = Assigned(owner)
            owners.open[owner] += 1
            owners.drawn[owner] += 1
        owners.held[ask.key] = _Held(ask.team, answer)
        return answer

    def _wait(self, ask: Assign, throttle: Throttle) -> Waiting | None:
        """Return None if the account need not wait: it then counts toward the day's limit."""
        waiting, granted = self.owners.waiting[ask.team], self.owners.granted[ask.team]
        here = (throttle.rank, ask.key)
        ahead = sum((rank, key) < here for key, rank in waiting.items())
        if granted[throttle.day] + ahead < throttle.per_day:
            for day in sorted(granted.keys() - {throttle.day})[: -DAYS_KEPT + 1]:
                del granted[day]
            granted[throttle.day] += 1
            return None
        waiting[ask.key] = throttle.rank
        self.owners.held[ask.key] = _Held(ask.team, Waiting())
        return Waiting(ahead)

    def _choose(self, ask: Assign, turns: WeightedRoundRobin) -> str | None:
        room = [one for one in ask.candidates if self._has_room(one)]
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

    def _has_room(self, one: Candidate) -> bool:
        return one.name not in self.owners.gone and (
            one.capacity is None or self.owners.open[one.name] < one.capacity
        )

    def _release(self, key: str) -> None:
        owners = self.owners
        held = owners.held.pop(key, None)
        if held is None:
            return
        owners.released[key] = held
        if isinstance(held.answer, Waiting):
            del owners.waiting[held.team][key]
        elif not held.answer.is_queue:
            owners.open[held.answer.owner] -= 1
