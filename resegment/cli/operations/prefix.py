"""`resegment prefix`: what Redis holds of one prefix, as a whole."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

EXAMPLE: Final = """
[bold]Example[/bold]

resegment prefix delete trial --yes
"""
DELETE_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment prefix delete trial          # prints what it would delete

resegment prefix delete trial --yes
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Delete what Redis holds of a prefix.", epilog=EXAMPLE)
    group.callback()(_group)
    group.command("delete", epilog=DELETE_EXAMPLES)(delete)
    app.add_typer(group, name="prefix")


def _group() -> None:
    """Delete what Redis holds of a prefix."""


@takes_servers
def delete(
    name: Annotated[
        str, typer.Argument(metavar="PREFIX", help="The prefix to delete. There is no default here.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete. Without it the command only prints what there is.")
    ] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Delete all that Redis holds of one prefix; other prefixes on the same Redis stay. Topics in Kafka stay too.

    Refused while workers of the prefix run. Without --yes nothing is deleted.
    """
    from resegment.console.counts import count
    from resegment.console.sanitizing import escape_line
    from resegment.console.terminal import print_note, screen, write_json

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise typer.BadParameter("a prefix has letters, digits, _ and - only", param_hint="PREFIX")
    if servers.prefix not in (None, name):
        raise typer.BadParameter("--prefix names another prefix than PREFIX: leave it out")
    kinds = asyncio.run(_delete(name, servers, yes=yes))
    keys = sum(kinds.values())
    if as_json:
        write_json(sys.stdout.buffer, {"prefix": name, "keys": keys, "kinds": kinds, "deleted": yes})
    elif not keys:
        print_note(f"Redis holds nothing of prefix {name}")
    elif yes:
        print_note(
            f"Deleted {count(keys, 'key')} of prefix {name}. Its topics are still in Kafka: delete them with "
            "kafka-topics, or workers with this prefix will ask for a rebuild."
        )
    else:
        for kind, number in kinds.items():
            screen().print(f"{escape_line(kind)}: {count(number, 'key')}", soft_wrap=True)
        print_note("Nothing was deleted: pass --yes to delete this")


async def _delete(name: str, servers: ServerOptions, *, yes: bool) -> Mapping[str, int]:
    from resegment.cli.connection import load_settings, resolve
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.whole_prefix import count_keys, delete_keys
    from resegment.streams.heartbeat import check_stopped

    connection = resolve(load_settings(servers))
    client = connect_redis(connection.settings, connection.redis_url)
    try:
        await check_stopped(client, name)
        kinds = await count_keys(client, name)
        if yes:
            await delete_keys(client, name)
        return kinds
    finally:
        await client.aclose()
