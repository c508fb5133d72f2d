# ruff: noqa: INP001 - a script, not a package
"""Write examples/synthetic.jsonl.gz: invented signals for real accounts, so that every layer has something to show.

Nothing in that file happened. Each event has a `source` that begins with /synthetic/, and `synthetic: true` in its data.
Technologies, people, and statements are made up. The same seed gives the same events.

    python examples/make_synthetic.py
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from resegment.identity.domains import registrable_domain
from resegment.sources.providers.yc import Event, read_files

HERE = Path(__file__).parent
SEED = 20211202
ACCOUNTS = 600
FIRST = datetime(2022, 1, 3, tzinfo=UTC)
LAST = datetime(2025, 3, 10, tzinfo=UTC)

ROUNDS = [(15, "seed", 2_500_000), (70, "series_a", 12_000_000), (220, "series_b", 35_000_000)]
LATE_ROUND = ("series_c", 90_000_000)
LEADERS = [("cro", "Chief Revenue Officer"), ("vp_sales", "VP Sales"), ("cmo", "Chief Marketing Officer")]
TOOLS = {"rivalcrm": "crm", "oldreach": "sales_engagement", "dialdash": "dialer", "quotepad": "cpq"}
TOPICS = ["sales_playbooks", "sales_engagement", "pipeline_forecasting"]
THEMES = {
    "enterprise_sales": "We are moving up-market and building an enterprise sales motion.",
    "efficiency": "This year we do more with the team that we have.",
    "new_market": "We are opening a second market.",
}
ACTIONS = ["page_view", "page_view", "content_download", "webinar", "product_signup", "demo_request"]
PERSONAS = ["sales_leader", "founder", "revenue_operations"]


class Profile(NamedTuple):
    """What was known about an account from one day on."""

    day: str
    active: bool
    employees: int


class Draft(NamedTuple):
    """An invented event before it has an id; `late` is the delay until it became known."""

    account: str
    kind: str
    time: datetime
    late: timedelta
    data: dict[str, Any]


class World:
    """The accounts of the directory over time, and the random generator."""

    def __init__(self, events: list[Event]) -> None:
        self.random = Random(SEED)  # noqa: S311 - repeatable on purpose
        self.profiles: dict[str, list[Profile]] = {}
        for event in events:
            if event["type"] == "gtm.firmographic.v1":
                self._learn(registrable_domain(event["subject"]), event["time"][:10], event["data"])

    def _learn(self, account: str, day: str, data: dict[str, Any]) -> None:
        known = self.profiles.setdefault(account, [])
        before = known[-1] if known else Profile(day, active=False, employees=0)
        status = data.get("status")
        active = before.active if status is None else status in {"active", "public"}
        known.append(Profile(day, active, data.get("employees", before.employees) or 0))

    def at(self, account: str, moment: datetime) -> Profile | None:
        """Return what was known about an account at a moment, if it was in business then."""
        known = self.profiles[account]
        place = bisect_right([profile.day for profile in known], f"{moment:%Y-%m-%d}")
        profile = known[place - 1] if place else None
        return profile if profile and profile.active else None

    def within(self, start: datetime, days: float) -> datetime:
        """Pick a whole second in the given number of days from start."""
        return start + timedelta(seconds=self.random.randrange(int(days * 86_400)))


def raise_money(world: World, account: str, start: datetime, employees: int) -> list[Draft]:
    """Raise a round of the account's size, often with a statement about enterprise sales after it."""
    kind, size = next(((name, usd) for most, name, usd in ROUNDS if employees <= most), LATE_ROUND)
    amount = round(size * world.random.uniform(0.5, 1.8), -5)
    late = timedelta(days=world.random.randrange(1, 12))
    data = {"round": kind, "amount": int(amount), "currency": "USD", "amount_usd": int(amount)}
    drafts = [Draft(account, "funding", start, late, {**data, "investors": ["Example Ventures"]})]
    if world.random.random() < 0.5:
        said = world.within(start, 60)
        statement = {"theme": "enterprise_sales", "statement": THEMES["enterprise_sales"]}
        drafts.append(Draft(account, "strategy", said, timedelta(days=2), statement))
    return drafts


def hire_leader(world: World, account: str, start: datetime, _: int) -> list[Draft]:
    """Let a leader join, sometimes after the last one left."""
    role, title = world.random.choice(LEADERS)
    late = timedelta(days=world.random.randrange(1, 20))
    person = f"Synthetic Person {world.random.randrange(1, 5_000)}"
    data = {"change": "joined", "role": role, "title": title, "person": person}
    drafts = [Draft(account, "leadership", start, late, data)]
    if world.random.random() < 0.3:
        gone = start - timedelta(days=world.random.randrange(20, 90))
        data = {"change": "left", "role": role, "title": title}
        drafts.append(Draft(account, "leadership", gone, late, data))
    return drafts


def switch_tool(world: World, account: str, start: datetime, _: int) -> list[Draft]:
    """Add a made-up tool and, more often than not, remove it later."""
    tool = world.random.choice(list(TOOLS))
    late = timedelta(days=world.random.randrange(1, 8))
    data = {"technology": tool, "category": TOOLS[tool], "score": round(world.random.uniform(0.5, 1), 2)}
    drafts = [Draft(account, "tech", start, late, {"change": "added", **data})]
    if world.random.random() < 0.7:
        dropped = start + timedelta(days=world.random.randrange(60, 400))
        drafts.append(Draft(account, "tech", dropped, late, {"change": "removed", **data}))
    return drafts


def research(world: World, account: str, start: datetime, _: int) -> list[Draft]:
    """Research a topic for some weeks, with rising scores, and maybe visit us."""
    topic = world.random.choice(TOPICS)
    weeks = world.random.randrange(2, 7)
    score = world.random.randrange(35, 65)
    drafts = []
    for week in range(weeks):
        data = {
            "topic": topic,
            "score": min(score + 9 * week, 100),
            "score_scale": 100,
            "vendor": "synthetic",
        }
        drafts.append(Draft(account, "intent", start + timedelta(weeks=week), timedelta(days=1), data))
    if weeks >= 4 and world.random.random() < 0.6:
        drafts += engage(world, account, start + timedelta(weeks=weeks - 2), 0)
    return drafts


def engage(world: World, account: str, start: datetime, _: int) -> list[Draft]:
    """Visit us a few times within a month."""
    persona = world.random.choice(PERSONAS)
    person = f"synthetic-person-{world.random.randrange(1, 5_000)}"
    drafts = []
    for _visit in range(world.random.randrange(2, 6)):
        data = {"action": world.random.choice(ACTIONS), "person": person, "persona": persona}
        drafts.append(Draft(account, "engagement", world.within(start, 25), timedelta(0), data))
    if world.random.random() < 0.05:
        data = {"action": "unsubscribe", "person": person, "persona": persona}
        drafts.append(Draft(account, "engagement", start + timedelta(days=26), timedelta(0), data))
    return drafts


def state_priority(world: World, account: str, start: datetime, _: int) -> list[Draft]:
    """State a priority in public."""
    theme = world.random.choice(list(THEMES))
    data = {"theme": theme, "statement": THEMES[theme]}
    return [Draft(account, "strategy", start, timedelta(days=world.random.randrange(3)), data)]


EPISODES = [
    raise_money,
    raise_money,
    hire_leader,
    hire_leader,
    switch_tool,
    switch_tool,
    research,
    engage,
    state_priority,
]


def invent(world: World) -> list[Draft]:
    """Give some accounts a few episodes each, at moments when they were in business."""
    candidates = [
        account
        for account, known in sorted(world.profiles.items())
        if any(profile.active and profile.employees >= 10 for profile in known)
    ]
    drafts: list[Draft] = []
    for account in world.random.sample(candidates, ACCOUNTS):
        for _episode in range(world.random.randrange(2, 6)):
            start = world.within(FIRST, (LAST - FIRST).days)
            profile = world.at(account, start)
            if profile is not None:
                drafts += world.random.choice(EPISODES)(world, account, start, profile.employees)
    return [
        draft
        for draft in drafts
        if FIRST <= draft.time <= LAST - draft.late and world.at(draft.account, draft.time)
    ]


def write_down(world: World, drafts: list[Draft]) -> list[Event]:
    """Give each draft its envelope; amend or retract a few later, as real feeds do."""
    events: list[Event] = []
    drafts.sort(key=lambda draft: (draft.time + draft.late, draft.account, draft.kind))
    for number, draft in enumerate(drafts, 1):
        event = envelope(f"synthetic-{number:05d}", draft)
        events.append(event)
        fate = world.random.random()
        if fate > 0.03 or draft.kind not in {"funding", "leadership", "tech"}:
            continue
        later = draft._replace(late=draft.late + timedelta(days=world.random.randrange(5, 40)))
        if fate < 0.01:
            later = later._replace(data={})
            revision = envelope(f"{event['id']}-retracted", later, record=event["id"], op="retract")
        else:
            note = {**draft.data, "amended": True}
            revision = envelope(f"{event['id']}-amended", later._replace(data=note), record=event["id"])
        events.append(revision)
    return sorted(events, key=lambda event: (event["recordedtime"], event["id"]))


def envelope(name: str, draft: Draft, **extensions: str) -> Event:
    """Wrap a draft as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": f"/synthetic/{draft.kind}",
        "type": f"gtm.{draft.kind}.v1",
        "subject": draft.account,
        "time": f"{draft.time:%Y-%m-%dT%H:%M:%SZ}",
        "recordedtime": f"{draft.time + draft.late:%Y-%m-%dT%H:%M:%SZ}",
        **extensions,
        "datacontenttype": "application/json",
        "data": {**draft.data, "synthetic": True},
    }


def main() -> None:
    """Write the file beside this script."""
    directory = HERE / "yc"
    facts, _ = read_files(
        directory / "snapshot-2021-12-02.jsonl.gz", directory / "changes-2022-2025.jsonl.gz"
    )
    world = World(facts)
    events = write_down(world, invent(world))
    lines = "".join(f"{json.dumps(event, separators=(',', ':'))}\n" for event in events)
    # Leave the time of writing out of the archive, so that the same events give the same bytes.
    (HERE / "synthetic.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))


if __name__ == "__main__":
    main()
