"""The file of sinks, as commands are given it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resegment.cli.connection import WrongUse

if TYPE_CHECKING:
    from collections.abc import Collection

    from resegment.settings import Settings
    from resegment.sinks.loading import LoadedSinks

SinksPath = Annotated[
    Path | None,
    typer.Option("--sinks", metavar="FILE", help="The file of sinks. Default: RESEGMENT_SINKS."),
]


class SinksMissing(WrongUse):
    """There is no file of sinks."""

    def __init__(self) -> None:
        super().__init__(
            "no sinks are configured: neither --sinks nor RESEGMENT_SINKS is set",
            remedy="Pass a file of sinks with --sinks; docs/sinks.md shows what goes in it.",
        )


class NothingToDeliver(WrongUse):
    """There is neither a file of endpoints nor one of sinks."""

    def __init__(self) -> None:
        super().__init__(
            "there is nothing to deliver to: neither --webhooks nor --sinks is given",
            remedy="docs/webhooks.md and docs/sinks.md show what goes in these files.",
        )


class SameName(WrongUse):
    """A webhook endpoint and a sink have one name."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(
            f"a webhook endpoint and a sink have the same name: {', '.join(sorted(names))}",
            remedy="Rename one: a dead letter that is sent again goes to one of that name.",
        )


def read_sinks(settings: Settings) -> LoadedSinks:
    """Read the sinks that the settings name, with their credentials. Raises SinksMissing or InvalidSinks."""
    import os

    from resegment.sinks.loading import load_sinks

    if settings.sinks is None:
        raise SinksMissing
    return load_sinks(settings.sinks, os.environ)


def check_names(endpoints: Collection[str], sinks: LoadedSinks | None) -> None:
    """Check that no endpoint and sink have one name. Raises SameName."""
    if sinks is not None and (both := set(endpoints) & set(sinks.sinks)):
        raise SameName(both)
