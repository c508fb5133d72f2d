"""A console with fakes of what operators do, behind its guard."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx
from fastapi import FastAPI

from resegment.agents.dead_letters import PREFIX, read_dead_letter
from resegment.console.operations.owners import MemberRow, TeamRow
from resegment.http.console.app import mount_console
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.operations.letters import Sent
from resegment.http.operations.operations import Operations
from resegment.http.operations.owners import Handed, NoSuchMember
from resegment.http.operations.queue import Queue, WaitingAccount
from resegment.http.operations.sources import Recent, RecentFacts
from resegment.http.operations.versions import Draft, Job, KeptPlan, NoSuchPlan
from resegment.routing.staffing.handover import TeamHandover
from resegment.schemas.contracts.audit import AuditEntry
from resegment.segmentation.definition import read_definition
from resegment.segmentation.planning.offline import plan_replay
from resegment.segmentation.planning.refusals import check_hash
from resegment.segmentation.planning.saved import SavedPlan
from resegment.sources.rhythm import Rhythm
from resegment.streams.audit.reading import AuditedAction
from resegment.streams.definitions.applying.requests import Applied
from resegment.streams.operations.dead_letters import DeadLetter, DeadLetters
from resegment.streams.operations.planning import Wish
from resegment.streams.operations.switching.intents import Intent
from tests.unit.http.access.world import PAGE, World, make_world, read_csrf

NOON = 1_790_000_000_000
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "\u202egnp.exe\x1b[2J\x00",
    '=HYPERLINK("http://evil.example")',
    "</textarea><script>alert(1)</script>",
    "' onmouseover='alert(1)",
)
"""What a producer may write into any field."""
FILE = """
version: 1
segments:
  - name: large
    hypothesis: TEXT
    when: {employees: {gte: 100}}
    play: talk
    route: {workflow: calls}
fallback: {name: not-now, play: talk}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""


@dataclass(frozen=True)
class Kept:
    """A record of the topic of dead letters."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes | None
    key: bytes | None = None
    offset: int = 0
    timestamp: int = NOON


def letter(number: int, value: bytes | None = b"{}", **about: str) -> DeadLetter:
    told = {
        "reason": "not-json",
        "field": "",
        "message": "wrong",
        "topic": "demo.triggers.funding",
        "partition": "0",
        "offset": str(number),
        "timestamp": "2026-11-26T00:00:00Z",
    } | about
    headers = [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in told.items()]
    key = about.get("key", "acme.com").encode("utf-8", "replace")
    record = Kept(
        [*headers, ("ce_source", about.get("source", "/crm").encode("utf-8", "replace"))], value, key
    )
    found = read_dead_letter(record.headers, record.key, value)
    return DeadLetter(
        found["id"], found, value, NOON + number, cast("Any", record), retried=about.get("retried")
    )


@dataclass
class FakeLetters:
    """Dead letters that are sent nowhere."""

    held: dict[str, DeadLetter] = field(default_factory=dict)
    older: int = 0
    sent: list[tuple[str, list[str], dict[str, bytes]]] = field(default_factory=list)

    def add(self, *letters: DeadLetter) -> None:
        self.held |= {one.id: one for one in letters}

    async def look(self) -> DeadLetters:
        return DeadLetters(self.held, self.older)

    def is_editable(self, letter: DeadLetter) -> bool:
        return letter.is_whole

    async def retry(self, actor: str, ids: Sequence[str], edited: Mapping[str, bytes]) -> Sent:
        self.sent.append((actor, list(ids), dict(edited)))
        return Sent(len(ids))


@dataclass
class FakeVersions:
    """A version in force, plans of an empty prefix, and applies that are done at once."""

    text: str = FILE
    plans: dict[str, KeptPlan] = field(default_factory=dict)
    applied: list[tuple[str, str]] = field(default_factory=list)

    async def draft(self) -> Draft:
        return Draft(3, {"segments.yaml": self.text})

    async def plan(self, actor: str, files: Mapping[str, str], route: str) -> KeptPlan:
        old = read_definition([("segments.yaml", FILE)])
        new = read_definition([(name, text.encode("utf-8", "replace")) for name, text in files.items()])
        plan = plan_replay(old, new, {}, NOON, route, lambda _: None)
        saved = SavedPlan(id=uuid.uuid4().hex, plan=plan, content=new.content)
        kept = KeptPlan(Intent(saved, Wish(new, route)), actor, NOON)
        self.plans[kept.id] = kept
        return kept

    async def plan_rollback(self, actor: str, number: int | None) -> KeptPlan:
        kept = await self.plan(actor, {"segments.yaml": self.text}, "none")
        kept.intent = Intent(kept.intent.saved, replace(kept.intent.wish, goes_back_to=number or 2))
        return kept

    def find(self, plan: str) -> KeptPlan:
        if plan not in self.plans:
            raise NoSuchPlan(plan)
        return self.plans[plan]

    def kept(self) -> list[KeptPlan]:
        return list(self.plans.values())

    async def apply(self, actor: str, plan: str, approved: str, message: str) -> Job:
        kept = self.find(plan)
        check_hash(approved, kept.plan)
        self.applied.append((actor, message))
        kept.job = Job(actor, NOON, applied=Applied(4, "x", NOON, warnings=(message,)))
        return kept.job


@dataclass
class FakeOwners:
    """One team with a member, whose accounts move nowhere."""

    member: str = "Ann Lee"
    words: str = "waits"
    account: str = "acme.com"
    complete: bool = True
    unlisted: dict[str, int] = field(default_factory=dict)
    done: list[tuple[Any, ...]] = field(default_factory=list)

    waits: list[WaitingAccount] = field(default_factory=list)
    """Accounts that wait, too."""

    async def teams(self, teams: Any, now: int) -> list[TeamRow]:
        return [TeamRow(self.member, [MemberRow(self.member, 1, 5, 9, False, self.is_gone, 2)], 3, 1, 10, 1)]

    @property
    def is_gone(self) -> bool:
        return bool(self.done) and self.done[-1][0] == "leave"

    async def queue(self, definition: Any, now: int) -> Queue:
        waits = [
            WaitingAccount(self.account, "waiting", self.words, self.words, (self.member,), NOON, self.words),
            WaitingAccount("queued.com", "queued", "calls", "sales", ("Bo",), NOON, "in the queue sales"),
            WaitingAccount("silent.com", "quiet", "calls", "sales", (), NOON, "routing was none"),
            WaitingAccount("control.com", "holdout", "calls", "sales", (), NOON, "held out"),
        ]
        return Queue(
            {self.words: {"waiting": 1}, "calls": {"enrolled": 4, "queued": 1, "quiet": 1, "holdout": 1}},
            [*waits, *self.waits],
            3,
            complete=self.complete,
            unlisted=self.unlisted,
        )

    async def foresee(self, name: str, teams: Any, now: int) -> list[TeamHandover]:
        if name != self.member:
            raise NoSuchMember(name, [self.member])
        return [TeamHandover(self.words, 5, (self.member,), 2, self.words)]

    async def leave(self, actor: str, name: str, teams: Any, now: int) -> Handed:
        self.done.append(("leave", actor, name))
        return Handed(5, 0)

    async def come_back(self, actor: str, name: str, teams: Any, now: int, *, accounts: bool) -> int:
        self.done.append(("return", actor, name, accounts))
        return 5 if accounts else 0


@dataclass
class FakeEndpoints:
    """One endpoint."""

    name: str = "crm"
    done: list[tuple[str, str, str]] = field(default_factory=list)

    async def look(self, waiting: Mapping[str, int]) -> list[dict[str, Any]]:
        state = {"state": "refusing", "lag": 4, "undelivered": 1, "dead_letters": 2, "problem": self.name}
        return [{"endpoint": self.name, "to": self.name, "failing_since": "2026-11-26T00:00:00Z", **state}]

    async def enable(self, actor: str, name: str) -> None:
        self.done.append(("enable", actor, name))

    async def disable(self, actor: str, name: str) -> None:
        self.done.append(("disable", actor, name))


@dataclass
class FakeSources:
    """What came lately."""

    name: str = "/crm"
    span: int = 3_600_000
    hours: set[int] = field(default_factory=set)

    times: tuple[int, ...] = (NOON, NOON + 1_800_000, NOON + 3_600_000)

    async def recent(self) -> RecentFacts:
        times = list(self.times)
        found = Recent(len(times), {"funding": len(times)}, 1, times[-1], times)
        return RecentFacts({self.name: found}, len(times), NOON, NOON + self.span)

    async def rhythms(self, now: int) -> dict[str, Rhythm]:
        return {self.name: Rhythm(self.hours, NOON)}


@dataclass
class FakeAudit:
    """A log of one action."""

    text: str = "ann"
    ids: list[str] = field(default_factory=list)
    more: list[AuditedAction] = field(default_factory=list)

    async def read(self) -> Sequence[AuditedAction]:
        given: dict[str, Any] = {"id": "1", "begun": "1", "at": NOON, "actor": self.text, "action": self.text}
        begun = AuditEntry(
            **given, stage="begun", arguments={"member": self.text, "ids": [self.text, *self.ids]}
        )
        ended = AuditEntry(**given, stage="failed", arguments={}, error=self.text)
        return [AuditedAction(begun, ended), AuditedAction(begun), *self.more]


class NoPrefix:
    """A prefix of which no page of a test asks more than its name."""

    name = "demo"


@dataclass
class Operated:
    """A console that listens on all addresses, its users, and what operators did in it."""

    world: World
    letters: FakeLetters
    versions: FakeVersions
    owners: FakeOwners
    endpoints: FakeEndpoints
    sources: FakeSources
    audit: FakeAudit
    app: FastAPI

    def browser(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8300/console", headers=PAGE)

    async def sign_in(
        self, browser: httpx.AsyncClient, name: str = "ann", role: str = "operator", **given: Any
    ) -> str:
        """Log in, and return what forms send along."""
        token = await self.world.token(name, role, **given)
        csrf = await read_csrf(browser)
        await browser.post("/login", data={"token": token, "csrf": csrf})
        return await read_csrf(browser)


def make_operated(prefix: Any = None, **policy: Any) -> Operated:
    world, app = make_world(**policy), FastAPI()
    parts = FakeLetters(), FakeVersions(), FakeOwners(), FakeEndpoints(), FakeSources(), FakeAudit()
    mount_console(app, cast("ConsolePrefix", prefix or NoPrefix()), world.entrance, Operations(*parts))
    return Operated(world, *parts, app)


def ids_in(page: str) -> list[str]:
    return re.findall(r'<input type="checkbox" name="id" value="([^"]*)"', page)


def check_harmless(page: str) -> None:
    """An attack may be there as text; it has opened no tag or attribute, evaluated nothing, and turned no text around."""
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "' onmouseover='" not in page
    assert 'href="javascript:' not in page
    assert "49$49" not in page
    assert not any(one in page for one in "\u202e\x1b\x00")
