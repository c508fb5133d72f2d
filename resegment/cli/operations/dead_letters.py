"""`resegment dead-letters`: what was refused, and why."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.streams.operations.dead_letters import DeadLetter

LIST_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment dead-letters list

resegment dead-letters list --reason not-a-company --json
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
"""
EXAMPLE: Final = """
[bold]Example[/bold]

resegment dead-letters list
"""

SHOWN: Final = 20
"""Dead letters in a table where --limit is not given."""


class NoSuchDeadLetter(ResegmentError):
    """No dead letter has that id."""

    def __init__(self, letter: str) -> None:
        super().__init__(
            f"there is no dead letter {letter}",
            remedy="An id is topic:partition:offset of what was refused; `resegment dead-letters list` has them.",
        )
        self.letter = letter


class CutOff(ResegmentError):
    """Only the beginning of a record was kept, so it cannot be sent again."""

    def __init__(self, letter: str) -> None:
        super().__init__(
            f"of {letter} only the beginning was kept: it was too large for a message",
            remedy="Let its source send it again, in smaller events.",
        )
        self.letter = letter


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="What was refused, and why.", epilog=EXAMPLE)
    group.command("list", epilog=LIST_EXAMPLES)(list_dead_letters)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("retry", epilog=RETRY_EXAMPLES)(retry)
    app.add_typer(group, name="dead-letters")


@takes_servers
def list_dead_letters(
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="REASON", help="Only those of this reason.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help=f"The newest so many. [{SHOWN}; all with --json]"),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """List what was refused, each once, the newest at the end."""
    from resegment.console.operations.dead_letters import render_list
    from resegment.console.terminal import print_note, screen, write_json_lines

    letters = list(_read(servers).values())
    chosen = [one for one in letters if reason in (None, one.about.get("reason"))]
    if limit is None and not as_json:
        limit = SHOWN
    shown = chosen if limit is None else chosen[-limit:]
    if as_json:
        write_json_lines(sys.stdout.buffer, (one.describe() for one in shown))
    elif shown:
        screen().print(render_list(shown))
    if not letters:
        print_note("there are no dead letters")
    elif not chosen:
        there = ", ".join(sorted({str(one.about.get("reason")) for one in letters}))
        print_note(f"there are no dead letters of the reason {reason}; there are of {there}")
    elif len(shown) < len(chosen):
        print_note(f"the newest {len(shown):,} of {len(chosen):,}; --limit shows more")


@takes_servers
def show(
    letter: Annotated[
        str,
        typer.Argument(metavar="ID", help="topic:partition:offset of what was refused, as `list` has it."),
    ],
    raw: Annotated[bool, typer.Option("--raw", help="Print the original bytes, and nothing else.")] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: where it came from, why it was refused, and the original."""
    from resegment.console.operations.dead_letters import render
    from resegment.console.terminal import screen, write_json

    if raw and as_json:
        raise typer.BadParameter("--raw prints the bytes as they were: leave --json out")
    found = _read(servers).get(letter)
    if found is None:
        raise NoSuchDeadLetter(letter)
    if raw:
        sys.stdout.buffer.write(found.original or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        write_json(sys.stdout.buffer, found.describe())
    else:
        screen().print(render(found))


@takes_servers
def retry(
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Which, as `list` has them.")
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="REASON", help="All of this reason that were not sent again yet."),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Send what was refused to the topic that it came from once more, as it was: after what was wrong is mended."""
    from resegment.console.terminal import print_note, write_json

    if bool(letters) == (reason is not None):
        raise typer.BadParameter("name the letters, or a --reason")
    sent = asyncio.run(_retry(letters or [], reason, servers))
    if as_json:
        write_json(sys.stdout.buffer, {"retried": sent})
    else:
        print_note(f"{sent:,} sent again; what is refused again gets a dead letter of its own")


async def _retry(letters: list[str], reason: str | None, servers: ServerOptions) -> int:
    import time

    from resegment.cli.operations.session import open_session
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.operations.dead_letters import read_dead_letters, retry_dead_letters

    async with open_session(servers) as session:
        topic = session.topics.dead_letters.name
        held = await read_dead_letters(session.bootstrap, topic, security=session.security)
        for letter in letters:
            if letter not in held:
                raise NoSuchDeadLetter(letter)
            if not held[letter].is_whole:
                raise CutOff(letter)
        chosen = [
            one
            for one in held.values()
            if "topic" in one.about
            and one.is_whole
            and (
                one.id in letters
                or (reason is not None and one.about.get("reason") == reason and one.retried is None)
            )
        ]
        async with KafkaPublisher(
            session.bootstrap, client_id="resegment-retry", security=session.security
        ) as publisher:
            return await retry_dead_letters(chosen, session.topics, publisher, time.time_ns() // 1_000_000)


def _read(servers: ServerOptions) -> dict[str, DeadLetter]:
    from resegment.cli.operations.session import open_session
    from resegment.streams.operations.dead_letters import read_dead_letters

    async def run() -> dict[str, DeadLetter]:
        async with open_session(servers) as session:
            return await read_dead_letters(
                session.bootstrap, session.topics.dead_letters.name, security=session.security
            )

    return asyncio.run(run())
