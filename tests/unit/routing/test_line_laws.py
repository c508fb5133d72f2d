"""Laws of lines, whatever happens: no day over its limit, and the granted are the best of those present."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.assignment import Assign, Candidate, Granted, Join, Rank, Release
from resegment.state.memory.owners import OwnerStore

KEYS = [f"k{number}" for number in range(9)]
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
LENGTH = 1_000
"""How long a day lasts here, ms."""

steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from(KEYS), st.integers(0, 5)),
        st.tuples(st.just("leave"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.just("enroll"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.just("pass"), st.none(), st.integers(0, 400)),
    ),
    max_size=60,
)


class Team:
    """One team, and what is known of its line from the outside."""

    def __init__(self, per_day: int, settle: int) -> None:
        self.store = OwnerStore(clock=lambda: self.now)
        self.per_day, self.settle, self.now = per_day, settle, 0
        self.present: dict[str, Rank] = {}
        """Those in the line."""
        self.joined: dict[str, int] = {}
        self.enrolled: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()

    @property
    def day(self) -> str:
        return DAYS[min(self.now // LENGTH, 2)]

    def key(self, name: str) -> str:
        return f"{name}-{self.attempts[name]}"

    async def ask(self, ask: Any) -> Any:
        (answer,) = await self.store.settle([ask])
        return answer

    async def take(self, kind: str, name: str | None, value: int | None) -> None:
        if kind == "pass":
            self.now += value or 0
            return
        assert name is not None
        key = self.key(name)
        before = {one for one, held in self.store.owners.held.items() if held.grant is not None}
        if kind == "join" and key not in before:
            rank = self.present.get(key) or Rank(float(value or 0), 0, self.now, name)
            was = dict(self.present)
            ask = Join(
                key=key,
                account=name,
                team="t",
                per_day=self.per_day,
                day=self.day,
                rank=rank,
                settle=self.settle,
            )
            await self.ask(ask)
            self.present[key] = rank
            self.joined.setdefault(key, self.now)
            self.check_grants(before, was)
        elif kind == "leave":
            await self.ask(Release(key=key))
            self.present.pop(key, None)
            self.attempts[name] += 1
        elif kind == "enroll" and key in before:
            held = self.store.owners.held[key]
            await self.ask(
                Assign(key=key, account=name, team="t", fallback="q", candidates=(Candidate("ann"),))
            )
            if held.answer is None and held.grant is not None:
                self.enrolled[held.grant.day] += 1

    def check_grants(self, before: set[str], was: dict[str, Rank]) -> None:
        """Those granted by the latest request come before all others who were present, as long as there was room."""
        held = self.store.owners.held
        new = {one for one, value in held.items() if value.grant is not None} - before
        for key in new:
            grant = held[key].grant
            assert isinstance(grant, Granted)
            assert grant.day == self.day
            better = [one for one, rank in was.items() if rank < self.present[key] and one not in new]
            assert better == []
            assert self.now - self.joined[key] >= self.settle
            del self.present[key]


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 3), st.sampled_from([0, 50, 300]), steps)
async def test_no_day_is_over_its_limit_and_the_granted_are_the_best_of_those_present(
    per_day: int, settle: int, taken: list[tuple[str, str | None, int | None]]
) -> None:
    team = Team(per_day, settle)
    for step in taken:
        await team.take(*step)
        granted = (await team.store.look()).teams
        if granted:
            assert all(count <= per_day for count in granted["t"].granted.values())
        assert all(count <= per_day for count in team.enrolled.values())
