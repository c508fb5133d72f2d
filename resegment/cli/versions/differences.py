"""`resegment diff`: what differs between two versions, by meaning."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.segmentation.definition import Definition

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment diff old.yaml new.yaml

resegment diff 3 segments.yaml

resegment diff 3 4
"""
_HELP: Final = "The number of a version, or a segments file or a folder of them."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(diff)


@takes_servers
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help=_HELP)],
    new: Annotated[str, typer.Argument(metavar="B", help=_HELP)],
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print what differs between two versions, by meaning: rules and values, not lines of files.

    Comments, the order inside `all` and `any`, and how files are cut make no difference. Only numbers need a running prefix.
    """
    from resegment.console.definition.differences import render_differences
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.versions.differences import compare
    from resegment.segmentation.versions.wording import tell_differences

    before, after = _read([old, new], servers)
    found = compare(before, after)
    told = tell_differences(before, after, found)
    if as_json:
        changed = [
            {
                "part": one.part,
                "name": one.name,
                "old_name": one.old_name,
                "what": one.what,
                "words": one.words,
            }
            for one in told
        ]
        write_json(
            sys.stdout.buffer,
            {
                "a": before.version,
                "b": after.version,
                "segments_judged": found.segments_judged,
                "gates_judged": found.gates,
                "needs_facts": found.needs_facts,
                "differences": changed,
            },
        )
    else:
        screen().print(render_differences(told, found), soft_wrap=True)


def _read(names: list[str], servers: ServerOptions) -> list[Definition]:
    """Return what each name stands for: a version of the prefix by its number, or a file."""
    from resegment.cli.operations.session import run_in_session
    from resegment.sources.segments import load_definition

    numbers = [name for name in names if name.isdecimal()]
    definitions = None
    if numbers:
        registry = run_in_session(lambda session: session.load_registry(), servers)
        definitions = registry.definitions
    return [
        definitions.definition_of(int(name))
        if definitions is not None and name.isdecimal()
        else load_definition(name)
        for name in names
    ]
