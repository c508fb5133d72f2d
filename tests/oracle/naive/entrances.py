"""A reading of docs/routing.md by somebody else than the router's author: who may enter which workflow, and when.

It shares no code with the router, nor with `teams.py`. Times are in ms since 1970. Working time is added up in
quarters of an hour. Who of a team gets an account it takes from the commands, and `complaints` says if they may not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = 1_000
QUARTER = 900 * SECOND
NEVER = 1 << 60
AT_MOST = 600 * SECOND
"""A window closes this long after the first newcomer."""
DRAWN, GATE = "holdout", "suppressed"
STICKS = ("no-route", DRAWN, "never-again", "rejected")
"""What a suppression that begins or ends leaves as it is."""


@lru_cache(1 << 16)
def wall(instant: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant // SECOND, ZoneInfo(zone))


@dataclass(frozen=True)
class Shift:
    """From and to in minutes of the day. One that ends before it begins ends on the next day."""

    days: frozenset[int]
    start: int
    end: int

    def covers(self, weekday: int, minute: int) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        yesterday = (weekday - 1) % 7
        return (weekday in self.days and minute >= self.start) or (
            yesterday in self.days and minute < self.end
        )


@dataclass(frozen=True)
class Calendar:
    """`shifts` are None for around the clock."""

    zone: str = "UTC"
    shifts: tuple[Shift, ...] | None = None
    holidays: frozenset[str] = frozenset()

    def works(self, instant: int) -> bool:
        here = wall(instant, self.zone)
        if here.date().isoformat() in self.holidays:
            return False
        minute = here.hour * 60 + here.minute
        return self.shifts is None or any(one.covers(here.weekday(), minute) for one in self.shifts)

    def add(self, instant: int, work: int) -> int:
        """Return when that much work is done."""
        while True:
            following = instant - instant % QUARTER + QUARTER
            if self.works(instant):
                if instant + work <= following:
                    return instant + work
                work -= following - instant
            instant = following

    def day(self, instant: int) -> str:
        return wall(instant, self.zone).date().isoformat()


@dataclass(frozen=True)
class Person:
    name: str
    weight: int = 1
    capacity: int | None = None
    zone: str | None = None
    shifts: tuple[Shift, ...] | None = None
    days: frozenset[int] | None = None
    away: tuple[str, str] | None = None
    is_local: bool = False


@dataclass(frozen=True)
class Team:
    name: str
    calendar: Calendar
    people: tuple[Person, ...] = ()
    strategy: str = "round-robin"
    sticky: bool = True
    named: Mapping[str, str] = field(default_factory=dict)
    per_day: int | None = None
    settle: int = 60 * SECOND
    order: str = "priority"

    @property
    def queue(self) -> str:
        return f"{self.name}-queue"

    def calendar_of(self, name: str | None) -> Calendar:
        one = next((one for one in self.people if one.name == name), None)
        if one is None:
            return self.calendar
        shifts = self.calendar.shifts if one.shifts is None else one.shifts
        return Calendar(one.zone or self.calendar.zone, shifts, self.calendar.holidays)


@dataclass(frozen=True)
class Way:
    """A segment of the file, and its route. No workflow: no route."""

    segment: str
    place: int
    workflow: str | None = None
    team: str | None = None
    on_exit: str = "stop"
    once: bool = False
    cooldown: int = 0
    sla: int | None = None


@dataclass(frozen=True)
class File:
    ways: Mapping[str, Way]
    teams: Mapping[str, Team]
    limit: tuple[int, int] | None = None


@dataclass(frozen=True)
class Move:
    """What a change says. `by` is what the version that moved the account enrolls: none, new-only or all."""

    account: str
    to: str
    score: object = None
    is_drawn: bool = False
    absent: frozenset[str] = frozenset()
    by: str | None = None


@dataclass
class Stay:
    """An account in a workflow."""

    workflow: str
    segment: str
    team: str | None
    on_exit: str
    sla: int | None
    began: int
    owner: str | None = None
    owner_since: int = 0
    due: int = NEVER
    is_answered: bool = False
    is_accepted: bool = False
    is_open: bool = True


@dataclass
class Company:
    name: str
    move: Move | None = None
    way: Way | None = None
    entered: int = 0
    is_first: bool = True
    admitted: bool = False
    """Whether the mode let it in once, since its last move."""
    forced: bool = False
    kept_out: bool = False
    stay: Stay | None = None
    decision: str = "none"
    until: int = NEVER
    suppressed: bool = False
    is_local: bool = False
    lost_until: int = 0
    after_lost: bool = False
    """Whether its cooldown follows a lost deal, not a workflow that it left."""
    left: dict[str, int] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)
    before: Company | None = None
    """As it was before its last move."""


@dataclass
class Line:
    waiting: list[str] = field(default_factory=list)
    opened: int | None = None
    closes: int = 0
    days: dict[str, int] = field(default_factory=dict)


Said = tuple[int, str, str, str, str, str | None]
"""When, account, action, workflow, segment, and the reason."""
Granted = tuple[str, str, str, int, int]
"""Account, team, day, place, and when."""


class Entrances:
    """All accounts of a prefix."""

    def __init__(self, file: File, now: int) -> None:
        self.file, self.now, self.mode = file, now, "all"
        self.companies: dict[str, Company] = {}
        self.lines: dict[str, Line] = {name: Line() for name in file.teams}
        self.gone: set[str] = set()
        self.silent: set[str] = set()
        self.crowded = False
        """Whether accounts whose deal is closed get another owner: they take room for a moment, in the same step."""
        self.at_once = False
        """Whether several accounts get owners in one step: the order of their questions is not that of their commands."""
        self.said: list[Said] = []
        self.granted: list[Granted] = []

    def of(self, name: str) -> Company:
        return self.companies.setdefault(name, Company(name))

    # What happens

    def take(self, move: Move) -> None:
        one = self.of(move.account)
        one.before = None
        one.before = deepcopy(one)
        way = self.file.ways[move.to]
        self._step_out(one)
        one.is_first, one.move, one.way = one.way is None, move, way
        one.entered = self.now
        one.admitted = one.forced = False
        one.kept_out = move.by is not None and not self._is_moved_in(one, move.by)
        stay = one.stay
        if stay is not None and stay.workflow == way.workflow and not one.suppressed and not move.is_drawn:
            one.decision, one.until = "enrolled", NEVER
            if move.by in (None, "all"):
                self._go_on(one, stay, way)
            return
        self._decide(one)

    def take_instead(self, move: Move) -> None:
        """Take a change of the same instant, which voids the one before."""
        one, way = self.of(move.account), self.file.ways[move.to]
        before = one.before
        assert before is not None
        self._step_out(one)
        was, mine = before.stay, one.stay
        one.is_first, one.move, one.way = before.way is None, move, way
        one.admitted, one.forced, one.kept_out, one.until = False, False, False, NEVER
        one.left = dict(before.left)
        is_left = was is not None and (mine is None or mine.workflow != was.workflow)
        if was is not None and is_left and was.workflow != way.workflow:
            one.left[was.workflow] = self.now
        if mine is not None and was is not None and not is_left:
            mine.on_exit = was.on_exit
        elif mine is not None and mine.workflow != way.workflow:
            self._say("stop", one, "void")
            one.begun.remove(mine.began)
            one.stay = None
        is_out = one.suppressed or move.is_drawn
        if one.stay is not None and one.stay.workflow == way.workflow and not is_out:
            one.decision = "enrolled"
            self._go_on(one, one.stay, way)
        elif was is not None and is_left and was.workflow == way.workflow and one.stay is None:
            if is_out:
                one.decision = GATE if one.suppressed else DRAWN
                one.left[was.workflow] = self.now
            else:
                self._enter(one, way)
                one.begun.pop()
        elif was is None and one.stay is None and before.move is not None and before.move.to == move.to:
            self._decide_as_before(one, before)
        else:
            self._decide(one)

    def _decide_as_before(self, one: Company, before: Company) -> None:
        """Decide on an account that has not moved, as it turns out."""
        stays = before.decision in ("rejected", "never-again")
        if stays or (before.decision == "quiet" and not one.suppressed):
            one.decision = before.decision
        else:
            self._decide(one)

    def _go_on(self, one: Company, stay: Stay, way: Way) -> None:
        """Let an account stay in its workflow with another play."""
        stay.segment, stay.on_exit = way.segment, way.on_exit
        self._say("enroll", one)
        one.touched |= {f"play of {way.segment}"}

    def _is_moved_in(self, one: Company, by: str) -> bool:
        assert one.way is not None
        if by == "new-only":
            return not {f"flow {one.way.workflow}", f"play of {one.way.segment}"} & one.touched
        return by == "all"

    def gate(self, name: str, suppressed: bool, by: str | None = None) -> None:
        """A suppression begins or ends, by itself or because a version says so."""
        one = self.of(name)
        was, one.suppressed = one.suppressed, suppressed
        if was == suppressed or one.way is None:
            return
        if suppressed:
            self._step_out(one)
            if one.stay is not None:
                self._leave(one, "stop", "suppressed: customers")
            if one.decision not in STICKS:
                one.decision, one.until = GATE, NEVER
        elif one.decision == GATE:
            if by is not None:
                one.kept_out = not self._is_moved_in(one, by)
            self._decide(one)

    def lose(self, name: str, until: int) -> None:
        """A deal is lost, or that is taken back (0)."""
        one = self.of(name)
        one.lost_until = until
        if (one.decision == "waiting" and until > self.now) or (
            one.decision == "cooldown" and one.after_lost
        ):
            self._step_out(one)
            self._decide(one)

    def answer(self, name: str, action: str) -> None:
        one = self.of(name)
        stay = one.stay
        assert stay is not None
        if action == "rejected":
            one.left[stay.workflow] = self.now
            if stay.team is not None:
                one.owners.pop(stay.team, None)
            one.stay = None
            if one.decision != "waiting":
                one.decision = "rejected"
            return
        stay.is_answered = True
        if action == "accepted":
            stay.is_accepted = True
        else:
            stay.is_open = False

    def enroll(self, name: str) -> None:
        """Somebody runs `resegment routing enroll`."""
        one = self.of(name)
        if one.decision in ("quiet", "held"):
            one.forced = True
            self._decide(one)

    def hear_of_sources(self, silent: set[str], *, is_back: bool) -> None:
        self.silent = silent
        for one in self._all():
            if one.decision == "held" and is_back:
                self._decide(one)

    def switch(self, file: File) -> None:
        for one in self._all():  # a queue begins once its team has members
            if one.stay is not None and one.stay.team and not self.file.teams[one.stay.team].people:
                one.stay.owner_since = self.now
        self.file = file
        for one in self._all():
            if one.decision in ("waiting", "capped"):
                way = self._way_now(one)
                team = None if way.team is None else file.teams[way.team]
                if one.decision == "waiting" and team is not None and team.per_day is not None:
                    if self._refusal(one, way) is None:
                        continue
                self._step_out(one)
                self._decide(one)
        self._grant_lines()

    # Time

    def next_instant(self) -> int:
        found = [NEVER]
        for one in self.companies.values():
            if one.stay is not None and not one.stay.is_answered:
                found.append(one.stay.due)
            if one.decision in ("cooldown", "capped", "waiting"):
                found.append(one.until)
        for name, line in self.lines.items():
            if line.waiting and self.file.teams[name].per_day is not None:
                found.append(line.closes if line.opened is not None else NEVER)
                found.append(self._next_day(self.file.teams[name].calendar))
        if any(True for _ in self.queued()):
            found.append(self.now - self.now % QUARTER + QUARTER)
        return min(found)

    def _next_day(self, calendar: Calendar) -> int:
        instant, today = self.now, calendar.day(self.now)
        while calendar.day(instant) <= today:
            instant += QUARTER
        return instant - instant % QUARTER

    def pass_to(self, now: int) -> None:
        self.now = now
        for one in self._all():
            stay = one.stay
            if stay is not None and not stay.is_answered and stay.due <= now:
                stay.is_answered = True
                self._say("escalate", one, "escalated")
                if one.decision == "waiting":
                    one.until = now  # looked at, too
            if one.decision in ("cooldown", "capped") and one.until <= now:
                self._decide(one)
            elif one.decision == "waiting" and one.until <= now:
                self._look_at_waiting(one)
        self._grant_lines()

    def _look_at_waiting(self, one: Company) -> None:
        """When the window of its line closes, as it knew, and when a day begins."""
        way = self._way_now(one)
        refusal = self._refusal(one, way)
        if refusal is not None:
            self._step_out(one)
            self._refuse(one, way, refusal)
            return
        team = self.file.teams[str(way.team)]
        self._plan(one, team)

    def _plan(self, one: Company, team: Team) -> None:
        line = self.lines[team.name]
        is_open = line.opened is not None and line.closes > self.now
        one.until = line.closes if is_open else self._next_day(team.calendar)

    # Deciding

    def _way_now(self, one: Company) -> Way:
        """The route of the version in force, for an account that is not enrolled yet."""
        assert one.way is not None
        if one.way.workflow is None:
            return one.way
        return self.file.ways[one.way.segment]

    def _refusal(self, one: Company, way: Way) -> str | None:
        move = one.move
        assert move is not None
        one.until = NEVER
        if way.workflow is None:
            return "no-route"
        if one.suppressed:
            return GATE
        if move.is_drawn:
            return DRAWN
        if not one.forced:
            is_new = one.is_first and not one.admitted
            if one.kept_out or self.mode == "none" or (self.mode == "changed" and is_new):
                return "quiet"
            one.admitted = True
        if way.once and way.workflow in one.left:
            return "never-again"
        cools = one.left[way.workflow] + way.cooldown if way.workflow in one.left and way.cooldown else 0
        if max(cools, one.lost_until) > self.now:
            one.until = max(cools, one.lost_until)
            one.after_lost = one.lost_until >= cools
            return "cooldown"
        if self.file.limit is not None:
            most, within = self.file.limit
            if len(one.begun) >= most and one.begun[-most] + within > self.now:
                one.until = one.begun[-most] + within
                return "capped"
        if move.absent & self.silent and not one.forced:
            return "held"
        return None

    def _decide(self, one: Company) -> None:
        way = self._way_now(one)
        refusal = self._refusal(one, way)
        if refusal is not None:
            self._refuse(one, way, refusal)
            return
        team = None if way.team is None else self.file.teams[way.team]
        if team is None or team.per_day is None:
            self._enter(one, way)
            return
        line = self.lines[team.name]
        self._grant(team)
        one.decision = "waiting"
        line.waiting.append(one.name)
        if line.opened is None:
            line.opened = self.now
        line.closes = min(self.now + team.settle, line.opened + AT_MOST)
        self._grant(team)
        if one.decision == "waiting":
            self._plan(one, team)

    def _refuse(self, one: Company, way: Way, refusal: str) -> None:
        one.decision = refusal
        if one.stay is None:
            return
        if one.stay.workflow == way.workflow:
            self._leave(one, "stop", "suppressed: customers" if refusal == GATE else refusal)
        else:
            self._leave(one, one.stay.on_exit)

    def _enter(self, one: Company, way: Way) -> None:
        if one.stay is not None:
            self._leave(one, one.stay.on_exit)
        assert way.workflow is not None
        one.stay = Stay(way.workflow, way.segment, way.team, way.on_exit, way.sla, self.now)
        one.decision, one.until = "enrolled", NEVER
        one.begun.append(self.now)
        one.touched |= {f"flow {way.workflow}", f"play of {way.segment}"}
        self._say("enroll", one)

    def _leave(self, one: Company, action: str, reason: str | None = None) -> None:
        assert one.stay is not None
        self._say(action, one, reason)
        one.left[one.stay.workflow] = self.now
        one.stay = None

    def _say(self, action: str, one: Company, reason: str | None = None) -> None:
        assert one.stay is not None
        self.said.append((self.now, one.name, action, one.stay.workflow, one.stay.segment, reason))

    def _all(self) -> list[Company]:
        return [self.companies[name] for name in sorted(self.companies)]

    # Lines

    def _step_out(self, one: Company) -> None:
        for line in self.lines.values():
            if one.name in line.waiting:
                line.waiting.remove(one.name)

    def _grant_lines(self) -> None:
        for team in self.file.teams.values():
            self._grant(team)

    def _grant(self, team: Team) -> None:
        line = self.lines[team.name]
        if team.per_day is None or (line.opened is not None and self.now < line.closes):
            return
        line.opened = None
        day = team.calendar.day(self.now)
        while names := self.ranked(team)[: max(team.per_day - line.days.get(day, 0), 0)]:
            for place, name in enumerate(names, 1):
                one = self.companies[name]
                way = self._way_now(one)
                line.waiting.remove(name)
                refusal = self._refusal(one, way)
                if refusal is not None:
                    self._refuse(one, way, refusal)
                    continue
                line.days[day] = line.days.get(day, 0) + 1
                self.granted.append((name, team.name, day, place, self.now))
                self._enter(one, way)

    def ranked(self, team: Team) -> list[str]:
        def key(name: str) -> tuple[float, int, int, str]:
            one = self.companies[name]
            assert one.move is not None
            place = self._way_now(one).place
            score = one.move.score
            number = score if isinstance(score, int | float) else None
            first: float = place
            if team.order == "oldest":
                first = one.entered
            elif team.order == "newest":
                first = -one.entered
            elif team.order == "highest":
                first = float("inf") if number is None else -number
            elif team.order == "lowest":
                first = float("inf") if number is None else number
            return first, place, one.entered, name

        return sorted(self.lines[team.name].waiting, key=key)

    # Owners, as the commands say who they are

    def may_take(self, team: Team, person: Person, one: Company) -> bool:
        zone = person.zone or team.calendar.zone
        here = wall(self.now, zone)
        today = here.date().isoformat()
        if person.name in self.gone or (person.is_local and not one.is_local):
            return False
        if person.days is not None and here.weekday() not in person.days:
            return False
        if person.away is not None and person.away[0] <= today <= person.away[1]:
            return False
        if person.shifts is not None and not team.calendar_of(person.name).works(self.now):
            return False
        return person.capacity is None or self.load(person.name, one) < person.capacity

    def load(self, name: str, apart_from: Company | None = None) -> int:
        stays = [
            one.stay for one in self.companies.values() if one is not apart_from and one.stay is not None
        ]
        return sum(stay.is_open and stay.owner == name and stay.team is not None for stay in stays)

    def own(self, name: str, owner: str | None) -> str | None:
        """Take over who got an account. Return what is wrong with it."""
        one = self.companies[name]
        stay = one.stay
        assert stay is not None
        wrong = self._wrong(one, stay, owner)
        stay.owner, stay.owner_since = owner, self.now
        stay.is_answered = stay.is_accepted = False
        if not stay.is_open:
            stay.is_answered = True
        if stay.team is None:
            calendar = Calendar()
        else:
            team = self.file.teams[stay.team]
            calendar = team.calendar_of(owner)
            if any(person.name == owner for person in team.people):
                one.owners[team.name] = str(owner)
        stay.due = NEVER if stay.sla is None else calendar.add(self.now, stay.sla)
        return wrong

    def _wrong(self, one: Company, stay: Stay, owner: str | None) -> str | None:
        if stay.team is None:
            return None if owner is None else "an owner without a team"
        team = self.file.teams[stay.team]
        if not team.people and team.per_day is None:
            return None if owner == team.name else "not the team"
        there = {person.name: person for person in team.people if self.may_take(team, person, one)}
        if (self.crowded or self.at_once) and owner == team.queue:
            return None
        if not there:
            return None if owner == team.queue else "nobody is available"
        if owner not in there:
            return f"not available, but {sorted(there)} are"
        for preferred in (team.named.get(one.name), one.owners.get(team.name) if team.sticky else None):
            if preferred in there:
                return None if owner == preferred else f"{preferred} comes first"
        if team.strategy == "least-loaded" and not self.at_once:
            loads = {name: self.load(name, one) / person.weight for name, person in there.items()}
            if loads[owner] > min(loads.values()):
                return f"not the least loaded: {loads}"
        return None

    def queued(self) -> Iterator[tuple[Company, Stay, Team]]:
        """Accounts in queues, the longest first."""
        found = []
        for one in self._all():
            stay = one.stay
            if stay is None or stay.team is None or not stay.is_open or stay.is_accepted:
                continue
            team = self.file.teams[stay.team]
            if team.people and stay.owner == team.queue:
                found.append((stay.owner_since, one.name, one, stay, team))
        yield from ((one, stay, team) for _, _, one, stay, team in sorted(found, key=lambda row: row[:2]))

    def forgotten(self) -> list[tuple[str, str]]:
        """Accounts in a queue that somebody may take."""
        return [
            (one.name, person.name)
            for one, _, team in self.queued()
            for person in team.people
            if self.may_take(team, person, one)
        ]
