"""The router against a second naive reading of docs/routing.md: random histories of a prefix with all gates at once."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest

from resegment.schemas.routing import (
    DefinitionSwitched,
    GatesChanged,
    Offered,
    Reassign,
    Review,
    RoutedOutcome,
    Switch,
)
from resegment.schemas.sources.silence import SourceBack, SourceSilent
from resegment.schemas.times import format_instant, parse_instant
from tests.unit.agents.test_router import Account, Json
from tests.unit.routing.test_switching import Rig

from .naive.entrances import (
    NEVER,
    SECOND,
    Calendar,
    Entrances,
    File,
    Move,
    Person,
    Shift,
    Team,
    Way,
)

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
STARTS = [
    parse_instant(one)
    for one in (
        "2026-03-05T15:00:00Z",
        "2026-03-26T22:00:00Z",
        "2026-10-22T09:00:00Z",
        "2026-10-30T03:30:00Z",
    )
]
"""A few days before clocks change in America and in Europe."""
NAMES = [f"{letter}.com" for letter in "abcdefgh"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK, WEEKDAYS = frozenset(range(7)), frozenset(range(5))
SLAS = {"quick": 4 * HOUR, "slow": DAY}
ORDERS = ["priority", "oldest", "newest", "highest", "lowest"]
SOURCES = {"/boards": frozenset({"hiring"}), "/news": frozenset({"hiring", "funding"})}

OFFICE = (Shift(WEEKDAYS, 9 * 60, 17 * 60 + 30),)
SPLIT = (Shift(WEEKDAYS, 9 * 60, 12 * 60), Shift(frozenset({0, 1, 2, 3}), 13 * 60, 17 * 60))
NIGHT = (Shift(frozenset({4, 5, 6}), 22 * 60, 6 * 60),)
HOLIDAYS = frozenset({"2026-03-09", "2026-03-28", "2026-10-25", "2026-11-02"})


def ways_of(draw: random.Random) -> dict[str, Way]:
    found = [
        Way("hot", 0, "w-line", "line", "finish", sla=SLAS["quick"]),
        Way("cold", 1, "w-desk", "desk", "stop", cooldown=2 * DAY, sla=SLAS["quick"]),
        Way("warm", 2, "w-desk", "desk", "pause", cooldown=2 * DAY, sla=SLAS["quick"]),
        Way("mild", 3, draw.choice(["w-slow", "w-mild"]), "slow", "pause", sla=SLAS["slow"]),
        Way("once", 4, "w-once", "line", "stop", once=True),
        Way("free", 5, "w-free", None, "stop", sla=SLAS["slow"]),
        Way("round", 6, "w-round", "round"),
        Way("bare", 7, "w-bare", "bare", "finish", sla=SLAS["quick"]),
        Way("none", 8),
    ]
    return {one.segment: one for one in found}


def file_of(draw: random.Random, number: int, orders: tuple[str, str]) -> File:
    line = Team(
        "line",
        Calendar("America/New_York", OFFICE, HOLIDAYS),
        (
            Person("ann", capacity=draw.choice([None, 2, 3])),
            Person("bob", 2, draw.choice([1, 2]), away=("2026-03-07", "2026-03-08")),
        ),
        draw.choice(["round-robin", "least-loaded"]),
        named={"b.com": "bob"},
        per_day=draw.choice([1, 1, 2, 3, None]),
        settle=(30, 60, 400)[number] * SECOND,
        order=orders[0],
    )
    desk = Team(
        "desk",
        Calendar("Europe/Berlin", draw.choice([None, SPLIT, NIGHT]), draw.choice([HOLIDAYS, frozenset()])),
        (
            Person("cat", 1, draw.choice([1, 2]), days=WEEKDAYS),
            Person("dan", 3, 2, zone="America/Los_Angeles", is_local=True),
            Person("eve", 1, draw.choice([1, None]), zone="Asia/Kolkata", shifts=OFFICE),
            Person("ann", 2, draw.choice([None, 2, 3])),
            Person("gus", 1, 2, shifts=NIGHT, away=("2026-10-24", "2026-10-24")),
        )[: draw.randint(2, 5)],
        draw.choice(["round-robin", "least-loaded"]),
        draw.random() < 0.5,
        {"a.com": "cat", "c.com": "dan"} if draw.random() < 0.5 else {},
    )
    slow = Team(
        "slow",
        Calendar(draw.choice(["Asia/Kolkata", "Pacific/Auckland"])),
        (Person("fay"),) if draw.random() < 0.5 else (),
        per_day=draw.choice([1, 2]),
        settle=(0, 60, 60)[number] * SECOND,
        order=orders[1],
    )
    turns = Team("round", Calendar(), (Person("kim", 2), Person("lou"), Person("mia")), sticky=False)
    bare = Team("bare", Calendar("Europe/London", OFFICE))
    teams = {one.name: one for one in (line, desk, slow, turns, bare)}
    return File(ways_of(draw), teams, draw.choice([None, None, (2, 3 * DAY), (1, DAY), (3, 9 * DAY)]))


class Written:
    """A file as the router reads it."""

    def __init__(self, file: File) -> None:
        play = {
            "message": {"pain": "p", "value_prop": "v", "proof_points": ["x"]},
            "channels": {"primary": "email"},
        }
        routed = [one for one in file.ways.values() if one.workflow is not None]
        self.json: Json = {
            "version": 1,
            "suppression": ["customers"],
            "segments": [
                {
                    "name": one.segment,
                    "when": {"event": "funding", "where": {"round": one.segment}},
                    "play": f"{one.segment}-play",
                    "route": self.route(one),
                }
                for one in routed
            ],
            "fallback": {"name": "none", "play": "none-play"},
            "plays": {f"{one.segment}-play": play for one in file.ways.values()},
            "teams": {one.name: self._team(one) for one in file.teams.values()},
            "qualifications": {
                "quick": {"sla": f"{SLAS['quick'] // SECOND}s", "escalate_to": "boss"},
                "slow": {"sla": f"{SLAS['slow'] // SECOND}s"},
            },
        }
        if file.limit is not None:
            self.json["limits"] = {"enrollments": file.limit[0], "per": f"{file.limit[1] // SECOND}s"}

    def route(self, way: Way) -> Json | None:
        if way.workflow is None:
            return None
        given: Json = {"workflow": way.workflow, "on_exit": way.on_exit}
        if way.team is not None:
            given["team"] = way.team
        if way.cooldown:
            given["cooldown"] = f"{way.cooldown // SECOND}s"
        if way.once:
            given["reentry"] = "never"
        if way.sla is not None:
            given["qualification"] = next(name for name, within in SLAS.items() if within == way.sla)
        return given

    def _team(self, team: Team) -> Json:
        given: Json = {"timezone": team.calendar.zone}
        if team.people:
            given |= {"fallback": team.queue, "strategy": team.strategy, "sticky": team.sticky}
            given["members"] = [self._person(one) for one in team.people]
        elif team.per_day is not None:
            given["fallback"] = team.queue
        if team.named:
            given["accounts"] = dict(team.named)
        if team.calendar.shifts is not None:
            given["hours"] = self._hours(team.calendar.shifts)
        if team.calendar.holidays:
            given["holidays"] = sorted(team.calendar.holidays)
        if team.per_day is not None:
            order: Any = team.order if team.order not in ("highest", "lowest") else {team.order: "score"}
            given |= {"per_day": team.per_day, "settle": f"{team.settle // SECOND}s", "order": order}
        return given

    def _person(self, one: Person) -> Json:
        given: Json = {"name": one.name, "weight": one.weight}
        if one.capacity is not None:
            given["capacity"] = one.capacity
        if one.zone is not None:
            given["timezone"] = one.zone
        if one.shifts is not None:
            given["hours"] = self._hours(one.shifts)
        if one.days is not None:
            given["days"] = [DAYS[day] for day in sorted(one.days)]
        if one.away is not None:
            given["absences"] = [{"from": one.away[0], "to": one.away[1]}]
        if one.is_local:
            given["territory"] = {"region": "emea"}
        return given

    def _hours(self, shifts: Sequence[Shift]) -> list[str]:
        return [
            f"{','.join(DAYS[day] for day in sorted(one.days))} {self._clock(one.start)}-{self._clock(one.end)}"
            for one in shifts
        ]

    def _clock(self, minute: int) -> str:
        return f"{minute // 60:02}:{minute % 60:02}"


class History:
    """One random history, played to both."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now = self.draw.choice(STARTS) + self.draw.randint(0, 3_600) * SECOND
        first, second = self.draw.choices(ORDERS, k=2)
        self.files = [file_of(self.draw, number, (first, second)) for number in range(3)]
        self.written = [Written(one) for one in self.files]
        self.naive = Entrances(self.files[0], self.now)
        self.rig = Rig(*(one.json for one in self.written))
        self.accounts = {name: Account(name) for name in NAMES}
        self.favored = self.draw.choice([(), ("cold", "warm"), ("hot", "once")])
        """Segments that many go to, so that lines and queues are long."""
        self.silent: set[str] = set()
        self.version = 1
        self.said: list[Any] = []
        self.keys: set[str] = set()
        self.turns: dict[str, int] = {}
        self.log: list[Any] = []

    async def play(self, steps: int) -> None:
        self.rig.now = self.now
        await self.rig.take()
        for _ in range(steps):
            passed = self.draw.choice(
                [0, 1, 20, 45, 60, 61, 300, 900, 3_600, 4 * 3_600, 11 * 3_600, 86_400, 2 * 86_400]
            )
            await self.pass_time(self.now + passed * SECOND)
            await self.event()
            self.compare()
        self.compare_grants()

    async def pass_time(self, until: int) -> None:
        while True:
            due = self.rig.owned.next_deadline
            following = min(self.naive.next_instant(), NEVER if due is None else max(due, self.now + 1))
            if following > until:
                break
            await self.be(following)
        if until > self.now:
            await self.be(until)

    async def be(self, now: int) -> None:
        self.now = now
        self.naive.pass_to(now)
        await self.follow(await self.rig.wait_until(now))

    # What happens

    async def event(self) -> None:
        draw, name = self.draw, self.draw.choice(NAMES)
        kinds = ["move"] * 10 + ["gate"] * 2 + ["answer"] * 5
        kinds += ["territory", "lost", "leave", "switch", "mode", "silence", "enroll", "enroll"]
        kind = draw.choice(kinds)
        self.log.append((format_instant(self.now), kind, name))
        await getattr(self, kind)(name)

    def other(self, name: str) -> str:
        others = [one for one in self.files[0].ways if one != self.accounts[name].segment]
        favored = [one for one in others if one in self.favored]
        return self.draw.choice(favored if favored and self.draw.random() < 0.6 else others)

    async def move(self, name: str, by: str | None = None, to: str | None = None, **given: Any) -> None:
        draw, one = self.draw, self.naive.of(name)
        to = to or self.other(name)
        absent = frozenset({"hiring"} if draw.random() < 0.2 else {"funding"} if draw.random() < 0.2 else ())
        score = draw.choice([None, "much", 0, 1, 2.5, 3])
        if draw.random() < 0.1 and not given:
            one.suppressed = not one.suppressed
        is_drawn = not given and not one.suppressed and draw.random() < 0.08
        move = Move(name, to, score, is_drawn, absent, by)
        self.log.append((move, "suppressed" if one.suppressed else ""))
        if given:
            self.naive.take_instead(move)
        else:
            self.naive.take(move)
        file = self.written[self.version - 1]
        given |= {} if by is None else {"cause": {"definition": self.version}, "apply_route": by}
        change = self.accounts[name].moves(
            to,
            file.route(self.files[self.version - 1].ways[to]),
            at=self.now,
            values={} if score is None else {"score": score},
            standing=self.gates(name),
            lost_until=format_instant(one.lost_until) if one.lost_until else None,
            holdout=move.is_drawn,
            absent=sorted(absent),
            definition_version=self.rig.versions.fingerprint(self.version),
            **given,
        )
        await self.follow(await self.rig.follow(change))
        if by is None and not given and draw.random() < 0.15:
            await self.supersede(name)

    async def supersede(self, name: str) -> None:
        """A fact of the same instant comes later: the account moves elsewhere, or not at all."""
        account = self.accounts[name]
        void = {
            "supersedes": f"{name}-{account.number}",
            "supersedes_to": account.segment,
            "from": account.came,
        }
        back = account.came if self.draw.random() < 0.6 else None
        await self.move(name, None, back or self.other(name), **void)

    def gates(self, name: str) -> tuple[str, ...]:
        one = self.naive.of(name)
        return ("suppress:customers",) * one.suppressed + ("territory:desk/dan",) * one.is_local

    def told(self, name: str, switch: Switch | None = None) -> GatesChanged:
        one = self.naive.of(name)
        return GatesChanged(
            account=name,
            at=self.now,
            active_gates=self.gates(name),
            sequence=self.accounts[name].number,
            lost_until=one.lost_until,
            switch=switch,
        )

    async def gate(self, name: str, by: str | None = None) -> None:
        self.naive.gate(name, not self.naive.of(name).suppressed, by)
        await self.follow(await self.rig.tell(self.told(name, Switch(self.version, by) if by else None)))  # type: ignore[arg-type]

    async def territory(self, name: str) -> None:
        one = self.naive.of(name)
        one.is_local = not one.is_local
        await self.follow(await self.rig.tell(self.told(name)))

    async def lost(self, name: str) -> None:
        """A deal is lost, or that is taken back."""
        one = self.naive.of(name)
        self.naive.lose(name, 0 if one.lost_until > self.now and self.draw.random() < 0.5 else self.now + DAY)
        await self.follow(await self.rig.tell(self.told(name)))

    async def answer(self, name: str) -> None:
        running = [one for one in self.naive.companies.values() if one.stay is not None]
        if not running:
            return
        name = self.draw.choice(running).name
        action: Any = self.draw.choice(["accepted", "rejected", "won", "lost"])
        self.log.append((name, action))
        stay = self.rig.state(name).enrollment
        assert stay is not None
        self.naive.answer(name, action)
        told = RoutedOutcome(account=name, at=self.now, action=action, key=stay.keys[-1])
        await self.follow(await self.rig.tell(told))

    async def leave(self, _: str) -> None:
        member = self.draw.choice(["ann", "cat", "fay", "eve"])
        self.log.append(member)
        if member in self.naive.gone:
            self.naive.gone.discard(member)
            await self.rig.owners.come_back(member)
            await self.follow([])
            return
        self.naive.gone.add(member)
        await self.rig.owners.leave(member)
        stays = [one.stay for one in self.naive.companies.values() if one.stay is not None]
        self.naive.crowded = any(one.owner == member and not one.is_open for one in stays)
        known = [name for name in NAMES if name in self.rig.memory.accounts]
        told = [Reassign(account=name, at=self.now, owner=member) for name in known]
        await self.follow(await self.rig.tell(*told) if told else [])
        self.naive.crowded = False
        assert self.naive.load(member) == 0, (self.log, member)

    async def mode(self, _: str) -> None:
        self.naive.mode = self.draw.choice(["all", "all", "changed", "none"])
        self.log.append(self.naive.mode)
        self.rig.versions.controls.mode = self.naive.mode  # type: ignore[assignment]

    async def enroll(self, name: str) -> None:
        asked = [one.name for one in self.naive.companies.values() if one.decision in ("quiet", "held")]
        name = self.draw.choice(asked or [name])
        if self.accounts[name].number == 0:
            return
        self.log.append(("enroll", name))
        self.naive.enroll(name)
        change = f"{name}-{self.accounts[name].number}"
        await self.follow(await self.rig.tell(Review(account=name, at=self.now, forced=True, change=change)))

    async def silence(self, _: str) -> None:
        source = self.draw.choice(sorted(SOURCES))
        told: Any
        if source in self.silent:
            self.silent.discard(source)
            told = SourceBack(source=source, at=self.now)
        else:
            self.silent.add(source)
            kinds = tuple(sorted(SOURCES[source]))
            told = SourceSilent(source=source, at=self.now, since=self.now - DAY, kinds=kinds)
        self.log.append((source, sorted(self.silent)))
        kinds = {kind for one in self.silent for kind in SOURCES[one]}
        self.naive.hear_of_sources(kinds, is_back=source not in self.silent)
        made = await self.rig.tell(told)
        await self.follow(made + await self.rig.look())

    async def switch(self, _: str) -> None:
        if self.version == len(self.files):
            return
        self.version += 1
        route: Any = self.draw.choice(["none", "new-only", "all", ("hot", "mild")])
        self.log.append((self.version, route, self.files[self.version - 1]))
        self.naive.switch(self.files[self.version - 1])
        told = DefinitionSwitched(
            at=self.now,
            version=self.version,
            fingerprint=self.rig.versions.fingerprint(self.version),
            route=route,
        )
        made = await self.rig.tell(told)
        await self.follow(made + await self.rig.look())
        for name in self.draw.sample(NAMES, 3):
            if self.accounts[name].number == 0:
                continue
            to = self.other(name)
            by = route if isinstance(route, str) else "all" if to in route else "none"
            if self.draw.random() < 0.6:
                await self.move(name, by, to)
            else:
                to = str(self.accounts[name].segment)
                await self.gate(name, route if isinstance(route, str) else "all" if to in route else "none")

    # Comparing

    async def follow(self, commands: Sequence[Json]) -> None:
        self.take(commands)
        for _ in range(2):  # what somebody accepted in a queue is offered once, and makes no command
            while made := await self.rig.offer():
                self.take(made)
            store = self.rig.owners.owners
            granted = [Offered(account=store.held[key].account, at=self.now, key=key) for key in store.ready]
            if granted:  # they hear of it within two seconds, here at once
                self.take(await self.rig.tell(*granted))

    def take(self, commands: Sequence[Json]) -> None:
        self.naive.at_once = sum(one["action"] in ("enroll", "reassign") for one in commands) > 1
        for one in commands:
            name, action, owner = one["account"], one["action"], one["owner"]
            assert one["idempotency_key"] not in self.keys
            self.keys.add(one["idempotency_key"])
            company = self.naive.of(name)
            stay = company.stay
            if action == "reassign":
                assert stay is not None, (self.log, one)
                queue = None if stay.team is None else self.naive.file.teams[stay.team].queue
                if stay.owner == queue and stay.is_open:
                    self._is_first_in_queue(company, owner)
                else:
                    assert stay.owner in self.naive.gone, (self.log, one)
                self._own(name, owner)
                continue
            self.said.append((self.now, name, action, one["workflow"], one["segment"], one["reason"]))
            is_new = stay is not None and stay.began == self.now and stay.owner_since == 0
            if action == "enroll" and stay is not None:
                assert one["team"] == stay.team
                if is_new:
                    self._own(name, owner)
                else:
                    assert owner == stay.owner
            if action == "escalate":
                team = one["team"]
                assert owner == ("boss" if one["qualification"] == "quick" else team), one

    def _is_first_in_queue(self, company: Any, owner: str) -> None:
        for other, _, team in self.naive.queued():
            if other is company:
                return
            person = next((one for one in team.people if one.name == owner), None)
            is_rival = team.name == company.stay.team and other.is_local == company.is_local
            if person is not None and is_rival:
                assert not self.naive.may_take(team, person, other), (self.log, other.name, company.name)

    def _own(self, name: str, owner: str | None) -> None:
        wrong = self.naive.own(name, owner)
        assert wrong is None, (self.log, self.now, name, owner, wrong)
        stay = self.naive.of(name).stay
        if stay is not None and stay.team == "round":
            self.turns[str(owner)] = self.turns.get(str(owner), 0) + 1
            total = sum(self.turns.values())
            for person in self.naive.file.teams["round"].people:
                share = total * person.weight / 4
                assert abs(self.turns.get(person.name, 0) - share) <= 1, (self.log, self.turns)

    def compare(self) -> None:
        naive = self.naive
        for name, one in naive.companies.items():
            mine = [said for said in self.said if said[1] == name]
            theirs = [said for said in naive.said if said[1] == name]
            assert self._plain(mine) == self._plain(theirs), (self.log, mine[-4:], theirs[-4:])
            if name not in self.rig.memory.accounts:
                continue
            state = self.rig.state(name)
            stay = None if state.enrollment is None else state.enrollment.workflow
            expected = None if one.stay is None else one.stay.workflow
            assert (state.decision, stay) == (one.decision, expected), (self.log, name, state)
            if one.stay is not None and state.enrollment is not None:
                due = state.enrollment.accept_by
                assert due == (None if one.stay.due == NEVER else one.stay.due), (
                    self.log,
                    name,
                    one.stay,
                    due,
                )
                assert state.enrollment.owner == one.stay.owner
        assert naive.forgotten() == [], (self.log, naive.forgotten())

    def _plain(self, said: Sequence[Any]) -> list[Any]:
        """Reasons are written for people: compare those of suppressions."""
        return [
            (*one[:5], one[5] if one[2] == "stop" and one[5] == "suppressed: customers" else "")
            for one in said
        ]

    def compare_grants(self) -> None:
        owners = self.rig.owners.owners
        recorded = [
            (one.grant.at, one.team, one.grant.place, one.account, one.grant.day)
            for one in (*owners.held.values(), *owners.released.values())
            if one.grant is not None and one.answer is not None
        ]
        expected = [(at, team, place, name, day) for name, team, day, place, at in self.naive.granted]
        # those ahead may have left before or after the places were told
        mine, theirs = ([(*one[:2], *one[3:]) for one in sorted(some)] for some in (recorded, expected))
        assert mine == theirs, self.log


MANY = int(os.environ.get("ROUTING_HISTORIES", "100"))
"""1,000 take half a minute, and are run by `make faults`."""


@pytest.mark.parametrize("part", range(4))
async def test_the_router_agrees_with_a_reading_of_its_page_by_somebody_else(part: int) -> None:
    for seed in range(part, MANY, 4):
        try:
            await History(seed).play(30)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
