"""One partition that switches versions, with marks, a sweep, restarts and facts folded in: what the oracle says.

`RESEGMENT_SWITCHED` sets how many generated chains of versions are tried.
"""

from __future__ import annotations

import os
import random
from itertools import groupby
from operator import attrgetter

import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.deciding.folding import changeover_of
from resegment.agents.deciding.marks import MARK
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.agents.deciding.versions import KnownVersions, Verdict
from resegment.agents.partition import CacheBudget, OwnedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.identity.domains import registrable_domain
from resegment.schemas.change import SegmentChange
from resegment.schemas.definitions.marks import Mark, encode_mark
from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import encode_state
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.segmentation.versions.differences import Differences, compare
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline, fold_into
from resegment.state.memory.partition import Memory, PartitionStore
from tests.builders import Move, Published, definition_of, facts_of, moves, signal, ticking
from tests.oracle.generate import generate
from tests.oracle.generate.switches import Switches, switches
from tests.oracle.naive.switching import switching_history

SEEDS = int(os.environ.get("RESEGMENT_SWITCHED", "20"))
CHUNK = 5
DAY = 86_400_000


class Following(KnownVersions):
    """The versions as the process learns of them, apply by apply."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.applies: dict[str, Apply] = {}
        self.verdicts: dict[str, Verdict] = {}

    def knows(self, apply: str) -> bool:
        return apply in self.applies

    def verdict(self, apply: str) -> Verdict | None:
        return self.verdicts.get(apply)

    def apply_of(self, apply: str) -> Apply | None:
        return self.applies.get(apply)


class Coming:
    """A version that is to take over."""

    def __init__(self, number: int, era: Era, differences: Differences) -> None:
        self.number, self.era, self.differences = number, era, differences
        self.apply = f"apply-{number}"

    def record(self, apply: str) -> Apply:
        return Apply(
            id=apply,
            version=self.number,
            base=self.number - 1,
            at=self.era.at,
            judges=self.differences.judges,
        )


class Partition:
    """A partition whose log is written bit by bit, and which may stop between any two steps."""

    def __init__(self, switched: Switches, draw: random.Random) -> None:
        self.draw = draw
        definitions = [definition_of(one.file, one.files) for one in switched.versions]
        self.coming: list[Coming] = []
        for number in range(1, len(definitions)):
            before, after, at = definitions[number - 1], definitions[number], switched.versions[number].at
            assert at is not None
            found = compare(before, after)
            era = Era(
                number + 1, at, Engine(Program(after)), after.moved, found.judges,
                gates_only=found.gates_only, folds_in=bool(found.needs_facts),
            )  # fmt: skip
            self.coming.append(Coming(number + 1, era, found))
        self.versions = Following(Timeline([Era(1, ALWAYS, Engine(Program(definitions[0])))]))
        self.memory = Memory()
        self.log: list[RecordedMessage] = []
        self.facts: list[Fact] = []
        self.changes: list[SegmentChange] = []
        self.waiting: dict[str, Coming] = {}
        self.cursor = 0

    async def take(self) -> None:
        """Begin as after a stop: what is in memory is gone."""
        budget = CacheBudget(self.draw.choice([10**9, 20_000]))
        self.owned = OwnedPartition(0, PartitionStore(self.memory, 0), self.versions, budget=budget)
        await self.owned.take("log")
        self.cursor = 0

    @property
    def clock(self) -> int:
        return self.owned.position.clock

    def append(self, record: RecordedMessage) -> None:
        self.log.append(record)

    def mark(self, mark: Mark) -> None:
        self.append(RecordedMessage(len(self.log), 0, None, encode_mark(mark), [(MARK, b"")]))

    async def read(self) -> None:
        """Read the log to its end, in batches of any size."""
        while self.owned.position.offset < len(self.log):
            await self.disturb()
            start = self.owned.position.offset
            batch = self.log[start : start + self.draw.choice([1, 1, 2, 4, 9])]
            done = await segment(
                Batch("signals", 0, batch), self.owned, self.versions,
                publisher=Published(), factory=None, dead_letters="dead-letters",
            )  # fmt: skip
            self.changes += done.changes
            if done.waits_for is not None:
                self.settle(done.waits_for)

    def settle(self, apply: str) -> None:
        """Let the process learn how an apply has ended."""
        coming = self.waiting.get(apply)
        if coming is None or self.versions.verdicts.get(apply) is not None:
            return
        self.versions.verdicts[apply] = "stands"
        self.versions.timeline = self.versions.timeline.extend(coming.era).retaining(None)

    async def disturb(self) -> None:
        """Do some of what else a worker does, or stop."""
        if self.draw.random() < 0.15:
            await self.take()
        if self.draw.random() < 0.3:
            self.changes += await decide_due(self.owned, self.versions, factory=None)
        if self.draw.random() < 0.4:
            await self.sweep_slice()

    async def sweep_slice(self) -> bool:
        number = find_due_sweep(self.owned.position, self.versions.timeline)
        if number is None:
            return False
        swept = await sweep(self.owned, self.versions, self.cursor, number, factory=None, limit=1)
        self.changes += swept.changes
        self.cursor = swept.cursor
        return True

    async def work_off(self) -> None:
        while self.owned.due:
            self.changes += await decide_due(self.owned, self.versions, factory=None)
        while await self.sweep_slice():
            await self.disturb()

    async def prepare(self, coming: Coming) -> None:
        """Carry an apply up to its pending switch, while the clock is before its instant."""
        await self.work_off()
        if self.draw.random() < 0.3:
            await self.give_up(coming)
        self.versions.applies[coming.apply] = coming.record(coming.apply)
        self.versions.timeline = self.versions.timeline.retaining(Retention(coming.era.engine.program))
        self.mark(Mark(apply=coming.apply, version=coming.number, step="prepare"))
        await self.read()
        await self.fold_in(coming, changeover_of(self.owned.position).offset)

    async def give_up(self, coming: Coming) -> None:
        """An apply that ends void."""
        apply = f"void-{coming.number}"
        self.versions.applies[apply] = coming.record(apply)
        self.mark(Mark(apply=apply, version=coming.number, step="prepare"))
        self.mark(Mark(apply=apply, version=coming.number, step="switch", at=coming.era.at))
        await self.read()
        self.versions.verdicts[apply] = "void"
        if self.draw.random() < 0.7:
            self.mark(Mark(apply=apply, version=coming.number, step="void"))
            await self.read()

    async def fold_in(self, coming: Coming, upto: int) -> None:
        store = self.owned.store
        await store.clear_folded()
        known = [one for offset, one in self.facts_by_offset if offset < upto]
        if not coming.differences.needs_facts:
            return
        for name, facts in groupby(sorted(known, key=attrgetter("account")), key=attrgetter("account")):
            groups = [(at, list(one)) for at, one in groupby(facts, key=attrgetter("recorded"))]
            state = fold_into(coming.era.engine, name, None, groups)
            await store.keep_folded([(name, encode_state(state))])

    @property
    def facts_by_offset(self) -> list[tuple[int, Fact]]:
        places = [one.offset for one in self.log if one.key is not None]
        return list(zip(places, self.facts, strict=True))

    async def expect(self, coming: Coming) -> None:
        """Mark the switch, and learn at some time that it stands."""
        self.waiting[coming.apply] = coming
        self.mark(Mark(apply=coming.apply, version=coming.number, step="switch", at=coming.era.at))
        if self.draw.random() < 0.5:
            await self.read()
            self.settle(coming.apply)

    async def run(self, facts: list[Fact], end: int) -> None:
        await self.take()
        whole = Timeline([*self.versions.timeline.eras, *(one.era for one in self.coming)])
        left = [whole.receive(one) for one in facts]
        previous = 0
        for coming in self.coming:
            early = self.draw.random()
            while left and left[0].recorded < coming.era.at and self.draw.random() > early * 0.3:
                self.deliver(left.pop(0))
            while left and left[0].recorded < previous:
                self.deliver(left.pop(0))
            if previous:  # the one before has to be worked off first
                self.append(ticking(len(self.log), previous))
            await self.read()
            await self.prepare(coming)
            while left and left[0].recorded < coming.era.at and self.draw.random() < 0.4:
                self.deliver(left.pop(0))
            await self.expect(coming)
            if self.draw.random() < 0.5:
                await self.read()
            previous = coming.era.at
        for fact in left:
            self.deliver(fact)
        self.append(ticking(len(self.log), end))
        await self.read()
        await self.work_off()

    def deliver(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.append(signal(len(self.log), fact))


def expected(switched: Switches, end: int) -> list[Move]:
    changes = switching_history(switched.versions, switched.events, end)
    named = [(registrable_domain(one.account), one.from_, one.to, one.effective_at) for one in changes]
    return sorted(named, key=lambda move: (move[3], move[0]))


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
async def test_a_partition_switches_as_the_text_says_whatever_disturbs_it(first: int) -> None:
    for seed in range(first, first + CHUNK):
        draw = random.Random(seed)
        switched = switches(generate(seed, extended=True), draw)
        facts = order_of_delivery(facts_of(switched.events))
        last = max([facts[-1].recorded, *(one.at for one in switched.versions if one.at is not None)])
        end = last + 12 * DAY
        partition = Partition(switched, draw)
        await partition.run(facts, end)
        assert (seed, moves(net_changes(partition.changes))) == (seed, expected(switched, end))
