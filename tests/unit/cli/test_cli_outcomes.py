from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from typer.testing import CliRunner

from resegment.agents.batch import RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.cli import build
from resegment.schemas.definitions.records import encode_definition_record
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.records import Merge, encode_identity_record
from resegment.schemas.outcomes.messages import encode_touch
from resegment.schemas.outcomes.touch import Touch
from resegment.sources.segments import load_definition
from resegment.streams.definitions.content import to_records
from tests.unit.streams.outcomes.test_files import command, outcome

EXAMPLES = Path(__file__).parents[3] / "examples"
NOON = 1_700_000_000_000


class Files:
    def __init__(self, folder: Path) -> None:
        self.events, self.commands = folder / "events.jsonl", folder / "commands.jsonl"
        self.commands.write_bytes(orjson.dumps(command("k1", 1, version=4)))

    def run(self, *events: Any, given: tuple[str, ...] = (), account: str = "acme.com") -> Result:
        self.events.write_bytes(b"\n".join(map(orjson.dumps, events)) + b"\n")
        files = ("--events", str(self.events), "--commands", str(self.commands))
        return CliRunner(env={"COLUMNS": "200"}).invoke(build(), ["outcomes", account, *files, *given])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_it_shows_which_touch_each_outcome_answers_and_why_one_answers_none(files: Files) -> None:
    reply = outcome("r", 2, "replied", idempotency_key="k1", person="jo@acme.com")
    done = files.run(reply, outcome("q", 3, "won", idempotency_key="other", amount=5000, currency="EUR"))
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert "1 Jan 1, 2026 enrolled hot p flow ann email 4" in lines
    assert "Jan 2, 2026 replied jo@acme.com 1 by key" in lines
    assert "Jan 3, 2026 won 5,000 EUR none its key is of no touch of this account" in lines
    assert "Outcomes 1 of 2 credited" in lines


def test_json_has_everything(files: Files) -> None:
    done = files.run(outcome("r", 2, "replied"), given=("--json",))
    told = orjson.loads(done.stdout)
    assert (told["account"], told["window_days"], told["uncredited"], told["dropped"]) == (
        "acme.com",
        90,
        {},
        0,
    )
    assert [(one["touch"], one["credited_by"]) for one in told["outcomes"]] == [("k1", "last-touch")]
    assert told["touches"][0]["at"] == "2026-01-01T00:00:00Z"


def test_another_window_credits_less(files: Files) -> None:
    done = files.run(outcome("r", 9, "replied"), given=("--json", "--window", "7d"))
    assert orjson.loads(done.stdout)["uncredited"] == {"window": 1}


def test_what_a_producer_wrote_steers_no_terminal(files: Files) -> None:
    done = files.run(outcome("r", 2, "replied", person="\x1b]0;hi\x07[red]x"))
    assert "\x1b" not in done.stdout
    assert "[red]x" in done.stdout


def test_an_account_without_anything_exits_with_1(files: Files) -> None:
    done = files.run(outcome("r", 2, "replied"), account="other.com")
    assert (done.exit_code, done.stderr.strip()) == (1, "other.com has no touch and no outcome")


@pytest.mark.parametrize(
    ("given", "said"),
    [(("--window", "5x"), "not a duration"), (("--window", "9999999999d"), "not a duration")],
)
def test_a_window_that_is_none_is_refused(files: Files, given: tuple[str, ...], said: str) -> None:
    done = files.run(given=given)
    assert (done.exit_code, said in done.stderr) == (2, True)


def test_events_need_commands(files: Files) -> None:
    done = CliRunner().invoke(build(), ["outcomes", "acme.com", "--events", str(files.commands)])
    assert (done.exit_code, "go together" in done.stderr) == (2, True)


def test_an_archive_has_the_same_with_accounts_merged_as_they_are_now(tmp_path: Path) -> None:
    path = str(tmp_path / "kept")
    archive = Archive.prepare(Storage(path), "shop", "wall", 1)

    def put(topic: str, *values: tuple[bytes | None, bytes]) -> None:
        manifest = archive.take_over(topic, [0], 1)[0]
        records = [RecordedMessage(offset, NOON, key, value) for offset, (key, value) in enumerate(values)]
        archive.append(manifest, records)

    fact = Fact(
        account="acme.io", kind="outcome", id="r", source="crm", record="r", time=NOON, recorded=NOON,
        data={"action": "won"},
    )  # fmt: skip
    touch = Touch(touch="k1", account="acme.com", at=NOON - 1, segment="hot", workflow="flow")
    chunks, first = to_records(load_definition(str(EXAMPLES / "quickstart.yaml")), 1, at=0, author="jo")
    put("signals", (b"acme.io", encode_fact(fact)), (None, b""), (b"acme.io", b'{"kind":"outcome"}'))
    put("touches", (b"acme.com", encode_touch(touch)), (b"acme.com", b"{}"))
    put("definitions", *((None, encode_definition_record(one)) for one in (*chunks, first)))
    put("identities", (None, encode_identity_record(Merge(alias="acme.io", account="acme.com", at=NOON))))
    done = CliRunner().invoke(build(), ["outcomes", "acme.io", "--archive", path, "--json"])
    assert done.exit_code == 0, done.output
    told = orjson.loads(done.stdout)
    assert (told["account"], [one["touch"] for one in told["outcomes"]]) == ("acme.com", ["k1"])

    done = CliRunner().invoke(build(), ["metrics", "--archive", path, "--json"])
    assert done.exit_code == 0, done.output
    told = orjson.loads(done.stdout)
    assert (told["outcomes"], told["uncredited"]) == (1, [])
