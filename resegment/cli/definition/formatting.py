"""`resegment fmt`: write segments files in one style."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

resegment fmt segments.yaml

resegment fmt --check segments/

resegment fmt - < segments.yaml
"""
STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fmt", epilog=EXAMPLES)(fmt)


def fmt(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Segments files, folders of them, or - to read standard input and write standard output.",
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")
    ] = False,
    diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="Write nothing; print what would change, and exit with 1 if a file would."
        ),
    ] = False,
) -> None:
    """Write segments files in one style, with their comments and without changing what they say.

    A file with errors is left as it is: its errors are printed, and the exit code is 2.
    """
    from resegment.console.definition.diagnostics import render
    from resegment.console.definition.formatting import render_diff, tell
    from resegment.console.terminal import print_note, screen
    from resegment.documents.diagnostics import InvalidSegments
    from resegment.documents.formatter import format_document
    from resegment.sources.replaced_file import replace_file

    changed = unchanged = broken = 0
    for name, content in _read(files):
        try:
            formatted = format_document(content, name)
        except InvalidSegments as error:
            broken += 1
            for one in error.diagnostics:
                screen(error=True).print(render(one), soft_wrap=True)
            continue
        changed += formatted != content
        unchanged += formatted == content
        if diff:
            screen().print(render_diff(content, formatted, name), end="", soft_wrap=True)
        elif name == STANDARD_INPUT and not check:
            sys.stdout.buffer.write(formatted)
            sys.stdout.buffer.flush()
        elif formatted != content:
            if not check:
                replace_file(Path(name), formatted)
            print_note(f"{name}: {'would be formatted' if check else 'formatted'}")
    if files != [STANDARD_INPUT]:
        print_note(tell(changed, unchanged, broken, written=not (check or diff)))
    if broken:
        raise typer.Exit(2)
    if changed and (check or diff):
        raise typer.Exit(1)


def _read(files: list[str]) -> list[tuple[str, bytes]]:
    from resegment.sources.segments import read_given_files

    return [
        found
        for file in files
        for found in (
            [(STANDARD_INPUT, sys.stdin.buffer.read())] if file == STANDARD_INPUT else read_given_files(file)
        )
    ]
