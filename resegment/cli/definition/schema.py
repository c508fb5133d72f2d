"""`resegment schema`: the contracts, as JSON Schema and AsyncAPI; the settings."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment schema segments > segments.schema.json

resegment schema funding

resegment schema asyncapi > asyncapi.yaml

resegment schema --write docs/contracts
"""

SETTINGS: Final = "settings"
SOURCES: Final = "sources"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(schema)


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="An event kind (like funding), change, command, dead-letter, audit, segments, plan, forecast, metrics, asyncapi, settings or "
            "sources.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="FOLDER", file_okay=False, help="Write every contract to this folder instead."
        ),
    ] = None,
) -> None:
    """Print a contract as JSON Schema, AsyncAPI (YAML) or Markdown; without a name, list the names.

    An editor with a YAML language server completes a segments file that starts with

    # yaml-language-server: $schema=segments.schema.json
    """
    from resegment.console.definition.contracts import NAMES, document, write_documents
    from resegment.console.definition.settings_reference import describe_settings
    from resegment.settings import Settings
    from resegment.sources.adapters.reference import describe_all
    from resegment.sources.registry import all_adapters

    if folder is not None:
        if name is not None:
            raise typer.BadParameter(
                "--write writes every contract: leave the name out", param_hint="--write"
            )
        for path in write_documents(folder):
            typer.echo(path)
    elif name is None:
        typer.echo("\n".join((*NAMES, SETTINGS, SOURCES)))
    elif name == SETTINGS:
        typer.echo(describe_settings(Settings), nl=False)
    elif name == SOURCES:
        typer.echo(describe_all(all_adapters()), nl=False)
    elif name in NAMES:
        typer.echo(document(name), nl=False)
    else:
        raise typer.BadParameter(
            f"{name!r} is not one of {', '.join((*NAMES, SETTINGS, SOURCES))}", param_hint="NAME"
        )
