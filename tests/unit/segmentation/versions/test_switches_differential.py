"""Switches against the oracle, offline and as a live partition makes them: not one difference is allowed.

`RESEGMENT_SWITCHES` sets how many generated chains of versions are tried.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.identity.domains import registrable_domain
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact
from resegment.schemas.logs.log_framing import join_logs
from resegment.schemas.state import AccountState
from resegment.schemas.times import HORIZON, NEVER, format_instant, parse_instant
from resegment.segmentation.evaluation import fold, program
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Decision, Engine, changes_in, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.inspection.backtest import backtest, order_of_delivery
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.era import ALWAYS, Era, invert_moves
from resegment.segmentation.versions.timeline import Timeline, fold_into
from tests.builders import Json, Move, definition_of, facts_of, moves
from tests.oracle.cases_switches import SWITCH_CASES, SwitchCase
from tests.oracle.generate import generate
from tests.oracle.generate.switches import Switches, instants, next_file, renaming, switches
from tests.oracle.naive import Change
from tests.oracle.naive.switching import Version, names, switching_history

SEEDS = int(os.environ.get("RESEGMENT_SWITCHES", "40"))
CHUNK = 10
END = NEVER - 1
chunks = pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))


@cache  # it takes most of the time, and gives every test the same
def chain(seed: int) -> Switches:
    return switches(generate(seed, extended=True), random.Random(seed))


def expected(switched: Switches) -> list[Move]:
    return moved(switching_history(switched.versions, switched.events, None))


def moved(changes: Sequence[Change]) -> list[Move]:
    named = [(registrable_domain(one.account), one.from_, one.to, one.effective_at) for one in changes]
    return sorted((move for move in named if move[3] <= HORIZON), key=lambda move: (move[3], move[0]))


def replayed(versions: Sequence[Version], events: Sequence[Json]) -> list[Move]:
    """The net changes of a replay that switches on its way."""
    timeline = Timeline(eras_of(versions))
    facts = [timeline.receive(one) for one in facts_of(events)]
    return moves(change for _, changes in backtest(timeline, facts) for change in net_changes(changes))


def eras_of(versions: Sequence[Version]) -> list[Era]:
    """The eras of the versions; accounts are judged where `compare` says that they have to be."""
    definitions = [definition_of(one.file, one.files) for one in versions]
    eras = [Era(1, ALWAYS, Engine(Program(definitions[0])))]
    for number in range(1, len(versions)):
        before, definition, at = definitions[number - 1], definitions[number], versions[number].at
        assert at is not None
        found = compare(before, definition)
        engine = Engine(Program(definition))
        eras.append(Era(number + 1, at, engine, definition.moved, found.judges, gates_only=found.gates_only))
    return eras


@pytest.mark.parametrize("case", SWITCH_CASES, ids=lambda case: case.name)
def test_the_engine_agrees_that(case: SwitchCase) -> None:
    assert replayed(case.versions, case.events) == [tuple(one) for one in case.expected]


@chunks
def test_a_replay_switches_as_the_text_says(first: int) -> None:
    for seed in range(first, first + CHUNK):
        switched = chain(seed)
        made = replayed(switched.versions, switched.events)
        assert (seed, made) == (seed, expected(switched))


@chunks
def test_a_live_partition_switches_as_the_text_says(first: int) -> None:
    for seed in range(first, first + CHUNK):
        switched = chain(seed)
        live = Live(eras_of(switched.versions), random.Random(seed))
        live.run(order_of_delivery(facts_of(switched.events)))
        assert (seed, moves(net_changes(live.changes))) == (seed, expected(switched))


COMMAND = int(os.environ.get("RESEGMENT_SWITCHES", "8"))


@pytest.mark.parametrize("seed", range(COMMAND))
def test_the_command_switches_as_the_text_says(seed: int, tmp_path: Path) -> None:
    switched = chain(seed)
    paths = []
    for number, version in enumerate(switched.versions):
        paths.append(tmp_path / f"{number}" / "segments.yaml")
        for name, text in {"segments.yaml": json.dumps(version.file), **version.files}.items():
            path = paths[-1].parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    events = tmp_path / "events.jsonl"
    events.write_text("".join(json.dumps(one) + "\n" for one in switched.events), encoding="utf-8")
    switch = [
        f"--switch={format_instant(version.at)}={path}"
        for version, path in zip(switched.versions, paths, strict=True)
        if version.at is not None
    ]

    result = CliRunner().invoke(build(), ["backtest", "-s", str(paths[0]), *switch, "-e", str(events)])

    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    made = [(row["account"], row["from"], row["to"], parse_instant(row["effective_at"])) for row in rows]
    assert sorted(made, key=lambda move: (move[3], move[0])) == expected(switched)


@chunks
def test_what_is_forgotten_as_soon_as_possible_makes_no_difference(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "FEW", 0)
    monkeypatch.setattr(fold, "MARGIN", 0)
    monkeypatch.setattr(program, "DAY", 1)
    for seed in range(first, first + CHUNK):
        switched = chain(seed)
        live = Live(eras_of(switched.versions), random.Random(seed))
        live.run(order_of_delivery(facts_of(switched.events)))
        assert (seed, moves(net_changes(live.changes))) == (seed, expected(switched))


@chunks
def test_after_a_rollback_an_account_is_where_it_would_be_if_it_had_never_left(first: int) -> None:
    for seed in range(first, first + CHUNK):
        draw = random.Random(seed)
        file, events, files = generate(seed, extended=True)
        for one in file["segments"]:
            one.pop("hold", None)  # what it remembers is not taken back
        other = next_file(draw, file, events)
        before, after = definition_of(file, files), definition_of(other, files)
        start, end = instants(draw, events, 2)
        alone = Timeline([Era(1, ALWAYS, Engine(Program(before)))])
        back = Timeline(
            [
                Era(1, ALWAYS, Engine(Program(before))),
                Era(2, start, Engine(Program(after)), after.moved),
                Era(3, end, Engine(Program(before)), invert_moves(before, after.moved), rollback_of=2),
            ]
        )
        facts = facts_of(one for one in events if not other.get("privacy"))
        for until in (end, end + 1, end + 5 * 86_400_000, END):
            placed = [
                {one.name: one.state.membership.segment for one, _ in backtest(timeline, facts, until)}
                for timeline in (alone, back)
            ]
            assert (seed, until, placed[1]) == (seed, until, placed[0])


@chunks
def test_names_that_a_rollback_takes_back_leave_entries_and_exits_as_they_were(first: int) -> None:
    for seed in range(first, first + CHUNK):
        draw = random.Random(seed)
        file, events, files = generate(seed, extended=True)
        chosen = draw.sample(sorted(names(file)), k=2)
        renamed = dict(zip(chosen, [chosen[1], "other"], strict=True))
        before, after = definition_of(file, files), definition_of(renaming(file, renamed), files)
        moved = {new: old for old, new in renamed.items()}
        start, end = instants(draw, events, 2)
        alone = Timeline([Era(1, ALWAYS, Engine(Program(before)))])
        back = Timeline(
            [
                Era(1, ALWAYS, Engine(Program(before))),
                Era(2, start, Engine(Program(after)), moved),
                Era(3, end, Engine(Program(before)), invert_moves(before, moved)),
            ]
        )
        for until in (end, end + 1, END):
            placed = [
                {one.name: one.state.membership for one, _ in backtest(timeline, facts_of(events), until)}
                for timeline in (alone, back)
            ]
            assert (seed, until, placed[1]) == (seed, until, placed[0])


class Live:
    """One partition: batches, accounts in memory and in the store, facts folded in from the log, and a lazy sweep."""

    def __init__(self, eras: list[Era], draw: random.Random) -> None:
        self.draw = draw
        self.coming = eras[1:]
        self.timeline = Timeline(eras[:1])
        self.log: list[Fact] = []
        self.clock = 0
        self.memory: dict[str, Account] = {}
        self.stored: dict[str, bytes] = {}
        self.folded: dict[str, AccountState] = {}
        self.changes: list[SegmentChange] = []

    def run(self, facts: Sequence[Fact]) -> None:
        """Deliver the facts in batches, which may part facts of one instant."""
        left = list(facts)
        while left:
            self.prepare_before(left[0].recorded)
            size = self.draw.choice([1, 1, 2, 3, 8])
            batch, left = left[:size], left[size:]
            while self.coming and batch[-1].recorded >= self.coming[0].at:
                # The batch would pass an instant whose version is not known yet.
                left.insert(0, batch.pop())
            if batch:
                self.feed(batch)
                self.work_off(self.draw.random() * 0.7)
        while self.coming:
            self.prepare_before(END)
        self.clock = END
        self.work_off(1)

    def prepare_before(self, at: int) -> None:
        """Make the next version known: some time before its instant, and at last before the clock would reach it."""
        while self.coming and (at >= self.coming[0].at or self.draw.random() < 0.3):
            era = self.coming[0]
            if not self.timeline.newest.at <= self.clock:
                if self.timeline.newest.at >= era.at or at < self.timeline.newest.at:
                    return
                self.clock = self.draw.choice([self.timeline.newest.at, min(era.at - 1, at)])
            self.work_off(1)  # one version at a time
            self.coming.pop(0)
            both = self.timeline.newest.engine.program, era.engine.program
            self.timeline = self.timeline.retaining(Retention(*both))
            # Facts may still arrive between the beginning of the preparation and the instant.
            self.fold_in(era.engine)
            self.timeline = self.timeline.extend(era).retaining(None)

    def fold_in(self, engine: Engine) -> None:
        self.folded = {}
        for name, facts in groupby(sorted(self.log, key=attrgetter("account")), key=attrgetter("account")):
            groups = [(at, list(one)) for at, one in groupby(facts, key=attrgetter("recorded"))]
            half = self.draw.randint(0, len(groups))
            state = fold_into(engine, name, None, groups[:half])
            self.folded[name] = fold_into(engine, name, state, groups[half:])

    def account(self, name: str) -> Account:
        account = self.memory.get(name)
        if account is None:
            account = self.memory[name] = self.timeline.load(name, self.stored.get(name))
        if self.timeline.is_behind(account, self.clock) and name in self.folded:
            self.timeline.join_folded(account, self.folded[name])
        return account

    def feed(self, batch: list[Fact]) -> None:
        self.log += [self.timeline.receive(one) for one in batch]
        batch = self.log[-len(batch) :]
        self.clock = max(self.clock, batch[-1].recorded)
        for name in sorted({one.account for one in batch}, key=lambda _: self.draw.random()):
            account = self.account(name)
            mine = [one for one in batch if one.account == name]
            for at, together in groupby(mine, key=attrgetter("recorded")):
                if account.deadline < at:
                    self.note(self.timeline.advance(account, at - 1, self.clock))
                self.note(self.timeline.apply_facts(account, list(together), at, self.clock))
            if account.deadline <= self.clock:
                self.note(self.timeline.advance(account, self.clock, self.clock))
            self.store(account)

    def work_off(self, share: float) -> None:
        """Decide what is due, and switch who is behind, in any order."""
        for name in sorted(self.stored, key=lambda _: self.draw.random()):
            account = self.account(name)
            behind = self.timeline.is_behind(account, self.clock)
            if (behind or account.deadline <= self.clock) and self.draw.random() <= share:
                self.note(self.timeline.advance(account, self.clock, self.clock))
                self.store(account)

    def store(self, account: Account) -> None:
        if self.draw.random() < 0.3:
            self.stored[account.name] = self.timeline.encode(account)
            self.memory.pop(account.name, None)
        elif (write := account.write()) is not None:
            before = self.stored.get(account.name, b"") if write.appends else b""
            self.stored[account.name] = join_logs((before, write.data))
        if self.draw.random() < 0.5:
            self.memory.pop(account.name, None)

    def note(self, decisions: Sequence[Decision]) -> None:
        self.changes += changes_in(decisions)
