"""`resegment learn --archive`: from the log, the same is learned as from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.agents.batch import RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.cli import build
from resegment.schemas.definitions.records import encode_definition_record
from resegment.schemas.fact import encode_fact
from resegment.schemas.identities.records import Merge, encode_identity_record
from resegment.schemas.outcomes.messages import encode_touch
from resegment.schemas.outcomes.touch import Touch
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import format_instant
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.sources.segments import load_definition
from resegment.streams.definitions.content import to_records
from tests.events import read_fact
from tests.integration.test_experiments import ACCOUNTS, DAY, SEGMENTS, START, event, is_large

PARTITIONS = 2
OPTIONS = ("--metric", "opportunity", "--horizon", "60d", "--resamples", "40", "--json")


class World:
    """Recorded events and touches, in files and in an archive."""

    def __init__(self, folder: Path) -> None:
        self.segments, self.files, self.commands = (
            folder / name for name in ("segments.yaml", "events.jsonl", "commands.jsonl")
        )
        self.segments.write_text(SEGMENTS)
        events, touches = self._make()
        self.files.write_text("".join(json.dumps(one) + "\n" for one in events))
        self.commands.write_bytes(b"".join(encode_touch(one) + b"\n" for one in touches))
        self.path = str(folder / "archive")
        self.archive = Archive.prepare(Storage(self.path), "shop", "facts", PARTITIONS)
        facts = order_of_delivery([read_fact(one) for one in events])
        signals = [(one.account, one.recorded, encode_fact(one)) for one in facts]
        touched = [(one.account, one.at, encode_touch(one)) for one in touches]
        for number in range(PARTITIONS):
            self.put("signals", self._mine(signals, number), number)
            self.put("touches", self._mine(touched, number), number)
        chunks, version = to_records(load_definition(str(self.segments)), 1, at=0, author="jo")
        told = [encode_definition_record(one) for one in (*chunks, version)]
        self.put("definitions", [RecordedMessage(n, 0, None, one, ()) for n, one in enumerate(told)])

    def _make(self) -> tuple[list[dict[str, Any]], list[Touch]]:
        events, touches = [], []
        for number, account in enumerate(ACCOUNTS):
            at = START + number * DAY // 4
            large = is_large(number)
            events.append(
                event("firmographic", f"f{number}", account, at - 1000, employees=80 if large else 8)
            )
            events.append(event("hiring", f"h{number}", account, at, change="opened"))
            touches.append(
                Touch(touch=f"t{number}", account=account, at=at, segment="hiring-now", workflow="hiring")
            )
            if number % (2 if large else 7) == 0:
                events.append(
                    event("outcome", f"o{number}", account, at + 9 * DAY, action="opportunity_created")
                )
        # what became known after the touch says nothing about it
        events += [
            event("firmographic", f"g{n}", one, START + 200 * DAY, employees=9)
            for n, one in enumerate(ACCOUNTS)
        ]
        return events, touches

    def _mine(self, rows: list[tuple[str, int, bytes]], partition: int) -> list[RecordedMessage]:
        mine = [one for one in rows if partition_of(one[0].encode(), PARTITIONS) == partition]
        return [RecordedMessage(n, at, name.encode(), value, ()) for n, (name, at, value) in enumerate(mine)]

    def put(self, topic: str, records: list[RecordedMessage], partition: int = 0) -> None:
        manifest = self.archive.take_over(topic, [partition], 1)[partition]
        self.archive.append(manifest, records)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def learn(*arguments: str) -> Any:
    done = CliRunner().invoke(build(), ["learn", *OPTIONS, *arguments])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_from_an_archive_the_same_is_learned_as_from_files(world: World) -> None:
    at = format_instant(START + 200 * DAY)
    archived = learn("--archive", world.path, "--at", at)
    files = (
        "--events",
        str(world.files),
        "--commands",
        str(world.commands),
        "--segments",
        str(world.segments),
    )

    assert archived == learn(*files, "--at", at)
    assert [one["text"] for one in archived["terms"]] == ["{employees: {gte: 50}}"]
    assert archived["touches"] == len(ACCOUNTS)


def test_a_file_and_an_archive_together_are_refused(world: World) -> None:
    done = CliRunner().invoke(
        build(), ["learn", *OPTIONS, "--archive", world.path, "--segments", str(world.segments)]
    )
    assert done.exit_code == 2


def test_facts_of_an_account_that_was_merged_since_count_for_the_account_that_it_is_now(world: World) -> None:
    first, second = ACCOUNTS[0], ACCOUNTS[1]
    merge = encode_identity_record(Merge(alias=second, account=first, at=START + 150 * DAY))
    world.put("identities", [RecordedMessage(0, START + 150 * DAY, None, merge, ())])
    assert learn("--archive", world.path)["touches"] == len(ACCOUNTS)
