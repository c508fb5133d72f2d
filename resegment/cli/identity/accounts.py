"""`resegment accounts`: the segment of each account, and since when; and what merges accounts."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from resegment.cli.identity import merges, unresolved
from resegment.cli.options import (
    AsIdentified,
    AsJson,
    Identity,
    InSegment,
    PastArchive,
    SomeAccounts,
    limit_option,
    time_option,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.segmentation.inspection.entry_time import EntryTime
    from resegment.state.redis.reader import PlacedAccount, PrefixReader

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment accounts --segment in-market

resegment accounts acme.com https://www.example.org/about

resegment accounts --json > accounts.jsonl

resegment accounts --at 2026-03-01 --archive s3://our-bucket/resegment
"""

SHOWN: Final = 50
"""Accounts in a table without --limit."""


class Order(StrEnum):
    """By the time of entry into the segment, newest first, or by name."""

    entered = "entered"
    name = "name"


class Accounts(TyperGroup):
    """The group `accounts`: what is not one of its commands is an account, or an option of the list."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=Accounts,
        help="Print the segment of each account, merge accounts, and say which account a name means. "
        "`resegment accounts` alone is the list.",
    )
    group.command("list", epilog=EXAMPLES)(list_accounts)
    merges.register(group)
    unresolved.register(group)
    app.add_typer(group, name="accounts")


@takes_servers
def list_accounts(
    names: SomeAccounts = None,
    segment: InSegment = None,
    limit: Annotated[
        int | None,
        limit_option("Show at most N.", SHOWN),
    ] = None,
    sort: Annotated[Order, typer.Option("--sort", help="Newest entries first, or by name.")] = (
        Order.entered
    ),
    at: Annotated[
        int | None, time_option("Show the accounts as they were at this time, by the version then in force.")
    ] = None,
    archive: PastArchive = None,
    identity: AsIdentified = Identity.then,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the segment of each account, and how long it has been there by its facts: now, or at a time that is over.

    With --json, `since` is when the account was moved there, and `entered_at` is since when its facts hold.
    """
    from resegment.cli.operations.session import check_segment, open_session, read_accounts

    wanted = read_accounts(names)
    if limit is None and not as_json and not wanted:
        limit = SHOWN
    wish = AskedAccounts(wanted, segment, sort, limit, as_json)
    if at is not None:
        if not asyncio.run(_show_past(wish, at, archive, identity, servers)):
            raise typer.Exit(1)
        return
    if archive is not None or identity is not Identity.then:
        raise typer.BadParameter("--archive and --identity look back: say to which time with --at")

    async def run() -> bool:
        async with open_session(servers) as session:
            asked = session.identify_all(wanted)
            if asked:
                known = await _find(session.reader, asked)
            else:
                known = [one async for batch in session.reader.places() for one in batch]
            if segment is not None and all(one.segment != segment for one in known):
                check_segment(segment, await session.load_registry())
            now = await session.now()

            async def find_entries(names: Sequence[str]) -> Mapping[str, EntryTime]:
                return await _find_entries(session, names, now)

            return await _show(wish._replace(names=asked), known, now, find_entries)

    if not asyncio.run(run()):
        raise typer.Exit(1)


class AskedAccounts(NamedTuple):
    """Which accounts to show, and how."""

    names: Sequence[str]
    segment: str | None
    sort: Order
    limit: int | None
    as_json: bool


async def _show_past(
    asked: AskedAccounts, at: int, archive: str | None, identity: Identity, servers: ServerOptions
) -> bool:
    from resegment.cli.operations.session import check_segment, open_past
    from resegment.cli.past.looking import find_accounts, find_past_entries, place
    from resegment.console.dates import spell_instant
    from resegment.console.terminal import print_note

    async with open_past(servers, archive, at) as view:
        if asked.segment is not None:
            check_segment(asked.segment, view.registry)
        found = await find_accounts(view, at, identity)
        known = [place(one) for one in found.values() if not asked.names or one.account in asked.names]
        print_note(f"As of {spell_instant(at)}, by {view.tell_version(at)}, from {view.place}.")
        if (missing := view.tell_reach(at)) is not None:
            print_note(f"{missing}.")

        async def find_entries(names: Sequence[str]) -> Mapping[str, EntryTime]:
            return find_past_entries(view, found, names, at)

        return await _show(asked, known, at, find_entries)


FindEntries = Callable[[Sequence[str]], Awaitable[Mapping[str, "EntryTime"]]]


async def _show(
    asked: AskedAccounts, known: Sequence[PlacedAccount], now: int, find_entries: FindEntries
) -> bool:
    """Print the accounts that are asked for; return False if some are not there."""
    from resegment.console.terminal import print_note

    chosen = [one for one in known if asked.segment in (None, one.segment)]
    shown = arrange(chosen, asked.sort, asked.limit)
    entries = await find_entries([one.account for one in shown])
    _write(shown, entries, now, as_json=asked.as_json)
    missing = set(asked.names) - {one.account for one in known}
    if missing:
        print_note(f"no such account: {', '.join(sorted(missing))}")
    elif len(shown) < len(chosen):
        print_note(f"{len(shown):,} of {len(chosen):,} accounts shown; use --limit to see more")
    elif not chosen:
        print_note(_tell_none(known, asked.segment))
    return not missing


def arrange(placed: Iterable[PlacedAccount], sort: Order, limit: int | None) -> list[PlacedAccount]:
    """Return the first accounts in that order; ties by name."""
    from heapq import nsmallest

    def key(one: PlacedAccount) -> tuple[int, str]:
        return (-one.entered if sort is Order.entered else 0, one.account)

    return sorted(placed, key=key) if limit is None else nsmallest(limit, placed, key)


async def _find(reader: PrefixReader, names: Sequence[str]) -> list[PlacedAccount]:
    from resegment.state.redis.reader import PlacedAccount

    members = [None if state is None else state.membership for state in await reader.states(names)]
    return [
        PlacedAccount(member.entered, name, member.segment)
        for name, member in zip(names, members, strict=True)
        if member is not None and member.segment is not None
    ]


async def _find_entries(session: Session, names: Sequence[str], now: int) -> Mapping[str, EntryTime]:
    """Return the entry times; none where Kafka does not say which version is in force."""
    from resegment.cli.entry_times import read_entry_times
    from resegment.streams.kafka.topic_reader import TopicUnreadable

    try:
        engine = (await session.load_registry()).timeline.at(now).engine
    except TopicUnreadable:
        return {}
    return await read_entry_times(engine, session.reader, names, now)


def _write(
    placed: Sequence[PlacedAccount], entries: Mapping[str, EntryTime], now: int, *, as_json: bool
) -> None:
    from resegment.console.operations.accounts import render
    from resegment.console.terminal import screen, write_json_lines

    if as_json:
        write_json_lines(sys.stdout.buffer, (_describe(one, entries) for one in placed))
    elif placed:
        screen().print(render(placed, entries, now))


def _describe(one: PlacedAccount, entries: Mapping[str, EntryTime]) -> dict[str, Any]:
    from resegment.cli.entry_times import describe_entry_time
    from resegment.schemas.times import format_instant

    since = format_instant(one.entered)
    entry = describe_entry_time(entries.get(one.account))
    return {"account": one.account, "segment": one.segment, "since": since, **entry}


def _tell_none(known: Sequence[PlacedAccount], segment: str | None) -> str:
    if segment is None or not known:
        return "there are no accounts yet"
    there = ", ".join(sorted({one.segment for one in known}))
    return f"no account is in {segment}; segments with accounts: {there}"
