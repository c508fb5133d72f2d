"""The group `resegment privacy`."""

from __future__ import annotations

import typer

from resegment.cli.privacy import encrypting, exporting, keys, opening


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="privacy", help="Open, export and seal personal data.", no_args_is_help=True)
    for commands in (keys, opening, exporting, encrypting):
        commands.register(group)
    app.add_typer(group)
