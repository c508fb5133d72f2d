"""The command line, `resegment`: one module for each group of commands, which registers its commands.

Exit codes: 0 success, 1 failure, 2 wrong usage or a wrong file. Modules of commands import heavy packages inside their
functions, so that `resegment --help` answers at once.
"""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from resegment.cli import normalize, sources
from resegment.cli.access import tokens
from resegment.cli.definition import backtest, explain, forecast, formatting, play, schema, segments, stale
from resegment.cli.demo import command as demo
from resegment.cli.identity import accounts
from resegment.cli.operations import (
    audit,
    auditing,
    changes,
    dead_letters,
    owners,
    prefix,
    recovery,
    repartition,
    routing,
    status,
    webhooks,
)
from resegment.cli.outcomes import account, experiments, learn, metrics, report
from resegment.cli.privacy import command as privacy
from resegment.cli.privacy import forget
from resegment.cli.runtime import bench, console, deliver, ingest, intake, process, up, worker
from resegment.cli.sinks import command as sinks
from resegment.cli.storage import archive, tables
from resegment.cli.versions import apply, differences, history, plan, shadow
from resegment.errors import ResegmentError, UserError

COMMANDS = (
    demo,
    up,
    ingest,
    intake,
    sources,
    normalize,
    backtest,
    forecast,
    stale,
    segments,
    formatting,
    plan,
    apply,
    shadow,
    differences,
    history,
    explain,
    play,
    metrics,
    account,
    experiments,
    learn,
    accounts,
    changes,
    status,
    report,
    dead_letters,
    routing,
    owners,
    webhooks,
    sinks,
    audit,
    tokens,
    forget,
    privacy,
    recovery,
    repartition,
    archive,
    tables,
    prefix,
    schema,
    worker,
    deliver,
    console,
    bench,
)
"""Each has `register(app)`. The help lists them in this order."""

MAX_ACTOR = 200
"""The most characters of who runs a command."""

FAILED = 1
WRONG_INPUT = 2


class Commands(TyperGroup):
    """Prints the project's errors as a message and a remedy, and exits with the code for their kind."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            _use_identity()
            with _locale_of_reader():
                return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _reword(error)
            raise
        except ResegmentError as error:
            from resegment.console.terminal import print_error

            print_error(error)
            raise typer.Exit(WRONG_INPUT if isinstance(error, UserError) else FAILED) from error


def build() -> typer.Typer:
    """Return the application with every command."""
    app = typer.Typer(
        name="resegment",
        cls=Commands,
        help="Keep every account in the right segment as the market moves.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for commands in COMMANDS:
        commands.register(app)
    _join_lines(app)
    return app


def _join_lines(app: typer.Typer) -> None:
    """Let the terminal break the lines of every help text, not the source code."""
    for command in app.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(one.split()) for one in text.split("\n\n"))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _join_lines(group.typer_instance)


def main() -> None:
    """Run the command line; the script `resegment` calls this."""
    process.own()
    try:
        build()()
    except Exception as error:  # noqa: BLE001  # the border of the process: a bug's text may quote what a producer sent
        from resegment.console.sanitizing import sanitize
        from resegment.redaction import write_traceback

        sys.stderr.write(sanitize(write_traceback(error)) + "\n")
        sys.exit(FAILED)


def _reword(error: typer.BadParameter) -> str:
    """Say what an option must be in the words that settings use, not in those of the library that checks it."""
    from pydantic import ValidationError

    from resegment.cli.connection import explain_value

    if isinstance(cause := error.__cause__, ValidationError):
        return explain_value(cause.errors(include_url=False)[0])
    return error.message.removeprefix("Value error, ")


@contextmanager
def _locale_of_reader() -> Iterator[None]:
    """Write dates and money as the reader's locale does while a command runs. Raises UnknownLocale."""
    if not any(name.upper() == "RESEGMENT_LOCALE" for name in os.environ):
        yield
        return
    from resegment.console.dates import reading_in
    from resegment.localization import read_locale
    from resegment.settings import ReaderSettings

    with reading_in(read_locale(ReaderSettings().locale)):
        yield


def _use_identity() -> None:
    """Resolve subjects with the user's shared hosts and aliases in every command. Raises WrongSharedHosts, WrongAliases."""
    wanted = {"RESEGMENT_SHARED_HOSTS", "RESEGMENT_ALIASES"}
    if wanted.isdisjoint(name.upper() for name in os.environ):
        return
    from resegment.identity.aliases import load_aliases, use_aliases
    from resegment.identity.domains import use_shared_hosts
    from resegment.identity.shared_hosts import read_shared_hosts
    from resegment.settings import ReaderSettings

    settings = ReaderSettings()
    if settings.shared_hosts is not None:
        use_shared_hosts(read_shared_hosts(settings.shared_hosts))
    if settings.aliases is not None:
        use_aliases(load_aliases(settings.aliases))


def _show_version(wanted: bool) -> None:
    if wanted:
        from resegment import tell_release

        typer.echo(f"resegment {tell_release()}")
        raise typer.Exit


def _use_actor(name: str | None) -> str | None:
    if name is not None and not (0 < len(name.strip()) <= MAX_ACTOR):
        raise typer.BadParameter(f"a name has 1 to {MAX_ACTOR} characters")
    auditing.use_actor(name)
    return name


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
    actor: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Who runs the command, for the audit log. Default: RESEGMENT_ACTOR, or user@host.",
            callback=_use_actor,
        ),
    ] = None,
) -> None:
    """Keep every account in the right segment as the market moves."""
