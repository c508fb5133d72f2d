"""`resegment prefix`: what Redis holds of one prefix, as a whole."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

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

AUDIT: Final = "audit"
"""The kind of the key that who deletes writes: it is not the prefix's."""


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
    from resegment.cli.operations.auditing import open_trail
    from resegment.state.redis.client import connect_redis
    from resegment.state.redis.whole_prefix import count_keys, delete_keys
    from resegment.streams.audit.trail import check_may_change
    from resegment.streams.heartbeat import check_stopped
    from resegment.streams.kafka.security import secure_kafka

    connection = resolve(load_settings(servers))
    client = connect_redis(connection.settings, connection.redis_url)
    security = secure_kafka(connection.settings).clients()
    trail = open_trail(client, name, connection.settings, connection.bootstrap, security)
    try:
        if yes:
            await check_may_change(client, name, "prefix delete", trail.actor)
        await check_stopped(client, name)
        kinds = {kind: number for kind, number in (await count_keys(client, name)).items() if kind != AUDIT}
        if yes:
            async with AsyncExitStack() as stack:
                if kinds and await _has_audit_log(connection.bootstrap, name, security):
                    await stack.enter_async_context(trail.recording("prefix delete", {"prefix": name}))
                await delete_keys(client, name)
        return kinds
    finally:
        await client.aclose()


async def _has_audit_log(bootstrap: str, prefix: str, security: Mapping[str, Any]) -> bool:
    """Return whether Kafka still has the topic; if not, nothing can be recorded. Raises TopicsUnavailable."""
    from resegment.console.terminal import print_note
    from resegment.streams.kafka.admin import count_partitions
    from resegment.streams.kafka.topics import Topics

    topic = Topics(prefix).audit_log
    if topic.name in await asyncio.to_thread(count_partitions, bootstrap, [topic], **security):
        return True
    print_note(f"this is not recorded: Kafka has no topic {topic.name}")
    return False
