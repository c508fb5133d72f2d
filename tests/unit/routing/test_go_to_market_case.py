"""One threshold of a go-to-market file changes while its accounts are worked: who moves, who is stopped, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from resegment.schemas.change import SegmentChange
from resegment.schemas.routing import decode_routing_event
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery, replay_account
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.builders import facts_of
from tests.unit.agents.test_router import Json
from tests.unit.routing.test_switching import Rig

DATA = Path(__file__).parents[2] / "data" / "gtm"
OLD = (DATA / "segments.yaml").read_text("utf-8")
NEW = OLD.replace("- {employees: {gte: 50}}", "- {employees: {gte: 100}}", 1)
EVENTS = [orjson.loads(line) for line in (DATA / "events.jsonl").read_bytes().splitlines()]

SWITCHED = parse_instant("2026-11-24T00:00:00Z")
TAKEN_BACK = parse_instant("2026-11-25T00:00:00Z")
STOPPED = ["dealbarn.com", "driftpoint.com", "signalfern.com", "soinsoft.fr"]
"""The accounts under 100 people whose 14 days of `min_dwell` are over, and that were enrolled."""
MOVED = sorted([*STOPPED, "finbarrow.io", "quotewise.com"])
"""Also a customer, and an account of the holdout."""

SHORT_HOLD = "hold: {min_dwell: 14d, cooldown: 30d}", "hold: {min_dwell: 14d}"
"""Without a `cooldown` of the segment, which keeps its accounts out after a rollback too."""


def versions(*texts: str) -> list[Definition]:
    return [read_definition([("segments.yaml", text)]) for text in texts]


def changes_of(definitions: Sequence[Definition]) -> list[list[SegmentChange]]:
    """The changes before the switch, by the switch, and by the rollback, in the order in which they were decided."""
    engines = [Engine(Program(one)) for one in definitions]
    timeline = Timeline(
        [
            Era(1, ALWAYS, engines[0]),
            Era(2, SWITCHED, engines[1]),
            Era(3, TAKEN_BACK, engines[2], rollback_of=2),
        ]
    )
    found: list[SegmentChange] = []
    for name, facts in by_account(order_of_delivery(facts_of(EVENTS))).items():
        found += replay_account(timeline, name, facts, TAKEN_BACK)[1]
    found.sort(key=lambda one: (one.effective_at, one.account))
    return [[one for one in found if one.cause.definition == number] for number in (None, 2, 3)]


class Sequencer:
    """Follows the commands of three versions, and keeps which workflow each account is in."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.definitions, self.routing = definitions, Rig(*definitions)
        self.running: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.keys: list[str] = []

    async def follow(self, number: int, changes: Sequence[SegmentChange]) -> list[Json]:
        """Route the changes of a version. No account is enrolled in a workflow while it is in one."""
        before = self.definitions[max(0, number - 2)]
        factory = MessageFactory(self.definitions[number - 1], Topics(), before)
        values = [factory.change(one).value or b"" for one in changes]
        made = await self.routing.follow(*values) if values else []
        for one in made:
            self.keys.append(one["idempotency_key"])
            if one["action"] == "enroll":
                assert one["account"] not in self.running, one
                self.running[one["account"]] = one["workflow"]
            else:
                assert self.running.pop(one["account"]) == one["workflow"]
        assert len(set(self.keys)) == len(self.keys)
        return made


async def test_a_threshold_of_the_go_to_market_file_moves_stops_and_enrolls_nobody_twice() -> None:
    definitions = versions(OLD, NEW, OLD)
    first, second, third = changes_of(definitions)
    sequencer = Sequencer(definitions)
    await sequencer.routing.take()
    await sequencer.follow(1, first)
    others = sequencer.running.keys() - set(STOPPED)

    assert sorted(one.account for one in second) == MOVED
    made = await sequencer.follow(2, second)
    assert [(one["action"], one["workflow"]) for one in made] == [("finish", "exec-first-90")] * 4
    assert [one["account"] for one in made] == STOPPED
    assert sequencer.running.keys() == others
    assert sequencer.running["stagehand.com"] == "exec-first-90"  # its 14 days are not over
    assert sequencer.routing.state("dealbarn.com").decision == "quiet"

    assert third == []  # the segment's own cooldown of 30 days keeps them out


async def test_a_rollback_brings_them_back_to_their_owners_where_no_cooldown_keeps_them_out() -> None:
    definitions = versions(*(text.replace(*SHORT_HOLD) for text in (OLD, NEW, OLD)))
    first, second, third = changes_of(definitions)
    sequencer = Sequencer(definitions)
    await sequencer.routing.take()
    made = await sequencer.follow(1, first)
    owners = {one["account"]: one["owner"] for one in made if one["workflow"] == "exec-first-90"}
    before = dict(sequencer.running)
    await sequencer.follow(2, second)

    back = await sequencer.follow(3, third)
    assert [one["account"] for one in back] == STOPPED
    assert {one["account"]: one["owner"] for one in back} == {name: owners[name] for name in STOPPED}
    assert sequencer.running == before
    assert sequencer.routing.state("quotewise.com").decision == "holdout"
    assert sequencer.routing.state("finbarrow.io").decision == "suppressed"


async def test_a_suppression_that_a_version_adds_stops_small_accounts_until_its_rollback() -> None:
    stricter = OLD.replace(
        "  - bounced\n", "  - bounced\n  - {name: small, when: {employees: {lt: 70}}}\n", 1
    )
    definitions = versions(OLD, stricter, OLD)
    eras = [ALWAYS, SWITCHED, TAKEN_BACK]
    timeline = Timeline(
        [
            Era(number, at, Engine(Program(one)), rollback_of=2 if number == 3 else None)
            for number, (at, one) in enumerate(zip(eras, definitions, strict=True), 1)
        ]
    )
    routing = Rig(*definitions)
    await routing.take()
    factories = [MessageFactory(one, Topics()) for one in definitions]
    made: list[list[Json]] = []
    for number, until in enumerate((SWITCHED - 1, SWITCHED, TAKEN_BACK)):
        commands: list[Json] = []
        for name, facts in by_account(order_of_delivery(facts_of(EVENTS))).items():
            if number == 0:
                _, changes = replay_account(timeline, name, facts, until)
                values = [factories[0].change(one).value or b"" for one in changes]
                commands += await routing.follow(*values)
                continue
            account = timeline.open(name)
            for fact in facts:
                timeline.apply_facts(account, [fact], fact.recorded)
            timeline.advance(account, until - 1)
            for decision in timeline.advance(account, until):
                assert decision.change is None
                if decision.gate_change is not None:
                    told = factories[number].gate_change(decision.gate_change)
                    commands += await routing.tell(decode_routing_event(told.value or b""))
        made.append(commands)
    owners = {one["account"]: one["owner"] for one in made[0]}
    small = ["dealbarn.com", "ironwren.com", "soinsoft.fr"]
    assert {(one["account"], one["action"], one["reason"]) for one in made[1]} == {
        (name, "stop", "suppressed: small") for name in small
    }
    assert {(one["account"], one["action"], one["owner"]) for one in made[2]} == {
        (name, "enroll", owners[name]) for name in small
    }
