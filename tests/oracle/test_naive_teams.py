"""The router against a naive reading of docs/routing.md on teams: random histories of a whole prefix."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest

from resegment.schemas.routing import GatesChanged, Reassign, RoutedOutcome
from resegment.schemas.times import format_instant, parse_instant
from tests.unit.agents.test_router import Account, Json, file
from tests.unit.routing.test_switching import Rig

from .naive.teams import NEVER, Hours, Member, NaiveTeams, Team, Version, Way

MINUTE = 60_000
START = parse_instant("2026-03-05T09:00:00Z") // MINUTE
AUTUMN = parse_instant("2026-10-22T09:00:00Z") // MINUTE
"""A few days before clocks change in America and in Europe."""
HOUR, DAY = 60, 1440
NAMES = [f"{letter}.com" for letter in "abcdefg"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLAS = {"quick": 4 * HOUR, "slow": 2 * DAY}


class Drawn:
    """A file of random teams and limits, as the naive router has it and as the router reads it."""

    def __init__(self, draw: random.Random) -> None:
        west = Hours(
            "America/New_York", (0, 4), (9 * HOUR, 17 * HOUR), frozenset({"2026-03-10", "2026-10-27"})
        )
        east = Hours("Europe/Berlin", (0, 6), draw.choice([None, (8 * HOUR, 20 * HOUR)]))
        line = Team(
            "line",
            (Member("ann", draw.choice([None, 2, 3])), Member("bob", draw.choice([1, 2]))),
            west,
            draw.choice([1, 1, 2, 3, None]),
            5,
            highest=True,
        )
        shift = Hours("Asia/Tokyo", (0, 4), (9 * HOUR, 18 * HOUR))
        desk = Team(
            "desk",
            (
                Member("cat", draw.choice([1, 2]), days=frozenset({0, 1, 2, 3, 4})),
                Member("dan", 2, zone="America/Los_Angeles", local_only=True),
                Member("eve", draw.choice([1, None]), hours=shift),
                Member("ann", draw.choice([None, 2, 3])),
            )[: draw.randint(2, 4)],
            east,
        )
        slow = Team("slow", (Member("fay"),), east, draw.choice([1, 2]), draw.choice([0, 10]))
        teams = {one.name: one for one in (line, desk, slow)}
        self.version = Version(teams, draw.choice([None, None, (2, 3 * DAY), (1, DAY)]))
        limits: Json = {}
        if self.version.limit is not None:
            most, within = self.version.limit
            limits = {"limits": {"enrollments": most, "per": f"{within}m"}}
        self.file = file(
            teams={one.name: self._team(one) for one in teams.values()},
            suppression=["customers"],
            qualifications={name: {"sla": f"{length}m"} for name, length in SLAS.items()},
            **limits,
        )

    def _team(self, team: Team) -> Json:
        given: Json = {"fallback": team.queue, "timezone": team.hours.zone, "strategy": "least-loaded"}
        if team.per_day is not None:
            given |= {"per_day": team.per_day, "settle": f"{team.settle}m"}
        if team.highest:
            given["order"] = {"highest": "score"}
        if team.hours.times is not None:
            given["hours"] = self._hours(team.hours)
        if team.hours.holidays:
            given["holidays"] = sorted(team.hours.holidays)
        given["members"] = [self._member(one) for one in team.members]
        return given

    def _member(self, one: Member) -> Json:
        given: Json = {"name": one.name, "days": [WEEKDAYS[day] for day in sorted(one.days)]}
        if one.capacity is not None:
            given["capacity"] = one.capacity
        if one.zone is not None:
            given["timezone"] = one.zone
        if one.local_only:
            given["territory"] = {"region": "emea"}
        if one.hours is not None:
            given |= {"timezone": one.hours.zone, "hours": self._hours(one.hours)}
        return given

    def _hours(self, hours: Hours) -> str:
        assert hours.times is not None
        first, last = (WEEKDAYS[day] for day in hours.days)
        start, end = (f"{one // HOUR:02}:{one % HOUR:02}" for one in hours.times)
        return f"{first}-{last} {start}-{end}"


# the places of segments in the file: others come after all of them
WAYS = [
    Way("hot", 0, "w-line", "line", "finish", sla=SLAS["quick"]),
    Way("cold", 1, "w-desk", "desk", "stop", cooldown=2 * DAY, sla=SLAS["quick"]),
    Way("warm", 3, "w-desk", "desk", "pause", cooldown=2 * DAY, sla=SLAS["quick"]),
    Way("mild", 3, "w-slow", "slow", "stop", sla=SLAS["slow"]),
    Way("once", 3, "w-once", "line", "stop", never_again=True),
    Way("free", 3, "w-free", None, "stop", sla=SLAS["slow"]),
    Way("none", 3),
]


def route_of(way: Way) -> Json | None:
    if way.workflow is None:
        return None
    given: Json = {"workflow": way.workflow, "team": way.team, "on_exit": way.on_exit}
    if way.cooldown:
        given["cooldown"] = f"{way.cooldown}m"
    if way.never_again:
        given["reentry"] = "never"
    for name, length in SLAS.items():
        if way.sla == length:
            given["qualification"] = name
    return given


class History:
    """One random history, played to both."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.versions = [Drawn(self.draw) for _ in range(3)]
        self.naive = NaiveTeams(self.versions[0].version)
        self.rig = Rig(*(one.file for one in self.versions))
        self.accounts = {name: Account(name) for name in NAMES}
        self.version = 1
        self.now = self.draw.choice([START, AUTUMN])
        self.said: list[tuple[int, str, str, str]] = []
        self.keys: set[str] = set()
        self.log: list[Any] = []

    async def play(self, steps: int) -> None:
        self.rig.now = self.now * MINUTE
        self.naive.now = self.now
        await self.rig.take()
        for _ in range(steps):
            passed = self.draw.choice([5, 5, 10, 15, 60, 4 * HOUR, 11 * HOUR, DAY, 2 * DAY])
            await self.pass_time(self.now + passed)
            await self.event()
            await self.check()
        self.compare_grants()

    async def pass_time(self, until: int) -> None:
        while True:
            mark = self.now - self.now % HOUR + HOUR
            due = self.rig.owned.next_deadline
            following = min(mark, self.naive.next_instant(), NEVER if due is None else -(-due // MINUTE))
            if following > until:
                break
            self.now = following
            self.naive.pass_to(following)
            await self.follow(await self.rig.wait_until(following * MINUTE))
        self.now = until
        self.naive.pass_to(until)
        await self.follow(await self.rig.wait_until(until * MINUTE))

    async def event(self) -> None:
        draw, name = self.draw, self.draw.choice(NAMES)
        kind = draw.choice(["move"] * 6 + ["gates"] * 2 + ["answer"] * 4 + ["leave", "switch"])
        self.log.append((self.now, kind, name))
        if kind == "move":
            others = [one for one in WAYS if one.segment != self.accounts[name].segment]
            way, score = draw.choice(others), draw.randint(0, 3)
            self.naive.move(name, way, score)
            change = self.accounts[name].moves(
                way.segment,
                route_of(way),
                at=self.now * MINUTE,
                values={"score": score},
                standing=self.gates(name),
                lost_until=self.lost_until(name),
            )
            await self.follow(await self.rig.follow(change))
        elif kind == "gates":
            account = self.naive.accounts.get(name)
            if draw.random() < 0.5 and account is not None:
                account.territory = not account.territory
            else:
                self.naive.suppress(name, not (account is not None and account.suppressed))
            await self.follow(await self.rig.tell(self.told(name)))
        elif kind == "answer":
            await self.answer(name, draw.choice(["accepted", "rejected", "won", "lost"]))
        elif kind == "leave":
            await self.leave(draw.choice(["ann", "cat", "fay"]))
        elif self.version < 3:
            self.version += 1
            self.naive.switch(self.versions[self.version - 1].version)
            await self.follow(await self.rig.switch(self.version))

    def gates(self, name: str) -> tuple[str, ...]:
        account = self.naive.accounts.get(name)
        suppressed = account is not None and account.suppressed
        local = account is not None and account.territory
        return ("suppress:customers",) * suppressed + ("territory:desk/dan",) * local

    def lost_until(self, name: str) -> str | None:
        account = self.naive.accounts.get(name)
        until = 0 if account is None else account.lost_until
        return format_instant(until * MINUTE) if until else None

    def told(self, name: str) -> GatesChanged:
        account = self.naive.accounts[name]
        return GatesChanged(
            account=name,
            at=self.now * MINUTE,
            active_gates=self.gates(name),
            sequence=self.accounts[name].number,
            lost_until=account.lost_until * MINUTE,
        )

    async def answer(self, name: str, action: Any) -> None:
        running = None
        if name in self.rig.memory.accounts:
            running = self.rig.state(name).enrollment
        if running is None:
            return
        self.naive.answer(name, action)
        outcome = RoutedOutcome(account=name, at=self.now * MINUTE, action=action, key=running.keys[-1])
        made = await self.rig.tell(outcome)
        if action == "lost":
            self.naive.lose(name, self.now + DAY)
            made += await self.rig.tell(self.told(name))
        await self.follow(made)

    async def leave(self, member: str) -> None:
        if member in self.naive.gone:
            self.naive.gone.discard(member)
            await self.rig.owners.come_back(member)
            await self.follow([])
            return
        self.naive.gone.add(member)
        await self.rig.owners.leave(member)
        known = [name for name in NAMES if name in self.rig.memory.accounts]
        told = [Reassign(account=name, at=self.now * MINUTE, owner=member) for name in known]
        await self.follow(await self.rig.tell(*told) if told else [])

    # Comparing

    async def follow(self, commands: Sequence[Json]) -> None:
        """Take what was commanded, then what comes of offers, until nothing does."""
        self.take(commands)
        while made := await self.rig.offer():
            self.take(made)

    def take(self, commands: Sequence[Json]) -> None:
        given: list[tuple[str, str]] = []
        for one in commands:
            name, action = one["account"], one["action"]
            assert one["idempotency_key"] not in self.keys
            self.keys.add(one["idempotency_key"])
            running = self.naive.accounts[name].running
            if action == "reassign":
                assert running is not None, self.log
                assert running.owner in self.naive.gone or str(running.owner).endswith("-queue"), (
                    self.log,
                    one,
                )
                given += self.own(name, one["owner"], again=True)
                continue
            self.said.append((self.now, name, action, one["workflow"]))
            if action == "enroll" and running is not None and not running.is_owned:
                given += self.own(name, one["owner"])
        assert self.naive.overfull(given) == [], self.log

    def own(self, name: str, owner: str | None, *, again: bool = False) -> list[tuple[str, str]]:
        """Take over an owner, who must be there. Return the team and the member who was given an account."""
        naive, account = self.naive, self.naive.accounts[name]
        naive.own(name, owner, again=again)
        team = None if account.running is None else account.running.team
        if team is None or owner is None or owner == naive.version.teams[team].queue:
            return []
        mine = naive.version.teams[team]
        member = next(one for one in mine.members if one.name == owner)
        assert naive.may_take(mine, member, account), (self.log, name, owner)
        return [(team, owner)]

    async def check(self) -> None:
        naive = self.naive
        assert sorted(self.said) == sorted(naive.said), (self.log, sorted(set(self.said) ^ set(naive.said)))
        for name in NAMES:
            mine = [one for one in self.said if one[1] == name]
            assert mine == [one for one in naive.said if one[1] == name], self.log
        for name, account in naive.accounts.items():
            state = self.rig.state(name)
            running = None if state.enrollment is None else state.enrollment.workflow
            expected = None if account.running is None else account.running.workflow
            assert (state.decision, running) == (account.decision, expected), (self.log, name)
            if account.running is not None and state.enrollment is not None:
                due = state.enrollment.accept_by
                assert due == (None if account.running.due == NEVER else account.running.due * MINUTE), (
                    self.log,
                    name,
                )
                assert state.enrollment.owner == account.running.owner
        assert list(naive.forgotten()) == [], self.log
        for team in naive.version.teams.values():
            line = naive.lines.get(team.name)
            names = [] if line is None else sorted(line.waiting, key=lambda one: naive.rank(team, one))
            held = self.rig.owners.owners.held
            assert [held[key].account for key in await self.rig.owners.line(team.name)] == names, self.log

    def compare_grants(self) -> None:
        owners = self.rig.owners.owners
        recorded = [
            (one.account, one.team, one.grant.day, one.grant.place, one.grant.at // MINUTE)
            for one in (*owners.held.values(), *owners.released.values())
            if one.grant is not None
        ]
        assert sorted(recorded) == sorted(self.naive.grants)


MANY = int(os.environ.get("ROUTING_HISTORIES", "60"))
"""1,000 take a minute, and are run by `make faults`."""


@pytest.mark.parametrize("part", range(6))
async def test_the_router_agrees_with_a_naive_reading_of_random_histories_of_teams(part: int) -> None:
    for seed in range(part, MANY, 6):
        try:
            await History(seed).play(25)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
