"""`accounts --at`, `changes --between` and `explain --at` from an archive, as somebody at a shell meets them."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.deciding.marks import mark_message
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.cli import build
from resegment.identity.merges import Identities
from resegment.schemas.definitions.marks import Mark
from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    Prepare,
    Stands,
    encode_definition_record,
)
from resegment.schemas.fact import encode_fact
from resegment.schemas.identities.records import Forget, Lift, Merge, encode_identity_record
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.evaluation.program import Limits
from resegment.segmentation.inspection.backtest import backtest, order_of_delivery
from resegment.segmentation.versions.chain import follow
from resegment.sources.segments import load_definition
from resegment.streams.ahead import AheadFinder
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery import past
from resegment.streams.recovery.past import Past
from resegment.streams.recovery.replay import LogSource
from tests.events import read_fact

ROOT = Path(__file__).parents[3]
PARTITIONS = 2
SWITCHED = parse_instant("2023-06-01T00:00:00Z")
FIRST = ROOT / "resegment/examples/segments.yaml"
SECOND = """
version: 1
segments:
  - name: ready-to-talk
    when: {any: [{event: strategy, within: 120d}, {event: intent, within: 20d, count: {gte: 2}}]}
    play: talk
    route: {workflow: talk}
fallback: {name: not-ready, play: talk, route: {workflow: nurture}}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""

runner = CliRunner()


def read_events(count: int) -> list[dict[str, Any]]:
    with gzip.open(ROOT / "resegment/examples/synthetic.jsonl.gz") as file:
        lines = [json.loads(line) for line in file]
    return random.Random(7).sample(lines, count) if count < len(lines) else lines


class World:
    """An archive of events on the facts' own clock, with a switch from one file to another."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.second = folder / "second.yaml"
        self.second.write_text(SECOND)
        self.events = read_events(count)
        self.facts = order_of_delivery([read_fact(one) for one in self.events])
        self.files = folder / "events.jsonl"
        self.files.write_text("".join(json.dumps(one) + "\n" for one in self.events))
        self.path = str(folder / "archive")
        self.archive = Archive.prepare(Storage(self.path), "shop", "facts", PARTITIONS)
        self.topics = Topics("shop")
        for number in range(PARTITIONS):
            self.put("signals", list(self.log(number)), number)
        self.put("definitions", [record(one, 0, None, value) for one, value in enumerate(self.definitions())])

    def put(self, topic: str, records: Sequence[RecordedMessage], partition: int = 0) -> None:
        manifest = self.archive.take_over(topic, [partition], 1)[partition]
        self.archive.append(manifest, records)

    def log(self, partition: int) -> Iterator[RecordedMessage]:
        mine = [one for one in self.facts if partition_of(one.account.encode(), PARTITIONS) == partition]
        marks = [
            mark_message("", partition, Mark(apply="a1", version=2, step="prepare"), 0),
            mark_message("", partition, Mark(apply="a1", version=2, step="switch", at=SWITCHED), 0),
        ]
        offset = 0
        for fact in mine:
            if fact.recorded >= SWITCHED:
                for mark in marks:
                    yield record(offset, 0, None, mark.value, mark.headers)
                    offset += 1
                marks = []
            yield record(offset, fact.recorded, fact.account.encode(), encode_fact(fact))
            offset += 1

    def definitions(self) -> list[bytes]:
        chunks, first = to_records(load_definition(str(FIRST)), 1, at=0, author="jo")
        more, second = to_records(load_definition(str(self.second)), 2, at=1, base=1)
        apply = Apply(id="a1", version=2, base=1, at=SWITCHED)
        rest = [Prepare(apply="a1", version=2, base=1, at=2), apply, Stands(apply="a1"), Applied(apply="a1")]
        return [encode_definition_record(one) for one in (*chunks, first, *more, second, *rest)]

    def times(self, count: int) -> list[int]:
        chosen = random.Random(11)
        first, last = self.facts[0].recorded, self.facts[-1].recorded
        return [chosen.randrange(first, last) for _ in range(count - 2)] + [SWITCHED - 1, SWITCHED]


def record(
    offset: int, at: int, key: bytes | None, value: bytes | None, headers: Any = ()
) -> RecordedMessage:
    return RecordedMessage(offset, at, key, value, headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), 250)


def run(*arguments: str, code: int = 0) -> list[Any]:
    result = runner.invoke(build(), list(arguments))
    assert result.exit_code == code, result.output
    if code:
        return [result.stderr]
    try:
        return [orjson.loads(result.stdout)]
    except orjson.JSONDecodeError:
        return [orjson.loads(line) for line in result.stdout.splitlines()]


def past_of(world: World, ahead: AheadFinder | None = None) -> Past:
    definitions = Definitions(world.definitions())
    registry = DefinitionRegistry(definitions, world.topics, facts_per_test=Limits().facts)
    return Past(registry, LogSource("", world.topics, {}, ahead, archive=world.archive), PARTITIONS)


async def test_accounts_at_random_times_are_what_a_backtest_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline = follow(load_definition(str(FIRST)), [(SWITCHED, load_definition(str(world.second)))], Limits())
    sizes = set()
    kept = {
        number: list(world.archive.records(one)) for number, one in world.archive.manifests("signals").items()
    }
    monkeypatch.setattr(world.archive, "records", lambda manifest: iter(kept[manifest.partition]))
    for at in world.times(20):
        expected = {
            (one.name, one.state.membership.segment, one.state.membership.entered)
            for one, _ in backtest(timeline, world.facts, at)
            if one.state.membership.segment is not None
        }
        found = await past_of(world).accounts(at)
        assert {
            (one.account, one.state.membership.segment, one.state.membership.entered) for one in found
        } == expected
        sizes.add(len(expected))
    assert len(sizes) > 10


def test_the_command_prints_what_backtest_prints(world: World) -> None:
    for at in (SWITCHED - 1, SWITCHED, SWITCHED + 30 * 86_400_000):
        when = format_instant(at)
        backtested = run(
            *("backtest", "--segments", str(FIRST), "--events", str(world.files), "--at", when),
            *("--switch", f"{format_instant(SWITCHED)}={world.second}"),
        )
        shown = run("accounts", "--at", when, "--archive", world.path, "--sort", "name", "--json")
        assert [{key: one[key] for key in ("account", "segment", "since")} for one in shown] == backtested
        assert shown
        one = shown[0]["account"]
        explained = run("explain", one, "--at", when, "--archive", world.path, "--json")[0]
        assert explained["segment"] == shown[0]["segment"]
        assert explained["version"]["number"] == (1 if at < SWITCHED else 2)


def test_it_says_which_version_was_in_force_and_where_it_looked(world: World) -> None:
    before = runner.invoke(build(), ["accounts", "--at", "2023-05-31", "--archive", world.path])
    assert before.exit_code == 0
    assert "As of May 31, 2023, by version 1 (" in before.stderr
    assert f"from the archive at {world.path}." in before.stderr.replace("\n", " ")
    after = runner.invoke(build(), ["accounts", "--at", "2023-06-01", "--archive", world.path])
    assert "by version 2 (" in after.stderr


def test_it_says_when_the_archive_does_not_reach_a_time(world: World) -> None:
    early = runner.invoke(build(), ["accounts", "--at", "2001-01-01", "--archive", world.path])
    assert "does not reach back to Jan 1, 2001" in early.stderr.replace("\n", " ")
    late = runner.invoke(build(), ["accounts", "--at", "2031-01-01", "--archive", world.path])
    assert "what became known later is missing" in late.stderr.replace("\n", " ")


def test_a_time_that_has_not_come_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    root = shutil.copytree(world.path, path) / "archive.json"
    root.write_text(root.read_text().replace('"facts"', '"wall"'))
    for command in (["accounts"], ["explain", "acme.com"]):
        assert "has not come yet" in run(*command, "--at", "2999-01-01", "--archive", str(path), code=1)[0]


def test_an_unknown_segment_is_an_error_that_names_the_one_that_was_meant(world: World) -> None:
    for command in (
        ("accounts", "--at", "2023-06-01"),
        ("changes", "--between", "2023-05-01", "2023-06-01"),
    ):
        (said,) = run(*command, "--segment", "redy-to-talk", "--archive", world.path, code=2)
        assert "no version of the segments file has a segment 'redy-to-talk'" in said.replace("\n", " ")
        assert "Did you mean 'ready-to-talk'?" in said


def test_merges_count_only_when_accounts_are_identified_as_now(world: World) -> None:
    at = world.facts[-1].recorded
    alias, account = sorted({one.account for one in world.facts})[:2]
    merge = Merge(alias=alias, account=account, at=at)
    world.put("identities", [record(0, at, None, encode_identity_record(merge))])
    when = format_instant(at)
    then = run("accounts", "--at", when, "--archive", world.path, "--json", "--limit", "5000")
    now = run("accounts", "--at", when, "--archive", world.path, "--identity", "now", "--json")
    assert {one["account"] for one in then} - {one["account"] for one in now} == {alias}
    merged = [
        one if one.account != alias else msgspec.structs.replace(one, account=account) for one in world.facts
    ]
    timeline = follow(load_definition(str(FIRST)), [(SWITCHED, load_definition(str(world.second)))], Limits())
    expected = {
        (one.name, one.state.membership.segment, format_instant(one.state.membership.entered))
        for one, _ in backtest(timeline, merged, at)
    }
    assert {(one["account"], one["segment"], one["since"]) for one in now} == expected
    explained = run(*("explain", alias, "--at", when, "--archive", world.path, "--identity", "now", "--json"))
    assert explained[0]["account"] == account


def test_changes_between_two_times_are_decided_again_where_the_archive_lacks_them(world: World) -> None:
    start, end = SWITCHED - 90 * 86_400_000, SWITCHED + 90 * 86_400_000
    backtested = run(
        *("backtest", "--segments", str(FIRST), "--events", str(world.files)),
        *("--switch", f"{format_instant(SWITCHED)}={world.second}", "--until", format_instant(end - 1)),
    )
    between = ("changes", "--between", format_instant(start), format_instant(end))
    shown = run(*between, "--archive", world.path, "--json")
    told = [(one["account"], one["from"], one["to"], one["effective_at"]) for one in shown if not one["void"]]
    expected = [
        (one["account"], one["from"], one["to"], one["effective_at"])
        for one in backtested
        if parse_instant(one["effective_at"]) >= start
    ]
    assert set(told) == set(expected)
    assert len(told) == len(expected) > 20


async def test_a_forgotten_account_is_absent_from_the_beginning_until_that_is_lifted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = SWITCHED + 30 * 86_400_000
    before = {one.account: one.state.membership.segment for one in await past_of(world).accounts(at)}
    gone = min(before)
    identities = Identities()
    identities.take(encode_identity_record(Forget(account=gone, at=at + 86_400_000)))

    async def known(_: Any) -> Identities:
        return identities

    monkeypatch.setattr(past, "identities_in", known)
    found = {one.account: one.state.membership.segment for one in await past_of(world).accounts(at)}
    assert found == {name: segment for name, segment in before.items() if name != gone}
    assert gone not in await past_of(world).facts_under(str, at)
    identities.take(encode_identity_record(Lift(account=gone, at=at - 1)))
    found = {one.account: one.state.membership.segment for one in await past_of(world).accounts(at)}
    assert gone not in found


@pytest.mark.parametrize("ahead", [False, True])
async def test_after_an_undo_a_fact_counts_by_when_it_became_known(
    world: World, monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    fact = next(one for one in world.facts if one.account == min(two.account for two in world.facts))
    number = partition_of(fact.account.encode(), PARTITIONS)
    identities = Identities()
    identities.take(encode_identity_record(Forget(account=fact.account, at=20)))
    identities.take(encode_identity_record(Lift(account=fact.account, at=40)))

    async def known(_: Any) -> Identities:
        return identities

    class Ahead:
        async def find(self, batch: Batch) -> frozenset[int]:
            return frozenset(one.offset for one in batch.records if one.timestamp == 10**6)

    monkeypatch.setattr(past, "identities_in", known)
    times = [10, 10**6, 30, 50, 30, 60] if ahead else [10, 30, 50, 30, 60]  # the clock never goes back
    records = [
        record(place, at, b"other.com" if at == 10**6 else fact.account.encode(), encode_fact(one))
        for place, at in enumerate(times)
        for one in [replace(fact, id=str(place), record=str(place))]
    ]
    monkeypatch.setattr(
        world.archive, "records", lambda manifest: iter([records] if manifest.partition == number else ())
    )
    found = past_of(world, Ahead() if ahead else None)
    facts = (await found.facts_under(str, 10**6))[fact.account]
    assert [(at, [one.id for one in known]) for at, known in facts] == (
        [(50, ["3", "4"]), (60, ["5"])] if ahead else [(50, ["2", "3"]), (60, ["4"])]
    )
