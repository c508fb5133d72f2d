"""`resegment privacy encrypt`: a copy of a prefix whose personal fields are sealed."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from typing import Annotated, Final

import typer

from resegment.cli.options import AsJson, SomeSegments
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment privacy encrypt --to live-2 --prefix live --segments segments.yaml
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(encrypt)


@takes_servers
def encrypt(
    to: Annotated[str, typer.Option("--to", metavar="NEW_PREFIX", help="The prefix to create.")],
    *,
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Copy a prefix into a new one with the personal fields of its whole log sealed; the old one stays as it is.

    Carries over what repartition does, with as many partitions. The old prefix must be drained and its workers stopped. Afterwards start
    workers with the new prefix, point sources and consumers to its topics, and delete the old prefix, its topics, archives and backups.
    """
    import asyncio
    import sys

    from resegment.cli.operations.repartition import copy_prefix
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json

    done = asyncio.run(copy_prefix(to, None, servers, segments, seals=True))
    if as_json:
        write_json(sys.stdout.buffer, done._asdict())
        return
    print_note(
        f"Copied {count(done.accounts, 'account')} into prefix {done.prefix}, with personal fields sealed."
    )
    print_note(
        f"Start workers with --prefix {done.prefix}, check them with `resegment verify --prefix {done.prefix}`, and point sources and "
        f"consumers to the topics {done.prefix}.* Then delete the old prefix, its topics, archives and backups: they are not sealed."
    )
