"""`resegment lint` and `resegment test`: check a segments file before it is used."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resegment.cli.options import AsJson, EventFormat, SavedOutcomes, SegmentsArgument, SomeEvents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resegment.documents.diagnostics import Diagnostic
    from resegment.schemas.fact import Fact
    from resegment.segmentation.definition import Definition

LINT_EXAMPLES = """
[bold]Examples[/bold]

resegment lint segments.yaml

resegment lint segments.yaml --events history.jsonl.gz --strict
"""
TEST_EXAMPLES = """
[bold]Example[/bold]

resegment test segments.yaml
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=LINT_EXAMPLES)(lint)
    app.command("test", epilog=TEST_EXAMPLES)(run_cases)


def lint(
    segments: SegmentsArgument,
    events: SomeEvents = None,
    form: EventFormat = None,
    outcomes: SavedOutcomes = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are warnings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every error and warning in a segments file, each with its line.

    With --events, also warn about tests on attributes that no account in the events has, and about rules of `same` that
    have nothing to compare in them. With --outcomes, also warn about segments that predict nothing, can be merged, or fail
    in targeting or messaging. Exits with 2 if there are errors.
    """
    from resegment.cli.connection import read_limits
    from resegment.console.definition.diagnostics import count, render
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.documents.diagnostics import InvalidSegments
    from resegment.segmentation.analysis.lint import lint as find
    from resegment.segmentation.analysis.lint import lint_broken
    from resegment.sources.segments import load_definition

    found: tuple[Diagnostic, ...]
    try:
        definition = load_definition(segments)
    except InvalidSegments as error:
        found = lint_broken(error)
    else:
        known, seen = _look_at(events, form) if events else (None, None)
        found = find(definition, known, facts_per_test=read_limits().facts, seen=seen)
        found = (*_check_lists(definition, segments), *found, *_check_outcomes(definition, outcomes))
    if as_json:
        write_json_lines(sys.stdout.buffer, (_describe(one) for one in found))
    else:
        console = screen()
        for one in found:
            console.print(render(one), soft_wrap=True)
    print_note(count(found))
    if any(one.severity == "error" for one in found):
        raise typer.Exit(2)
    if strict and found:
        raise typer.Exit(1)


def run_cases(segments: SegmentsArgument, as_json: AsJson = False) -> None:
    """Run the tests in a segments file: each made-up account must land in the segment that its test expects."""
    from resegment.cli.connection import read_limits
    from resegment.console.definition.file_tests import render
    from resegment.console.terminal import screen, write_json_lines
    from resegment.segmentation.evaluation.program import Program
    from resegment.segmentation.inspection.file_tests import run_tests
    from resegment.sources.segments import load_definition

    results = run_tests(Program(load_definition(segments), read_limits()))
    if as_json:
        write_json_lines(sys.stdout.buffer, results)
    else:
        screen().print(render(results), soft_wrap=True)
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _look_at(events: list[str], form: Any) -> tuple[frozenset[str], dict[str, set[str]]]:
    """Return the attributes that some account in the events has, and the sources of the events by kind."""
    from resegment.cli.definition.facts import take_facts
    from resegment.segmentation.evaluation.measures.series import TECHNOLOGIES

    names: set[str] = set()
    sources: dict[str, set[str]] = {}

    def note(fact: Fact) -> bool:
        sources.setdefault(fact.kind, set()).add(fact.source)
        if fact.kind == "firmographic":
            names.update(name for name, value in fact.data.items() if value is not None)
        elif fact.kind == "tech" and fact.data.get("technology") is not None:
            names.add(TECHNOLOGIES)
        return False

    take_facts(events, form, note)
    return frozenset(names), sources


def _check_lists(definition: Definition, segments: str) -> Iterator[Diagnostic]:
    """Yield an error for each suppression list that a worker could not load, and a warning for skipped lines."""
    from resegment.documents.diagnostics import Diagnostic
    from resegment.sources.segments import folder_of
    from resegment.sources.suppressions import WrongList, read_list

    folder = folder_of(Path(segments))
    for number, one in enumerate(definition.suppression):
        if isinstance(one, str) or one.file is None:
            continue
        path = ("suppression", number, "file")
        place = definition.document.places[path]
        try:
            found = read_list(folder / one.file)
        except WrongList as error:
            yield Diagnostic("error", "wrong-list", error.message, path, place, error.remedy)
        else:
            if found.warning is not None:
                yield Diagnostic("warning", "skipped-lines", f"{one.file}: {found.warning}", path, place)


def _check_outcomes(definition: Definition, outcomes: Path | None) -> Iterator[Diagnostic]:
    """Yield what a report on outcomes says about the file. Raises WrongReport."""
    from resegment.outcomes.advising import lint_outcomes
    from resegment.sources.outcomes import read_report

    if outcomes is not None:
        yield from lint_outcomes(definition, read_report(outcomes))


def _describe(one: Diagnostic) -> dict[str, Any]:
    from resegment.documents.diagnostics import format_path

    return {
        "file": one.place.file,
        "line": one.place.line,
        "column": one.place.column,
        "severity": one.severity,
        "code": one.code,
        "path": format_path(one.path),
        "message": one.message,
        "remedy": one.remedy,
    }
