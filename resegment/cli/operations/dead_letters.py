"""`resegment dead-letters`: the refused events, and why they were refused."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, limit_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.source_options import DomainsFile
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.http.intake.quarantine import Retried
    from resegment.streams.operations.dead_letters import DeadLetter

LIST_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment dead-letters list

resegment dead-letters list --reason not-a-company --json

resegment dead-letters list --endpoint crm
"""
SHOW_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment dead-letters show resegment.triggers.funding:3:1207

resegment dead-letters show resegment.triggers.funding:3:1207 --raw > event.json
"""
RETRY_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment dead-letters retry resegment.triggers.funding:3:1207

resegment dead-letters retry --reason decision-failed

resegment dead-letters retry --endpoint crm

resegment dead-letters retry sources/hubspot:0:1077153230057093442 --domains companies.csv
"""
EXAMPLE: Final = """
[bold]Example[/bold]

resegment dead-letters list
"""

SHOWN: Final = 20
"""Dead letters in a table without --limit."""


class NoSuchDeadLetter(ResegmentError):
    """No dead letter has that id."""

    def __init__(self, letter: str) -> None:
        super().__init__(
            f"there is no dead letter {letter}",
            remedy="An id is the topic:partition:offset of the refused record; `resegment dead-letters list` shows the ids.",
        )
        self.letter = letter


class NoSuchReason(ResegmentError):
    """No dead letter has that reason."""

    def __init__(self, reason: str, there: Collection[str]) -> None:
        super().__init__(
            f"no dead letters have the reason {reason}",
            remedy=f"Reasons in use: {', '.join(sorted(there))}." if there else "There are no dead letters.",
        )
        self.reason = reason


class NothingUndelivered(ResegmentError):
    """No dead letter is for that endpoint."""

    def __init__(self, endpoint: str, there: Collection[str]) -> None:
        super().__init__(
            f"no dead letters are for the endpoint {endpoint}",
            remedy=f"Endpoints with dead letters: {', '.join(sorted(there))}."
            if there
            else "No endpoint has dead letters.",
        )
        self.endpoint = endpoint


class CutOff(ResegmentError):
    """Only the beginning of a record was kept, so it cannot be sent again."""

    def __init__(self, letter: str) -> None:
        super().__init__(
            f"{letter} cannot be sent again: it was too large, and only its beginning was kept",
            remedy="Send it again from its source, as smaller events.",
        )
        self.letter = letter


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="The refused events, and why they were refused.", epilog=EXAMPLE
    )
    group.command("list", epilog=LIST_EXAMPLES)(list_dead_letters)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("retry", epilog=RETRY_EXAMPLES)(retry)
    app.add_typer(group, name="dead-letters")


@takes_servers
def list_dead_letters(
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="REASON", help="Only dead letters with this reason.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="NAME", help="Only what this webhook endpoint did not get."),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("Only the newest N.", SHOWN),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """List the refused events, each once, the newest last."""
    from resegment.console.operations.dead_letters import render_list
    from resegment.console.terminal import print_note, screen, write_json_lines

    letters = list(_read(servers).values())
    chosen = [
        one
        for one in letters
        if reason in (None, one.about.get("reason")) and endpoint in (None, one.about.get("endpoint"))
    ]
    if limit is None and not as_json:
        limit = SHOWN
    shown = chosen if limit is None else chosen[-limit:]
    if as_json:
        write_json_lines(sys.stdout.buffer, (one.describe() for one in shown))
    elif shown:
        screen().print(render_list(shown))
    if not letters:
        print_note("there are no dead letters")
    elif not chosen and endpoint is not None:
        print_note(
            f"no dead letters are for the endpoint {endpoint}{f' with the reason {reason}' if reason else ''}"
        )
    elif not chosen:
        there = ", ".join(sorted({str(one.about.get("reason")) for one in letters}))
        print_note(f"no dead letters have the reason {reason}; reasons in use: {there}")
    elif len(shown) < len(chosen):
        print_note(f"the newest {len(shown):,} of {len(chosen):,} shown; use --limit to see more")


@takes_servers
def show(
    letter: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="topic:partition:offset of the refused record, as `list` shows it."
        ),
    ],
    raw: Annotated[bool, typer.Option("--raw", help="Print only the original bytes.")] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: where it came from, why it was refused, and the original record."""
    from resegment.console.operations.dead_letters import render
    from resegment.console.terminal import screen, write_json

    if raw and as_json:
        raise typer.BadParameter("--raw prints the original bytes: do not combine it with --json")
    found = _read(servers).get(letter)
    if found is None:
        raise NoSuchDeadLetter(letter)
    if raw:
        _write_raw(found.original or b"")
    elif as_json:
        write_json(sys.stdout.buffer, found.describe())
    else:
        screen().print(render(found))


@takes_servers
def retry(
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The ids, as `list` shows them.")
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            metavar="REASON",
            help="All dead letters with this reason that have not been sent again yet.",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help="All that this webhook endpoint did not get and that has not been sent again yet.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            metavar="FILE",
            help="The intake's file of keys, for sources of your own. Default: RESEGMENT_INTAKE.",
        ),
    ] = None,
    domains: DomainsFile = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Send refused records to their topics again, unchanged. Fix the cause of the refusal first.

    A body that came over HTTP is read again by the adapter or mapping file of its source, as it is now.
    """
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json

    if bool(letters) == (reason is not None or endpoint is not None):
        raise typer.BadParameter("pass the ids of dead letters, or a --reason or --endpoint")
    sent, bodies = asyncio.run(_retry(letters or [], reason, endpoint, servers, keys, domains))
    if as_json:
        write_json(
            sys.stdout.buffer,
            {"retried": sent, "bodies": bodies.bodies, "events": bodies.events, "refused": bodies.refused},
        )
    elif bodies != (0, 0, 0):
        print_note(
            f"{count(bodies.bodies, 'request')} read again, with {count(bodies.events, 'event')}; "
            f"still refused: {bodies.refused:,}" + (f". {sent:,} records sent again" if sent else "")
        )
    elif sent:
        print_note(f"{sent:,} sent again; records that are refused again become new dead letters")
    else:
        print_note(
            "nothing to send: each was sent again before, was too large to be kept whole, or is from none of the "
            "prefix's topics; pass the ids of those to send once more"
        )


def choose(
    held: Mapping[str, DeadLetter], ids: Sequence[str], reason: str | None, endpoint: str | None = None
) -> list[DeadLetter]:
    """Return the dead letters to send again: those with these ids, or all of a reason and an endpoint.

    Of the latter, those that were not sent again yet. Raises NoSuchDeadLetter, CutOff, NoSuchReason or
    NothingUndelivered.
    """
    for one in ids:
        if one not in held:
            raise NoSuchDeadLetter(one)
        if not held[one].is_whole:
            raise CutOff(one)
    reasons = {str(one.about.get("reason")) for one in held.values()}
    if reason is not None and reason not in reasons:
        raise NoSuchReason(reason, reasons)
    endpoints = {str(one.about["endpoint"]) for one in held.values() if "endpoint" in one.about}
    if endpoint is not None and endpoint not in endpoints:
        raise NothingUndelivered(endpoint, endpoints)
    return [
        one
        for one in held.values()
        if "topic" in one.about
        and one.is_whole
        and (one.id in ids or (not ids and _is_open(one, reason, endpoint)))
    ]


def _is_open(one: DeadLetter, reason: str | None, endpoint: str | None) -> bool:
    return (
        one.retried is None
        and reason in (None, one.about.get("reason"))
        and endpoint in (None, one.about.get("endpoint"))
    )


def _write_raw(value: bytes) -> None:
    """Write the bytes as they are into a file or pipe; on a terminal, only what cannot steer it."""
    from resegment.console.sanitizing import sanitize

    if sys.stdout.isatty():
        value = sanitize(value.decode(errors="replace")).encode()
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()


async def _retry(
    letters: list[str],
    reason: str | None,
    endpoint: str | None,
    servers: ServerOptions,
    keys: Path | None,
    domains: Path | None,
) -> tuple[int, Retried]:
    import time

    from resegment.cli.operations.session import open_session
    from resegment.http.intake.access import Access, read_access
    from resegment.http.intake.quarantine import is_body, retry_bodies
    from resegment.sources.accounts import read_accounts
    from resegment.sources.adapters.port import Context
    from resegment.streams.kafka.admin import count_partitions
    from resegment.streams.operations.dead_letters import read_dead_letters, retry_dead_letters

    async with open_session(servers, changes="dead-letters retry") as session:
        topic = session.topics.dead_letters.name
        opener = session.keys.record_opener(strict=True)
        held = await read_dead_letters(session.bootstrap, topic, security=session.security, opener=opener)
        chosen = choose(held, letters, reason, endpoint)
        asked = {"ids": letters, "reason": reason, "endpoint": endpoint}
        async with (
            session.trail.recording("dead-letters retry", asked) as recording,
            session.publisher("resegment-retry") as publisher,
        ):
            partitions = await asyncio.to_thread(
                count_partitions, session.bootstrap, session.topics, **session.security
            )
            now = time.time_ns() // 1_000_000
            file = keys or session.settings.intake
            bodies = await retry_bodies(
                [one for one in chosen if is_body(one)],
                session.topics,
                publisher,
                now,
                Access() if file is None else read_access(file),
                Context(accounts={} if domains is None else read_accounts(domains)),
            )
            records = [one for one in chosen if not is_body(one)]
            sent = await retry_dead_letters(records, session.topics, publisher, now, partitions=partitions)
            recording.result |= {"sent": sent, "bodies": bodies.bodies, "events": bodies.events}
            return sent, bodies


def _read(servers: ServerOptions) -> dict[str, DeadLetter]:
    from resegment.cli.operations.session import open_session
    from resegment.streams.operations.dead_letters import read_dead_letters

    async def run() -> dict[str, DeadLetter]:
        async with open_session(servers) as session:
            return await read_dead_letters(
                session.bootstrap,
                session.topics.dead_letters.name,
                security=session.security,
                opener=session.keys.record_opener(),
            )

    return asyncio.run(run())
