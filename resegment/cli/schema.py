"""`resegment schema`: the contracts as JSON Schema."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

resegment schema segments > segments.schema.json

resegment schema funding
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(schema)


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[segments|KIND]", help="`segments` for the segments file, or a kind of event."
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of the segments file or of a kind of event; without a name, list them.

    An editor with a YAML language server completes a segments file that begins with

    # yaml-language-server: $schema=segments.schema.json
    """
    from resegment.console.terminal import write_json
    from resegment.schemas.fact import KINDS
    from resegment.schemas.jsonschema import event_schema
    from resegment.segmentation.jsonschema import segments_schema

    names = ("segments", *KINDS)
    if name is None:
        typer.echo("\n".join(names))
    elif name == "segments":
        write_json(sys.stdout.buffer, segments_schema())
    elif name in KINDS:
        write_json(sys.stdout.buffer, event_schema(name))
    else:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}", param_hint="NAME")
