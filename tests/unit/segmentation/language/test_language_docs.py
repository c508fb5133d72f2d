"""The pages about the segments file, run: every example is judged by the engine as the page says.

A block of YAML with `version` is a whole file: it has no warning, and its tests pass. Any other block is a part of
a file, and the table below it says what it comes to: each row gives facts, each further column an instant and
what the part says then. A table of what is `Written` says which error or warning each part gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.documents import yaml as document
from resegment.documents.diagnostics import Diagnostic, InvalidSegments
from resegment.documents.yaml import parse_document
from resegment.schemas.cloudevents import decoding
from resegment.schemas.events import DATA
from resegment.schemas.fact import Fact
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.definition import Definition, read_definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.evaluation.pruning import UNREAD
from resegment.segmentation.evaluation.reading import MAX_TEXT
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.file_tests import run_tests
from resegment.segmentation.language import limits as grammar
from resegment.segmentation.language.fields import attribute_types, field_types
from resegment.segmentation.language.limits import WORDS
from resegment.segmentation.language.operators import OPERATORS
from resegment.segmentation.language.privacy import drop_fields
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from resegment.sources.segments import read_segments_files
from tests.events import read_fact

Json = Any
DOCS = Path(__file__).parents[4] / "docs"
START = parse_instant("2026-01-01T00:00:00Z")
DAY = 86_400_000
ENVELOPE = ("id", "source", "record", "op")
INSTANT = re.compile(r"(?:day )?(\d+(?:\.\d+)?)(?: \+ (\d+) ms)?")
PLAY = {
    "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
    "channels": {"primary": "email"},
}


# Reading a page


@dataclass(frozen=True)
class Example:
    """A block of YAML with the table below it; `line` is where the block begins."""

    line: int
    text: str
    table: list[list[str]]

    @property
    def data(self) -> Json:
        return parse_document(self.text, "block").data


def lines_of(page: str) -> list[str]:
    return (DOCS / page).read_text(encoding="utf-8").splitlines()


def examples_of(page: str) -> Iterator[Example]:
    lines = lines_of(page)
    number = 0
    while number < len(lines):
        if lines[number] != "```yaml":
            number += 1
            continue
        end = lines.index("```", number)
        after = next((n for n in range(end + 1, len(lines)) if lines[n].strip()), len(lines))
        yield Example(number + 1, "\n".join(lines[number + 1 : end]), table_at(lines, after))
        number = end + 1


def table_at(lines: list[str], number: int) -> list[list[str]]:
    """The rows of the table that begins there, its heading first; none where no table does."""
    rows: list[list[str]] = []
    while number < len(lines) and lines[number].startswith("|"):
        rows.append([cell.strip() for cell in lines[number].strip("|").split(" | ")])
        number += 1
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def tables_of(page: str, heading: str) -> Iterator[list[list[str]]]:
    """The rows, headings left out, of each table whose first column has that heading."""
    lines = lines_of(page)
    for number, line in enumerate(lines):
        if line.startswith(f"| {heading} |"):
            yield table_at(lines, number)


def spans(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def instant(text: object) -> int:
    match = INSTANT.fullmatch(str(text))
    assert match, f"{text!r} is no instant like `day 2` or `day 2 + 1 ms`"
    return START + round(float(match[1]) * DAY) + int(match[2] or 0)


def facts_of(cell: str) -> list[Fact]:
    """The facts of a cell, in the order of delivery; one that says nothing where the cell gives none."""
    return [fact_of(parse_document(span, "cell").data, index) for index, span in enumerate(spans(cell))] or [
        fact_of({}, 0)
    ]


def fact_of(given: Json, index: int) -> Fact:
    data = dict(given)
    kind, time = data.pop("event", "firmographic"), instant(data.pop("day", 0))
    known = data.pop("known", None)
    event = {
        "specversion": "1.0",
        "id": f"fact-{index:03}",
        "source": "crawler",
        "subject": "acme.com",
        "type": f"gtm.{kind}.v1",
        "time": format_instant(time),
        **({} if known is None else {"recordedtime": format_instant(instant(known))}),
        **{name: data.pop(name) for name in ENVELOPE if name in data},
    }
    return read_fact({**event, "data": data})


# Running an example


def completed(part: Json) -> Json:
    """A whole file around a part of one: a condition, a trait, a segment with its `hold`, or several segments."""
    part = dict(part)
    when, hold = part.pop("when", None), part.pop("hold", None)
    if hold is not None:
        part["segments"] = [{"name": "in", "when": when, "hold": hold}]
    elif when is not None:
        part["segments"] = [{"name": "true", "when": when}, {"name": "false", "when": {"not": when}}]
    elif "segments" not in part:
        tests: list[Json] = [{name: {"exists": True}} for name in part.get("traits", {})] or [
            {"employees": 1}
        ]
        part["segments"] = [{"name": "any", "when": {"any": tests}}]
    segments = [
        {"play": "any", "route": {"workflow": f"w-{number}"}, **one}
        for number, one in enumerate(part["segments"])
    ]
    return {
        "version": 1,
        "fallback": {"name": "out", "play": "any"},
        "plays": {"any": PLAY},
        **part,
        "segments": segments,
    }


def file_of(path: str) -> bytes:
    """The block of the page whose first line is a comment with the file's name."""
    page = "\n".join(lines_of("language.md"))
    found = re.search(rf"```text\n(# {re.escape(path)}\n.*?)```", page, re.DOTALL)
    if found is None:
        raise FileNotFoundError(2, "No such file or directory", path)
    return found[1].encode()


def define(part: Json) -> Definition:
    return read_definition([("segments.yaml", orjson.dumps(completed(part)))], file_of)


def find(text: str) -> list[Diagnostic]:
    """All that is wrong with a part of a file."""
    try:
        part = parse_document(text, "part.yaml")
        if part.errors:
            return list(part.errors)
        definition = define(part.data)
    except InvalidSegments as error:
        return list(error.diagnostics)
    return list(lint(definition, attribute_types()))


def engine_of(part: Json) -> Engine:
    return Engine(Program(define(part)))


def changed(part: Json) -> Timeline:
    """The file `before` until day 10, and the file `after` from then on."""
    engine = engine_of(part["after"])
    moved = engine.program.definition.moved
    return Timeline([Era(1, ALWAYS, engine_of(part["before"])), Era(2, instant("day 10"), engine, moved)])


def placed_in(judge: Engine | Timeline, facts: list[Fact], at: int) -> str | None:
    account, _ = replay_account(judge, "acme.com", order_of_delivery(facts), at)
    return account.state.membership.segment


def says(part: Json, facts: list[Fact], at: int) -> str:
    """What the part comes to at an instant: a segment's name, a condition's value or a trait's."""
    if "before" in part:
        return placed_in(changed(part), facts, at) or "not placed"
    engine = engine_of(part)
    facts = [drop_fields(one, engine.program.definition.dropped) for one in facts]
    if "when" in part or "segments" in part:
        place = placed_in(engine, facts, at)
        outcome = "not placed" if place is None else place
        return "unknown" if outcome == "out" and "when" in part and "hold" not in part else outcome
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), at)
    engine.evaluate(account, at)
    value = engine.program.measure(list(part["traits"])[-1]).value(account, at)
    if isinstance(value, float):
        value = round(value, 6)
    return "missing" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def instants(column: str, facts: list[Fact]) -> int:
    return max(max(fact.time, fact.recorded) for fact in facts) if column == "Value" else instant(column)


WHOLE = [one for one in examples_of("language.md") if "version" in one.data]
PARTS = [one for one in examples_of("language.md") if "version" not in one.data]


@pytest.mark.parametrize("example", WHOLE, ids=lambda one: f"line {one.line}")
def test_every_whole_file_of_the_reference_is_right(example: Example) -> None:
    check_file([("segments.yaml", example.text)])


def test_the_definition_in_several_files_is_right(tmp_path: Path) -> None:
    page = "\n".join(lines_of("language.md"))
    for name, text in re.findall(r"```text\n# ([\w/]+\.yaml)\n(.*?)```", page, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    check_file(
        [(name, content.decode()) for name, content in read_segments_files(str(tmp_path / "segments.yaml"))]
    )
    assert len(list(tmp_path.rglob("*.yaml"))) == 3


@pytest.mark.parametrize("example", PARTS, ids=lambda one: f"line {one.line}")
def test_every_part_of_a_file_means_what_the_table_below_it_says(example: Example) -> None:
    heading, *rows = example.table or [[]]
    assert heading, "a part of a file has a table that says what it comes to"
    assert heading[0] == "Given"
    for row in rows:
        facts = facts_of(row[0])
        found = [says(example.data, facts, instants(column, facts)) for column in heading[1:]]
        assert [row[0], *found] == [row[0], *(cell.strip("`") for cell in row[1:])]


WRITTEN = [
    (row[0], row[1], severity)
    for severity in ("Error", "Warning")
    for heading, *rows in tables_of("language.md", "Written")
    for row in rows
    if heading[1] == severity
]


@pytest.mark.parametrize(("written", "code", "severity"), WRITTEN)
def test_every_mistake_is_found_as_the_reference_says(written: str, code: str, severity: str) -> None:
    (text,) = spans(written)

    found = find(text)

    assert (code.strip("`"), severity.lower()) in [(one.code, one.severity) for one in found]


def check_file(files: list[tuple[str, str]]) -> None:
    """No warning, every segment expected by a test, every test passing."""
    definition = read_definition(files)
    assert [str(one) for one in lint(definition)] == []
    results = run_tests(Program(definition))
    assert results
    assert [one for one in results if not one.passed] == []


# What the pages leave out


def keys_in(data: Json) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield str(key)
            yield from keys_in(value)
    elif isinstance(data, list):
        for one in data:
            yield from keys_in(one)


def test_every_word_of_the_language_has_an_example_that_runs() -> None:
    shown = {key for example in PARTS for key in keys_in(example.data)}
    traits = "count sum distinct min max avg latest earliest decay ratio growth open score points field over half_life"
    names = "attributes lists conditions status moved privacy drop"
    hold = "min_dwell cooldown exit_when"

    assert {*OPERATORS, *WORDS, *traits.split(), *hold.split(), *names.split()} <= shown


def test_the_table_of_kinds_is_that_of_the_contract() -> None:
    heading = ["| Kind | Field | Type | What it holds |", "| --- | --- | --- | --- |"]
    rows = [describe(kind, field) for kind in DATA for field in DATA[kind].model_fields]

    assert "\n".join(heading + rows) in "\n".join(lines_of("language.md"))


def test_the_limits_of_the_reference_are_those_of_the_code() -> None:
    page = "\n".join(lines_of("language.md"))
    limits = [
        f"{document.MAX_BYTES >> 20} MiB, {document.MAX_NODES:,} values with aliases expanded, nested {document.MAX_DEPTH} deep",
        f"{grammar.MAX_CONDITIONS:,} tests and groups in a file, nested {grammar.MAX_DEPTH} deep",
        f"| a list in a test | {grammar.MAX_LIST:,} values |",
        f"| a file of `in_file` | {grammar.MAX_LINES:,} lines |",
        f"| a regular expression | {grammar.MAX_PATTERN:,} characters |",
        f"| a duration | {grammar.MAX_DURATION // DAY:,} days |",
        f"| an event | {decoding.MAX_BYTES >> 10} KiB, nested {decoding.MAX_DEPTH} deep, times from 1970 to 2100 |",
        f"A test counts at most {Limits().facts:,} facts",
        f"the newest {UNREAD} of each kind",
        f"the first {MAX_TEXT:,} characters of a text",
    ]

    assert [one for one in limits if one not in page] == []


def describe(kind: str, field: str) -> str:
    model = DATA[kind]
    info = model.model_fields[field]
    words = re.findall(r"Literal\[([^\]]*)\]", str(info.annotation))
    meaning = words[0].replace("'", "").replace(",", "") if words else info.description or ""
    type_ = {"collection": "list of texts", "bool": "true or false"}.get(
        field_types(kind)[field], field_types(kind)[field]
    )
    return f"| `{kind}` | `{field}` | {'word' if field in model.terms else type_} | {meaning} |"


# The cookbook: one file that all recipes share, and one file a recipe

SHARED, *RECIPES = [
    (one.text.partition("\n")[0].removeprefix("# "), one.text) for one in examples_of("cookbook.md")
]


def test_the_files_of_the_cookbook_have_names_in_their_first_lines() -> None:
    names = [name for name, _ in [SHARED, *RECIPES]]

    assert all(re.fullmatch(r"[a-z0-9-]+\.yaml", name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: one[0])
def test_every_recipe_is_right_with_the_file_that_all_share(recipe: tuple[str, str]) -> None:
    check_file([SHARED, recipe])


def test_the_whole_cookbook_is_one_folder_of_segments() -> None:
    definition = read_definition([SHARED, *RECIPES])

    assert {one.code for one in lint(definition)} <= {"many-segments"}
