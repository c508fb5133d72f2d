"""`resegment report`: what happened, in text."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, parse_time
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resegment.cli.operations.session import Session
    from resegment.console.operations.owners import TeamRow
    from resegment.console.operations.report import Report
    from resegment.schemas.segments import Team
    from resegment.streams.reports.activity import Activity

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment report

resegment report --since 30d --segment in-market

resegment report --owner "Ann Lee" --json
"""
WEEK: Final = 7 * 86_400_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(report)


@takes_servers
def report(
    segment: Annotated[
        str | None,
        typer.Option(
            "--segment",
            metavar="NAME",
            help="Only this segment: moves into it and out of it, its commands and outcomes.",
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="NAME",
            help="Only what this owner got: commands, moves of their accounts, outcomes.",
        ),
    ] = None,
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="From this time on, or for how long back, as in 30d."),
    ] = "7d",
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print what happened in a week: sizes, entries and exits, moves, commands, owners, dead letters and outcomes.

    Changes and dead letters are those that their topics still have: 7 days, unless you keep them for longer.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.terminal import screen, write_json

    async def run(session: Session) -> None:
        until = await session.now() + 1
        begin = _read_since(since, until)
        told = await _gather(session, begin, until, segment, owner)
        if as_json:
            from msgspec import to_builtins

            write_json(sys.stdout.buffer, to_builtins(told))
        else:
            from resegment.console.operations.report import render_report

            screen().print(render_report(told, begin, until - 1))

    run_in_session(run, servers)


def _read_since(text: str, now: int) -> int:
    from resegment.schemas.times import parse_duration

    try:
        length = parse_duration(text.strip())
    except ValueError:
        return parse_time(text)
    return now - length


async def _gather(session: Session, since: int, until: int, segment: str | None, owner: str | None) -> Report:
    from resegment.cli.operations.session import check_segment
    from resegment.console.operations.report import Report
    from resegment.schemas.times import format_instant
    from resegment.state.redis.reader import add_sizes
    from resegment.streams.operations.dead_letters import read_dead_letters
    from resegment.streams.outcomes.live import read_dataset
    from resegment.streams.prefix import identities_of
    from resegment.streams.reports.activity import Activity, count_letters

    registry = await session.load_registry()
    if segment is not None:
        check_segment(segment, registry)
    owners = await _read_owners(session, registry.current.definition.teams, owner)
    activity = Activity(since, until, segment, owner)
    await _read_topics(session, activity)
    letters = await read_dead_letters(
        session.bootstrap, session.topics.dead_letters.name, security=session.security
    )
    _, merged = identities_of(session.held)
    dataset = await read_dataset(session.reader, window=session.settings.outcome_window, accounts=merged)
    forgot = activity.oldest is not None and activity.oldest > since and await _has_forgotten(session)
    return Report(
        prefix=session.prefix,
        since=format_instant(since),
        until=format_instant(until - 1),
        segment=segment,
        owner=owner,
        segments=activity.segments({} if owner is not None else add_sizes(await session.reader.look())),
        flows=activity.flows(),
        commands=activity.commands(),
        owners=[] if segment is not None else owners,
        dead_letters=count_letters((one.describe() for one in letters.values()), since, until),
        outcomes=activity.outcomes(dataset),
        kept_since=format_instant(activity.oldest) if forgot and activity.oldest is not None else None,
        unread=activity.unread,
    )


async def _read_owners(session: Session, teams: Mapping[str, Team], owner: str | None) -> list[TeamRow]:
    """Return the load of all owners, or of one. Raises typer.BadParameter for one that is not known."""
    from msgspec.structs import replace

    from resegment.console.operations.owners import describe_owners
    from resegment.segmentation.language.parsing.suggestions import suggest_word
    from resegment.state.redis.owners import OwnerStore

    look = await OwnerStore(session.client, session.prefix).look()
    rows = describe_owners(teams, look, await session.now())
    if owner is None:
        return rows
    known = {one.name for row in rows for one in row.members} | look.members.keys()
    if owner not in known:
        advice = suggest_word(owner, sorted(known)) if known else "no account has an owner"
        raise typer.BadParameter(f"nobody is named {owner[:80]!r}: {advice}", param_hint="--owner")
    mine = [
        replace(row, members=[one for one in row.members if one.name == owner], waiting=0) for row in rows
    ]
    return [row for row in mine if row.members]


async def _read_topics(session: Session, activity: Activity) -> None:
    """Count what the topics of commands and changes have."""
    from resegment.streams.kafka.topic_reader import reading

    topics = session.topics
    async with reading(session.bootstrap, topics.workflow_commands.name, security=session.security) as reader:
        async for records in reader.to_end():
            for record in records:
                activity.take_commands([record.value], record.timestamp)
    async with reading(session.bootstrap, topics.segment_changes.name, security=session.security) as reader:
        async for records in reader.to_end():
            activity.take_changes(record.value for record in records)


async def _has_forgotten(session: Session) -> bool:
    """Return whether changes were deleted from their topic."""
    from resegment.streams.kafka.topic_reader import reading

    topic = session.topics.segment_changes.name
    async with reading(session.bootstrap, topic, security=session.security) as reader:
        return reader.newest_beginning > 0
