"""A second, slow reading of docs/routing.md on teams: lines and grants, queues, working time, limits, deals, versions.

It shares no code with the router. Who of a team gets an account it takes from the commands, and checks that they may.
Time is in minutes since 1970, and moves in steps of five.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

STEP = 5
LONGEST = 10
NEVER = 10**12


def local(minute: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(minute * 60, ZoneInfo(zone))


@dataclass(frozen=True)
class Hours:
    """When somebody works: first and last weekday (0 to 6), and from and to, in minutes of the day. None: always."""

    zone: str
    days: tuple[int, int] = (0, 6)
    times: tuple[int, int] | None = None
    holidays: frozenset[str] = frozenset()

    def works(self, minute: int) -> bool:
        here = local(minute, self.zone)
        if here.date().isoformat() in self.holidays:
            return False
        if not self.days[0] <= here.weekday() <= self.days[1]:
            return False
        return self.times is None or self.times[0] <= here.hour * 60 + here.minute < self.times[1]

    def end_of(self, minute: int, duration: int) -> int:
        while duration > 0:
            duration -= STEP if self.works(minute) else 0
            minute += STEP
        return minute


@dataclass(frozen=True)
class Member:
    name: str
    capacity: int | None = None
    days: frozenset[int] = frozenset(range(7))
    zone: str | None = None
    hours: Hours | None = None
    local_only: bool = False
    """Takes only accounts of their territory."""


@dataclass(frozen=True)
class Team:
    name: str
    members: tuple[Member, ...]
    hours: Hours
    per_day: int | None = None
    settle: int = 0
    highest: bool = False

    @property
    def queue(self) -> str:
        return f"{self.name}-queue"


@dataclass(frozen=True)
class Version:
    teams: Mapping[str, Team]
    limit: tuple[int, int] | None = None
    """So many enrollments, in so many minutes."""


@dataclass(frozen=True)
class Way:
    """Where a segment leads. `place` is that of the segment in the file."""

    segment: str
    place: int
    workflow: str | None = None
    team: str | None = None
    on_exit: str = "stop"
    cooldown: int = 0
    never_again: bool = False
    sla: int | None = None


@dataclass
class Running:
    workflow: str
    team: str | None
    on_exit: str
    at: int
    sla: int | None
    owner: str | None = None
    is_owned: bool = False
    due: int = NEVER
    answer: str | None = None
    is_open: bool = True


@dataclass
class Account:
    name: str
    way: Way | None = None
    entered: int = 0
    score: int = 0
    running: Running | None = None
    decision: str = "none"
    retry: int = NEVER
    after_lost: bool = False
    left: dict[str, int] = field(default_factory=dict)
    enrolled: list[int] = field(default_factory=list)
    suppressed: bool = False
    territory: bool = False
    lost_until: int = 0


@dataclass
class Line:
    waiting: list[str] = field(default_factory=list)
    first: int | None = None
    last: int = 0
    settle: int = 0
    """What the latest newcomer found."""
    granted: dict[str, int] = field(default_factory=dict)


Said = tuple[int, str, str, str]
"""When, which account, action and workflow."""


class NaiveTeams:
    """Follows all accounts of a prefix. `recorded` has the owner of the next enrollment of each account."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.accounts: dict[str, Account] = {}
        self.lines: dict[str, Line] = {}
        self.gone: set[str] = set()
        self.said: list[Said] = []
        self.grants: list[tuple[str, str, str, int, int]] = []
        """Account, team, day, place in the line, and when."""
        self.now = 0

    # What happens

    def move(self, name: str, way: Way, score: int) -> None:
        account = self.accounts.setdefault(name, Account(name))
        self._leave_line(account)
        account.way, account.entered, account.score = way, self.now, score
        running = account.running
        if running is not None and running.workflow == way.workflow:
            if account.suppressed:
                self._end(account, "stop")
                account.decision = "suppressed"
            else:
                running.at, running.on_exit = self.now, way.on_exit
                account.decision = "enrolled"
                self._say(account, "enroll", running.workflow)
            return
        self._decide(account)

    def suppress(self, name: str, holds: bool) -> None:
        account = self.accounts.setdefault(name, Account(name))
        account.suppressed = holds
        if holds:
            if account.way is None:
                return
            self._leave_line(account)
            if account.running is not None:
                self._end(account, "stop")
            if account.decision not in ("no-route", "never-again", "rejected"):
                account.decision, account.retry = "suppressed", NEVER
        elif account.decision == "suppressed":
            self._decide(account)

    def lose(self, name: str, until: int) -> None:
        """A lost deal: nobody enrolls the account until then."""
        account = self.accounts[name]
        account.lost_until = until
        if account.decision == "waiting":
            self._leave_line(account)
            self._decide(account)
        elif account.decision == "cooldown" and account.after_lost:
            self._decide(account)

    def answer(self, name: str, action: str) -> None:
        """The answer to the latest command, or a deal that is closed now."""
        account = self.accounts[name]
        running = account.running
        if running is None:
            return
        if action in ("won", "lost"):
            running.is_open = False
            running.answer = running.answer or "accepted"
        elif action == "accepted":
            running.answer = "accepted"
        else:
            account.left[running.workflow] = self.now
            account.running = None
            if account.decision != "waiting":
                account.decision = "rejected"

    def switch(self, version: Version) -> None:
        self.version = version
        waiting = [one for one in self._sorted() if one.decision in ("waiting", "capped")]
        for account in waiting:
            if account.decision == "waiting":
                way = account.way
                assert way is not None
                team = self._team(way)
                if team is None or team.per_day is None or self._refusal(account, way) is not None:
                    self._leave_line(account)
                    self._decide(account)
            else:
                self._decide(account)
        for team in version.teams.values():
            self._grant(team)

    # Time

    def next_instant(self) -> int:
        """The next minute at which something happens by itself."""
        times = [NEVER]
        for account in self.accounts.values():
            running = account.running
            if running is not None and running.answer is None:
                times.append(running.due)
            if account.decision in ("cooldown", "capped"):
                times.append(account.retry)
        for team in self.version.teams.values():
            line = self.lines.get(team.name)
            if team.per_day is not None and line is not None and line.waiting:
                if line.first is not None:
                    times.append(self._closes(line))
                times.append(self._midnight(team))
        return min(times)

    def pass_to(self, minute: int) -> None:
        """Let it be that minute, at which something may be due."""
        self.now = minute
        for account in self._sorted():
            running = account.running
            if running is not None and running.answer is None and running.due <= minute:
                running.answer = "escalated"
                self._say(account, "escalate", running.workflow)
            if account.decision in ("cooldown", "capped") and account.retry <= minute:
                self._decide(account)
        for team in self.version.teams.values():
            self._grant(team)

    # Decisions

    def _decide(self, account: Account) -> None:
        way = account.way
        assert way is not None
        account.retry, account.after_lost = NEVER, False
        refusal = self._refusal(account, way)
        if refusal is not None:
            if account.running is not None:
                self._end(account, account.running.on_exit)
            account.decision = refusal
            return
        team = self._team(way)
        if team is not None and team.per_day is not None:
            line = self.lines.setdefault(team.name, Line())
            self._grant(team)
            line.waiting.append(account.name)
            account.decision = "waiting"
            if team.settle:
                line.first = self.now if line.first is None else line.first
                line.last, line.settle = self.now, team.settle
            self._grant(team)
            return
        self._enroll(account, way)

    def _refusal(self, account: Account, way: Way) -> str | None:
        if way.workflow is None:
            return "no-route"
        if account.suppressed:
            return "suppressed"
        if way.never_again and way.workflow in account.left:
            return "never-again"
        until = (
            account.left[way.workflow] + way.cooldown if way.cooldown and way.workflow in account.left else 0
        )
        if max(until, account.lost_until) > self.now:
            account.retry = max(until, account.lost_until)
            account.after_lost = account.lost_until >= until
            return "cooldown"
        if self.version.limit is not None:
            most, within = self.version.limit
            recent = [one for one in account.enrolled if one + within > self.now]
            if len(recent) >= most:
                account.retry = account.enrolled[-most] + within
                return "capped"
        return None

    def _enroll(self, account: Account, way: Way) -> None:
        if account.running is not None:
            self._end(account, account.running.on_exit)
        assert way.workflow is not None
        account.running = Running(way.workflow, way.team, way.on_exit, self.now, way.sla)
        account.decision = "enrolled"
        account.enrolled.append(self.now)
        self._say(account, "enroll", way.workflow)

    def _end(self, account: Account, action: str) -> None:
        running = account.running
        assert running is not None
        self._say(account, action, running.workflow)
        account.left[running.workflow] = self.now
        account.running = None

    # Lines

    def _grant(self, team: Team) -> None:
        """Grant the best of a line that has settled."""
        line = self.lines.get(team.name)
        if line is None or team.per_day is None:
            return
        if line.first is not None and self.now < self._closes(line):
            return
        line.first = None
        day = local(self.now, team.hours.zone).date().isoformat()
        room = team.per_day - line.granted.get(day, 0)
        best = sorted(line.waiting, key=lambda name: self.rank(team, name))[: max(room, 0)]
        for place, name in enumerate(best, 1):
            line.waiting.remove(name)
            line.granted[day] = line.granted.get(day, 0) + 1
            self.grants.append((name, team.name, day, place, self.now))
        for name in best:
            account = self.accounts[name]
            assert account.way is not None
            self._enroll(account, account.way)

    def rank(self, team: Team, name: str) -> tuple[int, int, int, str]:
        account = self.accounts[name]
        assert account.way is not None
        first = -account.score if team.highest else account.way.place
        return first, account.way.place, account.entered, name

    def _closes(self, line: Line) -> int:
        assert line.first is not None
        return min(line.last + line.settle, line.first + LONGEST)

    def _leave_line(self, account: Account) -> None:
        for line in self.lines.values():
            if account.name in line.waiting:
                line.waiting.remove(account.name)

    def _midnight(self, team: Team) -> int:
        zone = team.hours.zone
        today, minute = local(self.now, zone).date(), self.now
        while local(minute, zone).date() <= today:
            minute += 15
        return minute - minute % 15

    def _team(self, way: Way) -> Team | None:
        return None if way.team is None else self.version.teams[way.team]

    # Owners, as the commands say who they are

    def own(self, name: str, owner: str | None, *, again: bool = False) -> None:
        """Take over who got an account."""
        running = self.accounts[name].running
        assert running is not None
        running.owner, running.is_owned = owner, True
        if running.is_open and (again or running.answer is None):
            running.answer = None
        if running.team is None:
            running.due = NEVER if running.sla is None else self.now + running.sla
            return
        team = self.version.teams[running.team]
        member = next((one for one in team.members if one.name == owner), None)
        hours = team.hours if member is None else self.hours_of(team, member)
        running.due = NEVER if running.sla is None else hours.end_of(self.now, running.sla)

    def hours_of(self, team: Team, member: Member) -> Hours:
        if member.hours is not None:
            return member.hours
        zone = member.zone or team.hours.zone
        return Hours(zone, team.hours.days, team.hours.times, team.hours.holidays)

    def may_take(self, team: Team, member: Member, account: Account) -> bool:
        """Whether a member is there and of the right territory, whatever their room."""
        zone = member.zone or team.hours.zone
        if member.name in self.gone or local(self.now, zone).weekday() not in member.days:
            return False
        if member.hours is not None and not member.hours.works(self.now):
            return False
        return account.territory or not member.local_only

    def loads(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for account in self.accounts.values():
            running = account.running
            if running is not None and running.is_open and running.owner is not None:
                found[running.owner] = found.get(running.owner, 0) + 1
        return found

    def forgotten(self) -> Iterator[tuple[str, str]]:
        """Accounts in a queue that somebody may take: there must be none once all was offered."""
        loads = self.loads()
        for account in self._sorted():
            running = account.running
            if running is None or running.team is None or not running.is_open or running.answer == "accepted":
                continue
            team = self.version.teams[running.team]
            if running.owner != team.queue:
                continue
            for member in team.members:
                has_room = member.capacity is None or loads.get(member.name, 0) < member.capacity
                if has_room and self.may_take(team, member, account):
                    yield account.name, member.name

    def overfull(self, given: Sequence[tuple[str, str]]) -> list[str]:
        """Those who were given accounts, as team and member, and have more than any of these teams lets them have."""
        loads, most = self.loads(), dict[str, int]()
        for team, name in given:
            member = next(one for one in self.version.teams[team].members if one.name == name)
            capacity = NEVER if member.capacity is None else member.capacity
            most[name] = max(most.get(name, 0), capacity)
        return [name for name, capacity in most.items() if loads.get(name, 0) > capacity]

    def _say(self, account: Account, action: str, workflow: str) -> None:
        self.said.append((self.now, account.name, action, workflow))

    def _sorted(self) -> Sequence[Account]:
        return [self.accounts[name] for name in sorted(self.accounts)]
