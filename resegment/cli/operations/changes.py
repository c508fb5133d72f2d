"""`resegment changes`: the feed of segment changes."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.options import AsJson, PastArchive, parse_time, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment changes --follow

resegment changes --account acme.com --since 2026-01-01

resegment changes --segment in-market --json

resegment changes --between 2026-03-01 2026-04-01 --archive s3://our-bucket/resegment
"""

SHOWN: Final = 20
"""Changes shown without --last and --since."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(changes)


@takes_servers
def changes(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new changes, until Ctrl-C.")
    ] = False,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ACCOUNT",
            help="Only changes of this account: a domain, URL or email address.",
        ),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="NAME", help="Only changes into or out of this segment."),
    ] = None,
    since: Annotated[
        int | None,
        time_option("Only changes that took effect at this time or later."),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--between",
            metavar="TIME TIME",
            help="Only changes that took effect from the first time on and before the second.",
        ),
    ] = None,
    archive: PastArchive = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            min=0,
            metavar="N",
            help=f"Only the newest N. Default: {SHOWN}, or all with --since, --between or --json.",
        ),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print which accounts moved, from which segment to which, when and why; the newest last.

    A change that a later one at the same instant replaced is marked as void.
    """
    from resegment.cli.operations.session import check_segment, open_past, open_session, read_account
    from resegment.cli.past.changes import find_changes
    from resegment.console.terminal import print_note

    name = None if account is None else read_account(account)
    if last is None and since is None and between is None and not as_json:
        last = SHOWN
    wanted = ChangeFilter(account=name, segment=segment, since=since, last=last)
    window = _read_window(between, since, follow=follow)
    if window is None and archive is not None:
        raise typer.BadParameter("--archive looks back: say between which times with --between")

    async def run() -> None:
        if window is not None:
            wanted.since, wanted.until = window
            async with open_past(servers, archive, min(window)) as view:
                if segment is not None:
                    check_segment(segment, view.registry)
                found = wanted.take(await find_changes(view, *window, name))
                _writer(as_json=as_json)(wanted.arrange(found))
            _note_unread(wanted)
            return
        async with open_session(servers) as session:
            if segment is not None:
                check_segment(segment, await session.load_registry())
            await _read(session, wanted, _writer(as_json=as_json), follow=follow)
        if not wanted.shown:
            print_note(
                "no matching changes" if name or segment or wanted.since else "there are no changes yet"
            )

    with suppress(KeyboardInterrupt):
        asyncio.run(run())


def _read_window(
    between: tuple[str, str] | None, since: int | None, *, follow: bool
) -> tuple[int, int] | None:
    """Return the two instants of --between. Raises typer.BadParameter."""
    if between is None:
        return None
    if follow or since is not None:
        raise typer.BadParameter("--between has a beginning and an end: it goes without --since and --follow")
    first, second = map(parse_time, between)
    if first >= second:
        raise typer.BadParameter("the second time of --between must be later than the first")
    return first, second


@dataclass(slots=True)
class ChangeFilter:
    """Which changes are wanted. Each is taken once, even if it was published twice."""

    account: str | None = None
    segment: str | None = None
    since: int | None = None
    until: int | None = None
    """The instant (ms) before which they took effect."""
    last: int | None = None
    shown: int = 0
    unread: int = 0
    """How many records are no change: the router sets them aside."""
    _void: set[str] = field(default_factory=set)
    _seen: dict[str, int] = field(default_factory=dict)

    @property
    def takes_all(self) -> bool:
        """Whether every change is wanted."""
        return self.account is None and self.segment is None and self.since is None

    def take(self, values: Iterable[bytes | None]) -> list[dict[str, Any]]:
        """Return the wanted, new changes among these record values, as plain data with their `id`."""
        from resegment.console.operations.changes import read_change
        from resegment.schemas.times import parse_instant

        found: list[dict[str, Any]] = []
        for value in values:
            change = read_change(value)
            if change is None:
                self.unread += 1
                continue
            if change["sequence_number"] <= self._seen.get(change["account"], 0):
                continue
            self._seen[change["account"]] = change["sequence_number"]
            if change["supersedes"] is not None:
                self._void.add(change["supersedes"])
            if (
                self.account in (None, change["account"])
                and self.segment in (None, change["from"], change["to"])
                and (self.since is None or parse_instant(change["effective_at"]) >= self.since)
                and (self.until is None or parse_instant(change["effective_at"]) < self.until)
            ):
                found.append(change)
        return found

    def arrange(self, found: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """Yield the last changes in the order in which they took effect; each says whether it is `void`."""
        from resegment.schemas.times import parse_instant

        def key(change: dict[str, Any]) -> tuple[int, str, int]:
            return parse_instant(change["effective_at"]), change["account"], change["sequence_number"]

        ordered = sorted(found, key=key)
        kept = ordered if self.last is None else deque(ordered, self.last)
        for change in kept:
            self.shown += 1
            yield {**change, "void": change["id"] in self._void}


Write = Callable[[Iterable[dict[str, Any]]], None]


async def _read(session: Session, wanted: ChangeFilter, write: Write, *, follow: bool) -> None:
    from resegment.streams.kafka.topic_reader import reading

    one = None if wanted.account is None else [session.reader.partition_of(wanted.account)]
    newest = wanted.last if wanted.takes_all else None
    found: list[dict[str, Any]] = []
    opener = session.keys.record_opener()
    async with reading(
        session.bootstrap, session.topics.segment_changes.name, one, security=session.security
    ) as reader:
        async for records in opener.each(reader.to_end(newest)):
            found += wanted.take(record.value for record in records)
        write(wanted.arrange(found))
        _note_unread(wanted)
        found.clear()
        if follow:
            wanted.last = None
            async for records in opener.each(reader.follow()):
                write(wanted.arrange(wanted.take(record.value for record in records)))
                _note_unread(wanted)


def _note_unread(wanted: ChangeFilter) -> None:
    """Say how many records were passed over since the last time, if any were."""
    from resegment.console.operations.changes import tell_unread
    from resegment.console.terminal import print_note

    if wanted.unread:
        print_note(tell_unread(wanted.unread))
        wanted.unread = 0


def _writer(*, as_json: bool) -> Write:
    from resegment.console.operations.changes import render
    from resegment.console.terminal import screen, write_json_lines

    if as_json:
        return lambda changes: write_json_lines(sys.stdout.buffer, changes)
    console = screen()

    def write(changes: Iterable[dict[str, Any]]) -> None:
        for change in changes:
            width = console.width if console.is_terminal else None
            console.print(render(change, void=change["void"], width=width), soft_wrap=width is None)

    return write
