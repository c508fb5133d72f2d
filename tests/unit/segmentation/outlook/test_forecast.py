"""What comes with no further news, against the naive evaluator and against a live partition whose clock moves."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Sequence

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from resegment.agents.batch import Batch
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.agents.deciding.versions import KnownVersions
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.identity.domains import registrable_domain
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest, by_account, order_of_delivery
from resegment.segmentation.outlook.forecast import (
    Forecast,
    Forecaster,
    describe_forecast,
    forecast_schema,
)
from resegment.segmentation.versions.chain import follow
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.memory.partition import Memory, PartitionStore
from tests.builders import Move, Published, definition_of, facts_of, moves, signals, ticking
from tests.companies import EXAMPLES, SEGMENTS, events
from tests.events import read_fact
from tests.oracle.generate import generate
from tests.oracle.generate.switches import switches
from tests.oracle.naive.switching import switching_history

DAY = 86_400_000


def forecast_of(facts: Sequence[Fact], timeline: Timeline, at: int, until: int) -> Forecast:
    forecaster = Forecaster(timeline, at, until)
    for account, _ in backtest(timeline, [one for one in facts if one.recorded <= at], at):
        forecaster.take_stored(account.name, timeline.encode(account))
    return forecaster.finish()


def moves_of(forecast: Forecast) -> list[Move]:
    found = [(one.account, one.from_, one.to, parse_instant(one.at)) for one in forecast.moves]
    return sorted(found, key=lambda move: (move[3], move[0]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), days=st.sampled_from([1, 7, 30, 400]))
def test_a_forecast_is_what_the_naive_evaluator_says_of_the_time_to_come(
    seed: int, share: float, days: int
) -> None:
    switched = switches(generate(seed, extended=True), random.Random(seed))
    definitions = [definition_of(one.file, one.files) for one in switched.versions]
    eras = [Era(1, ALWAYS, Engine(Program(definitions[0])))]
    for number, version in enumerate(switched.versions[1:], 1):
        found = compare(definitions[number - 1], definitions[number])
        assert version.at is not None
        engine = Engine(Program(definitions[number]))
        eras.append(
            Era(
                number + 1,
                version.at,
                engine,
                definitions[number].moved,
                found.judges,
                gates_only=found.gates_only,
            )
        )
    timeline = Timeline(eras)
    facts = [timeline.receive(one) for one in facts_of(switched.events)]
    known = sorted({one.recorded for one in facts})
    at = known[int(share * (len(known) - 1))]
    until = at + days * DAY
    told = [
        event
        for event, fact in zip(switched.events, facts_of(switched.events), strict=True)
        if fact.recorded <= at
    ]

    made = forecast_of(facts, timeline, at, until)

    expected = [
        (registrable_domain(one.account), one.from_, one.to, one.effective_at)
        for one in switching_history(switched.versions, told, until)
        if one.effective_at > at
    ]
    assert moves_of(made) == sorted(expected, key=lambda move: (move[3], move[0]))


async def test_a_forecast_is_what_happens_when_the_clock_of_a_partition_moves() -> None:
    text = SEGMENTS.read_text("utf-8")
    later = text.replace("gte: 0.25", "gte: 0.4").replace("within: 180d", "within: 150d")
    assert later != text
    first, second = (read_definition([(SEGMENTS.name, one.encode())]) for one in (text, later))
    at = parse_instant("2024-01-01T00:00:00Z")
    timeline = follow(first, [(at + 10 * DAY, second)])
    facts = order_of_delivery([*(fact for fact, _ in events(3)), *synthetic()])
    facts = [one for one in facts if one.recorded <= at]
    partition = Live(timeline)
    await partition.take(facts, at)
    forecaster = Forecaster(timeline, at, at + 30 * DAY)
    for name, value in partition.memory.accounts.items():
        forecaster.take_stored(name, value)
    made = forecaster.finish()
    before = partition.sizes()
    partition.changes.clear()

    await partition.tick(at + 30 * DAY)

    happened = moves(net_changes(partition.changes))
    assert len(happened) > 50
    assert {one[3] for one in happened} > {at + 10 * DAY}
    assert moves_of(made) == happened
    assert {one.name: one.size for one in made.segments if one.size} == before
    assert {one.name: one.sizes[-1] for one in made.segments if one.sizes[-1]} == partition.sizes()
    assert made.accounts == len(partition.memory.accounts)


def synthetic() -> list[Fact]:
    """The made-up events of one company in three."""
    lines = gzip.decompress((EXAMPLES / "synthetic.jsonl.gz").read_bytes()).splitlines()
    found = by_account(read_fact(orjson.loads(line)) for line in lines)
    return [fact for name in sorted(found)[::3] for fact in found[name]]


class Live:
    """One partition of `signals` over a store in memory, with the versions of a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self.memory, self.changes = Memory(), list[SegmentChange]()
        self.versions = KnownVersions(timeline)
        self.owned = OwnedPartition(0, PartitionStore(self.memory, 0), self.versions)
        self.offset = 0

    async def take(self, facts: Sequence[Fact], at: int) -> None:
        await self.owned.take("log")
        for start in range(0, len(facts), 1_000):
            await self._feed(signals(facts[start : start + 1_000], self.offset))
        await self.tick(at)

    async def tick(self, at: int) -> None:
        await self._feed([ticking(self.offset, at)])

    async def _feed(self, records: Sequence) -> None:  # type: ignore[type-arg]
        self.offset += len(records)
        done = await segment(
            Batch("signals", 0, records),
            self.owned,
            self.versions,
            publisher=Published(),
            factory=None,
            dead_letters="",
        )
        self.changes += done.changes
        while self.owned.due:
            self.changes += await decide_due(self.owned, self.versions, factory=None)
        cursor = 0
        while (version := find_due_sweep(self.owned.position, self.versions.timeline)) is not None:
            swept = await sweep(self.owned, self.versions, cursor, version, factory=None, limit=100)
            cursor = swept.cursor
            self.changes += swept.changes

    def sizes(self) -> dict[str, int]:
        states = (self.versions.load(name, value).state for name, value in self.memory.accounts.items())
        return dict(Counter(one.membership.segment or "" for one in states))


def event(kind: str, subject: str, day: int, **data: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{subject}-{day}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": format_instant(day * DAY),
        "data": data,
    }


def segments(*windows: str) -> dict[str, object]:
    named = [f"in-{window}" for window in windows]
    plays = {
        "talk": {
            "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
            "channels": {"primary": "email"},
        }
    }
    one = [
        {
            "name": name,
            "when": {"event": "funding", "within": window},
            "play": "talk",
            "route": {"workflow": name},
        }
        for name, window in zip(named, windows, strict=True)
    ]
    rest = {"name": "out", "play": "talk", "route": {"workflow": "y"}}
    return {"version": 1, "segments": one, "fallback": rest, "plays": plays}


def small() -> Forecaster:
    """Three accounts: two leave `in-10d` for `in-20d` and that for `out`, one has left all."""
    timeline = follow(definition_of(segments("10d", "20d")))
    facts = facts_of(
        [event("funding", "a.com", 100), event("funding", "b.com", 95), event("funding", "c.com", 50)]
    )
    forecaster = Forecaster(timeline, 101 * DAY, 131 * DAY)
    for account, _ in backtest(timeline, facts, 101 * DAY):
        forecaster.take(account)
    return forecaster


def test_sizes_follow_the_moves_day_by_day() -> None:
    made = small().finish()
    assert [(one.name, one.size, one.entries, one.exits) for one in made.segments] == [
        ("in-10d", 2, 0, 2),
        ("in-20d", 0, 2, 2),
        ("out", 1, 2, 0),
    ]
    assert len(made.days) == 31
    assert made.segments[0].sizes == (2,) * 4 + (1,) * 5 + (0,) * 22
    assert [(one.day, one.moves) for one in made.days if one.moves] == [
        ("1970-04-16", 1),
        ("1970-04-21", 1),
        ("1970-04-26", 1),
        ("1970-05-01", 1),
    ]
    assert (made.accounts, made.moving) == (3, 2)


def test_one_segment_has_its_own_entries_and_exits_alone() -> None:
    made = small().finish("in-10d")
    assert [(one.account, one.from_, one.to) for one in made.moves] == [
        ("b.com", "in-10d", "in-20d"),
        ("a.com", "in-10d", "in-20d"),
    ]
    assert [one.name for one in made.segments] == ["in-10d"]
    assert made.accounts == 2


def test_each_account_is_named_once_by_its_move_in_the_highest_segment() -> None:
    made = small().finish()
    assert [(one.account, one.from_) for one in made.top] == [("b.com", "in-10d"), ("a.com", "in-10d")]


def test_looking_ahead_changes_nothing() -> None:
    timeline = follow(definition_of(segments("10d")))
    [(account, _)] = backtest(timeline, facts_of([event("funding", "a.com", 100)]), 101 * DAY)
    before = timeline.encode(account)
    forecaster = Forecaster(timeline, 101 * DAY, 131 * DAY)
    forecaster.take(account)
    assert len(forecaster.finish().moves) == 1
    assert timeline.encode(account) == before


def test_a_forecast_is_as_its_schema_says() -> None:
    described = orjson.loads(msgspec.json.encode(describe_forecast(small().finish())))
    Draft202012Validator(forecast_schema()).validate(described)
    assert described["moves"][0]["from"] == "in-10d"
