"""`resegment tokens`: who may use the console, and programs that read it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import re
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

CREATE_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment tokens create ann@acme.com --role operator

resegment tokens create dashboard --days 365

resegment tokens create support --role operator --only dead-letters
"""
LIST_EXAMPLE: Final = """
[bold]Example[/bold]

resegment tokens list --json
"""
REVOKE_EXAMPLE: Final = """
[bold]Example[/bold]

resegment tokens revoke ann@acme.com
"""
DAYS: Final = 90
"""For how many days a token can be used without --days."""
_DAY: Final = 86_400_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class RoleOption(StrEnum):
    """What the holder of a token may do."""

    viewer = "viewer"
    operator = "operator"


class AreaOption(StrEnum):
    """What an operator may change."""

    dead_letters = "dead-letters"
    owners = "owners"
    versions = "versions"
    webhooks = "webhooks"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The tokens with which people and programs use the console.",
        epilog=LIST_EXAMPLE,
    )
    group.command("create", epilog=CREATE_EXAMPLES)(create)
    group.command("list", epilog=LIST_EXAMPLE)(list_tokens)
    group.command("revoke", epilog=REVOKE_EXAMPLE)(revoke)
    app.add_typer(group, name="tokens")


@takes_servers
def create(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Who holds it: the audit log shows this name."),
    ],
    *,
    role: Annotated[
        RoleOption, typer.Option("--role", help="viewer reads, operator also acts.")
    ] = RoleOption.viewer,
    only: Annotated[
        list[AreaOption] | None,
        typer.Option("--only", help="What an operator may change. Repeatable. Default: everything."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, metavar="N", help="For how many days it can be used.")
    ] = DAYS,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Make a token for the console and print it on standard output. It is shown only now: its hash is kept."""
    from resegment.cli.operations.auditing import name_actor
    from resegment.cli.operations.session import run_in_session
    from resegment.console.terminal import print_note, write_json
    from resegment.http.access.tokens import add_token
    from resegment.state.access.records import Token
    from resegment.state.access.redis import RedisAccessStore

    if _NAME.fullmatch(name) is None:
        raise typer.BadParameter(
            "a name has 1 to 100 letters, digits, dots, hyphens, underscores, @ or +", param_hint="NAME"
        )
    if only and role is RoleOption.viewer:
        raise typer.BadParameter("a viewer changes nothing: pass --role operator", param_hint="--only")
    areas = tuple(dict.fromkeys(one.value for one in only)) if only else None

    async def run(session: Session) -> str:
        now = time.time_ns() // 1_000_000
        token = Token(
            name=name,
            role=role.value,
            made=now,
            made_by=name_actor(session.settings),
            areas=areas,  # type: ignore[arg-type]  # the values of AreaOption are those of Area
            expires=now + days * _DAY,
        )
        asked = {"name": name, "role": role.value, "only": list(areas or ()), "days": days}
        async with session.trail.recording("tokens create", asked):
            return await add_token(RedisAccessStore(session.client, session.prefix), token)

    text = run_in_session(run, servers, changes="tokens create")
    if as_json:
        write_json(sys.stdout.buffer, {"name": name, "role": role.value, "days": days, "token": text})
        return
    print_note(f"the token of {name}, {role.value}, for {days:,} days; it is shown only now:")
    typer.echo(text)


@takes_servers
def list_tokens(servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """List the tokens, the newest last: whose each is, what it allows, until when, and who made it.

    With --json, print one line for each token, also for those that ended.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.tokens import describe_token, render_tokens
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.state.access.redis import RedisAccessStore

    async def run(session: Session) -> None:
        now = time.time_ns() // 1_000_000
        held = await RedisAccessStore(session.client, session.prefix).read_tokens()
        tokens = sorted(held.values(), key=lambda one: (one.made, one.name))
        live = [one for one in tokens if one.is_live(now)]
        if as_json:
            write_json_lines(sys.stdout.buffer, (describe_token(one, now) for one in tokens))
        elif live:
            screen().print(render_tokens(live))
        else:
            print_note("no token can be used; `resegment tokens create NAME` makes one")
        if not as_json and len(live) < len(tokens):
            print_note(f"{len(tokens) - len(live):,} more have ended; --json lists them too")

    run_in_session(run, servers)


@takes_servers
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token, as `list` shows it.")],
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Revoke a token: it is refused from now on, and the logins that were made with it end."""
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.tokens import describe_token
    from resegment.console.terminal import print_note, write_json
    from resegment.http.access.tokens import revoke_token
    from resegment.state.access.redis import RedisAccessStore

    async def run(session: Session) -> None:
        now = time.time_ns() // 1_000_000
        async with session.trail.recording("tokens revoke", {"name": name}):
            revoked = await revoke_token(RedisAccessStore(session.client, session.prefix), name, now)
        if as_json:
            write_json(sys.stdout.buffer, describe_token(revoked, now))
        else:
            print_note(f"the token of {name} is revoked, and its logins have ended")

    run_in_session(run, servers, changes="tokens revoke")
