"""`resegment diff`, `resegment history` and `resegment show`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resegment.cli import build
from resegment.cli.operations import session
from resegment.schemas.definitions.records import Apply, Prepare, Stands, encode_definition_record
from resegment.segmentation.definition import Definition
from resegment.sources.segments import load_definition
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics

EXAMPLE = Path(__file__).parents[3] / "examples" / "segments.yaml"
START = 1_700_000_000_000


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build(), list(arguments), env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    text = EXAMPLE.read_text()
    old.write_text(text)
    new.write_text("# next week\n" + text.replace("employees: {gte: 20}", "employees: {gte: 50}"))
    return str(old), str(new)


class _Session:
    """A session with a prefix that has the given versions."""

    prefix = "demo"

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def load_registry(self) -> DefinitionRegistry:
        return DefinitionRegistry(self._definitions, Topics("demo"), facts_per_test=100)

    async def now(self) -> int:
        return START + 1000


Serve = Callable[..., None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def serve(*versions: Definition, names: tuple[str, ...] = ()) -> None:
        definitions = Definitions()
        for number, one in enumerate(versions, start=1):
            chunks, version = to_records(
                one, number, at=START + number, author="ann", message=f"week {number}", base=number - 1
            )
            for record in (*chunks, version):
                definitions.take(encode_definition_record(record))
        for record in (
            Prepare(apply="x", version=2, base=1, at=START),
            Apply(id="x", version=2, base=1, at=START + 500),
            Stands(apply="x"),
        ):
            definitions.take(encode_definition_record(record))
        found = _Session(definitions)
        monkeypatch.setattr(session, "run_in_session", lambda use, *_: asyncio.run(use(found)))

    return serve


def test_diff_tells_what_differs_by_meaning(files: tuple[str, str]) -> None:
    code, output, _ = run("diff", *files)
    assert code == 0
    assert "new-sales-leader  condition changed\n    employees at least 20 → 50\n" in output
    assert output.endswith("Segments differ: a switch judges every account once.\n")


def test_diff_of_one_file_in_two_styles_finds_nothing(files: tuple[str, str], tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(
        "# the same\n" + Path(files[0]).read_text().replace("\n    route: {", "\n\n    route:   {")
    )
    assert run("diff", files[0], str(again))[1] == "Nothing differs: both mean the same.\n"


def test_diff_prints_json(files: tuple[str, str]) -> None:
    found = json.loads(run("diff", *files, "--json")[1])
    assert found["segments_judged"] is True
    (one,) = found["differences"]
    assert one == {
        "part": "segments",
        "name": "new-sales-leader",
        "old_name": "new-sales-leader",
        "what": ["condition-changed"],
        "words": ["employees at least 20 → 50"],
    }


def test_diff_of_a_version_and_a_file_reads_the_version_by_its_number(
    files: tuple[str, str], serve: Serve
) -> None:
    serve(load_definition(files[0]), load_definition(files[1]))
    assert "employees at least 20 → 50" in run("diff", "1", files[1])[1]
    assert "Nothing differs" in run("diff", "2", files[1])[1]
    code, _, note = run("diff", "1", "7")
    assert (code, "there is no version 7" in note) == (2, True)


def test_history_lists_the_versions_the_newest_last(files: tuple[str, str], serve: Serve) -> None:
    serve(load_definition(files[0]), load_definition(files[1]))
    code, output, _ = run("history")
    assert code == 0
    assert output.index("the first version") < output.index("new-sales-leader: employees at least 20 → 50")
    assert "in force since Nov 14, 2023" in output
    assert "week 2" in output
    rows = [json.loads(line) for line in run("history", "--json")[1].splitlines()]
    assert [(row["number"], row["in_force"], row["author"]) for row in rows] == [
        (1, False, "ann"),
        (2, True, "ann"),
    ]


def test_show_prints_a_version_as_it_was_written(files: tuple[str, str], serve: Serve) -> None:
    serve(load_definition(files[0]), load_definition(files[1]))
    assert run("show", "2")[1] == Path(files[1]).read_text()


def split(folder: Path) -> Any:
    """Cut the example into files, one of them a list."""
    folder.mkdir()
    text = EXAMPLE.read_text().replace("version: 1", "version: 1\ninclude: [parts/plays.yaml]")
    head, plays = text.split("\nplays:")
    plays, rest = plays.split("\nteams:")
    (folder / "parts").mkdir()
    (folder / "parts" / "plays.yaml").write_text(f"plays:{plays}\n")
    when = "- {employees: {gte: 20}}"
    head = head.replace(when, f"{when}\n        - {{industry: {{in_file: lists/industries.txt}}}}", 1)
    (folder / "main.yaml").write_text(f"{head}\nteams:{rest}")
    (folder / "lists").mkdir()
    (folder / "lists" / "industries.txt").write_text("saas\nfintech\n")
    return load_definition(str(folder / "main.yaml"))


def test_show_writes_every_file_of_a_version_and_what_it_wrote_means_the_same(
    tmp_path: Path, serve: Serve
) -> None:
    definition = split(tmp_path / "old")
    serve(definition, definition)
    code, _, note = run("show", "1", "--output", str(tmp_path / "new"))
    assert (code, note) == (0, f"version 1: 3 files in {tmp_path / 'new'}\n")
    assert load_definition(str(tmp_path / "new" / "main.yaml")).digest == definition.digest
    shown = json.loads(run("show", "1", "--json")[1])
    assert {(one["name"], one["role"]) for one in shown["files"]} == {
        ("main.yaml", "segments"),
        ("parts/plays.yaml", "segments"),
        ("lists/industries.txt", "list"),
    }


def test_show_overwrites_no_file(files: tuple[str, str], serve: Serve, tmp_path: Path) -> None:
    serve(load_definition(files[0]), load_definition(files[1]))
    folder = tmp_path / "out"
    assert run("show", "1", "-o", str(folder))[0] == 0
    code, _, note = run("show", "1", "-o", str(folder))
    assert (code, "a file has that name already" in note) == (2, True)


def test_show_writes_nothing_outside_its_folder(files: tuple[str, str], serve: Serve, tmp_path: Path) -> None:
    list_file = tmp_path / "evil.txt"
    list_file.write_text("a\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    text = EXAMPLE.read_text().replace("- {employees: {gte: 20}}", "- {industry: {in_file: ../evil.txt}}", 1)
    (inner / "segments.yaml").write_text(text)
    definition = load_definition(str(inner / "segments.yaml"))
    serve(definition, definition)
    list_file.unlink()
    code, _, note = run("show", "1", "-o", str(tmp_path / "out"))
    assert (code, "leads out of the folder" in note) == (2, True)
    assert not list_file.exists()
