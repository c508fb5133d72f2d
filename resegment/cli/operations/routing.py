"""`resegment routing`: which changes enroll accounts, and how to enroll those that were left out."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.operations.routing_history import EXAMPLES, history
from resegment.cli.options import AsJson, InSegment, RouteMode, SomeAccounts, limit_option, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.routing.staffing.lines import Turn
    from resegment.schemas.routing import RoutedState

    Row = tuple[str, RoutedState]

EXAMPLE: Final = """
[bold]Example[/bold]

resegment routing show
"""
SHOW_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment routing show

resegment routing show --json | jq .accounts
"""
SET_EXAMPLE: Final = """
[bold]Example[/bold]

resegment routing set changed
"""
ENROLL_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment routing enroll acme.com https://www.example.org/about

resegment routing enroll --segment in-market

resegment routing enroll --all --yes
"""
LIST_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment routing list --decision waiting

resegment routing list --owner "Ann Lee" --since 2026-11-23

resegment routing list --decision suppressed --decision holdout --json
"""

SHOWN: Final = 50
"""Accounts in a table without --limit."""
ASKED_ABOUT: Final = 100
"""Enrolling more accounts than this asks for confirmation."""
SENT: Final = 1_000
"""Messages published in one batch."""


class Decision(StrEnum):
    """The decisions of the router on an account."""

    no_route = "no-route"
    suppressed = "suppressed"
    holdout = "holdout"
    quiet = "quiet"
    never_again = "never-again"
    cooldown = "cooldown"
    capped = "capped"
    held = "held"
    waiting = "waiting"
    enrolled = "enrolled"
    rejected = "rejected"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Which accounts are enrolled in workflows, and why others are not.",
        epilog=EXAMPLE,
    )
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("set", epilog=SET_EXAMPLE)(set_mode)
    group.command("enroll", epilog=ENROLL_EXAMPLES)(enroll)
    group.command("list", epilog=LIST_EXAMPLES)(list_accounts)
    group.command("history", epilog=EXAMPLES)(history)
    app.add_typer(group, name="routing")


@takes_servers
def show(
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the routing mode, the number of accounts by decision, and how many wait for each team."""
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.routing import render
    from resegment.console.terminal import screen, write_json
    from resegment.streams.operations.routing_status import describe_routing_look, look_at_routing

    async def run(session: Session) -> None:
        now = None if session.on_facts else await session.reader.now()
        teams = (await session.load_registry()).current.definition.teams
        look = await look_at_routing(session.client, session.reader, session.held, now, teams)
        if as_json:
            write_json(sys.stdout.buffer, describe_routing_look(look))
        else:
            screen().print(render(look))

    run_in_session(run, servers)


@takes_servers
def set_mode(
    mode: Annotated[
        RouteMode, typer.Argument(metavar="all|changed|none", help="Which changes enroll accounts.")
    ],
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Choose which changes enroll accounts from now on: all, only moves from one segment to another, or none.

    Workers apply it within seconds. Accounts that were left out before stay out: `resegment routing enroll` enrolls them.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json
    from resegment.routing.describe import MODES
    from resegment.routing.policy import mode_of
    from resegment.streams.prefix import ROUTING, set_routing

    async def run(session: Session) -> None:
        before = mode_of(session.held.get(ROUTING))
        async with session.trail.recording("routing set", {"mode": mode.value}) as recording:
            await set_routing(session.client, session.prefix, mode.value)
            recording.result["before"] = before
        if as_json:
            write_json(sys.stdout.buffer, {"mode": mode.value, "before": before})
            return
        print_note(f"routing is {mode.value}: {MODES[mode.value]}")
        quiet = (await session.reader.decisions()).get("quiet", 0)
        if quiet and mode is not RouteMode.none:
            print_note(
                f"{count(quiet, 'account')} left out before {'stays' if quiet == 1 else 'stay'} out: "
                "`resegment routing enroll --all` enrolls them"
            )

    run_in_session(run, servers, changes="routing set")


@takes_servers
def enroll(
    names: SomeAccounts = None,
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="NAME", help="All accounts of this segment.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All accounts of all segments.")] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help=f"Do not ask for confirmation, even for more than {ASKED_ABOUT} accounts."
        ),
    ] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Enroll accounts whose change was not routed: those that `resegment routing list --decision quiet` shows.

    Accounts that are held because a source is silent are enrolled if you name them. Suppressions, holdouts, cooldowns and team limits apply to them as to all others.
    """
    from resegment.cli.operations.session import read_accounts, run_in_session
    from resegment.console.counts import count
    from resegment.console.dates import spell_dates
    from resegment.console.terminal import print_note, write_json
    from resegment.routing.describe import words_of

    wanted = read_accounts(names)
    if sum((bool(wanted), segment is not None, everybody)) != 1:
        raise typer.BadParameter("choose what to enroll: accounts, --segment or --all")

    async def run(session: Session) -> bool:
        named = session.identify_all(wanted)
        rows = await _find(session, named)
        ends = ("quiet", "held") if wanted else ("quiet",)  # who is held is enrolled by name alone
        quiet = sorted(
            (name, _change_of(state)) for name, state in rows if _is_left_out(state, segment, ends)
        )
        if len(quiet) > ASKED_ABOUT and not yes:
            typer.confirm(f"Enroll {len(quiet):,} accounts?", abort=True, err=True)
        if quiet:
            asked = {"accounts": wanted, "segment": segment, "all": everybody or None}
            async with session.trail.recording("routing enroll", asked) as recording:
                await _force(session, quiet)
                recording.result["asked"] = len(quiet)
        if as_json:
            write_json(sys.stdout.buffer, {"told": len(quiet)})
        else:
            print_note(f"asked the router to enroll {count(len(quiet), 'account')}")
        if not wanted and not quiet:
            print_note(_tell_none(rows, "quiet"))
        for name, state in rows if wanted else ():
            if not _is_left_out(state, segment, ends):
                print_note(f"{name} was not left out: {spell_dates(words_of(state))}")
        return _tell_missing(named, rows)

    if not run_in_session(run, servers, changes="routing enroll"):
        raise typer.Exit(1)


@takes_servers
def list_accounts(
    names: SomeAccounts = None,
    decision: Annotated[
        list[Decision] | None,
        typer.Option("--decision", metavar="DECISION", help="Only accounts with this decision. Repeatable."),
    ] = None,
    segment: InSegment = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Only accounts of this owner.")
    ] = None,
    since: Annotated[
        int | None,
        time_option(
            "Only decisions since this time; with --owner, all accounts that this owner got since then, also those "
            "that they do not have any more."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("Show at most N.", SHOWN),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the routing decision on each account, why and since when, with workflow and owner; the newest first.

    With --json, print one line for each account.
    """
    from resegment.cli.operations.session import read_accounts, run_in_session
    from resegment.console.operations.routing import render_accounts
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.routing.describe import describe_routing, since_of
    from resegment.streams.operations.routing_status import find_turns

    wanted = read_accounts(names)
    decisions = {one.value for one in decision or Decision}
    if limit is None and not as_json and not wanted:
        limit = SHOWN

    async def run(session: Session) -> bool:
        asked = session.identify_all(wanted)
        rows = await _find(session, asked)
        if owner is not None and since is not None:
            _print_received(rows, owner, since, limit, as_json=as_json)
            return _tell_missing(asked, rows)
        chosen = [
            (name, state)
            for name, state in rows
            if state.decision in decisions
            and segment in (None, _segment_of(state))
            and owner in (None, None if state.enrollment is None else state.enrollment.owner)
            and (since is None or (since_of(state) or 0) >= since)
        ]
        shown = arrange(chosen, limit)
        turns: dict[str, Turn] = {}
        if any(state.decision == "waiting" for _, state in shown):
            teams = (await session.load_registry()).current.definition.teams
            states = (state for _, state in shown)
            turns = await find_turns(session.client, session.prefix, states, teams, await session.now())
        if as_json:
            described = (
                {"account": name, **describe_routing(state, turns.get(state.assignment or ""))}
                for name, state in shown
            )
            write_json_lines(sys.stdout.buffer, described)
        elif shown:
            screen().print(render_accounts(shown))
        if len(shown) < len(chosen):
            print_note(f"{len(shown):,} of {len(chosen):,} accounts shown; use --limit to see more")
        elif not chosen and not wanted:
            print_note(_tell_none(rows, " or ".join(sorted(decisions)) if decision else None))
        return _tell_missing(asked, rows)

    if not run_in_session(run, servers):
        raise typer.Exit(1)


def _print_received(rows: Iterable[Row], owner: str, since: int, limit: int | None, *, as_json: bool) -> None:
    """Print what an owner got since an instant (ms), and why; the newest first."""
    from resegment.console.operations.routing import render_received
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.routing.staffing.past import received_since, tell_now

    found = received_since(rows, owner, since)
    shown = found[:limit]
    if as_json:
        write_json_lines(
            sys.stdout.buffer,
            (
                {"account": name, **one.describe(), "now": tell_now(owner, state)}
                for name, one, state in shown
            ),
        )
    elif shown:
        screen().print(render_received(owner, shown))
    if not found:
        print_note(f"{owner} got no account since then")
    elif len(shown) < len(found):
        print_note(f"{len(shown):,} of {len(found):,} accounts shown; use --limit to see more")


def arrange(rows: Iterable[Row], limit: int | None) -> list[Row]:
    """Return the first accounts, newest decisions first; ties by name."""
    from heapq import nsmallest

    from resegment.routing.describe import since_of

    def key(row: Row) -> tuple[int, str]:
        return -(since_of(row[1]) or 0), row[0]

    return sorted(rows, key=key) if limit is None else nsmallest(limit, rows, key)


async def _find(session: Session, names: Sequence[str]) -> list[Row]:
    """Return the router's state of those accounts, or of all."""
    if not names:
        return [row for batch in [one async for one in session.reader.routings()] for row in batch]
    states = await session.reader.routed(names)
    return [(name, state) for name, state in zip(names, states, strict=True) if state is not None]


async def _force(session: Session, changes: Sequence[tuple[str, str]]) -> None:
    """Ask the router to route these changes, account and id, regardless of the mode."""
    from resegment.schemas.routing import Review
    from resegment.streams.message_factory import tell

    if not changes:
        return
    topic, at = session.topics.routing_events.name, await session.now()
    async with session.publisher("resegment-routing") as publisher:
        for start in range(0, len(changes), SENT):
            reviews = [
                Review(account=name, at=at, forced=True, change=change)
                for name, change in changes[start : start + SENT]
            ]
            await publisher.publish([tell(topic, one) for one in reviews])


def _is_left_out(state: RoutedState, segment: str | None, ends: Collection[str]) -> bool:
    return state.decision in ends and segment in (None, _segment_of(state))


def _change_of(state: RoutedState) -> str:
    return "" if state.target is None else state.target.change


def _segment_of(state: RoutedState) -> str | None:
    return None if state.target is None else state.target.segment


def _tell_none(rows: Sequence[Row], decision: str | None) -> str:
    counts = Counter(state.decision for _, state in rows if state.decision != "none")
    if not counts:
        return "the router has not decided on any account yet"
    there = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return f"no matching account{f' is {decision}' if decision else ''}; accounts by decision: {there}"


def _tell_missing(wanted: Sequence[str], rows: Sequence[Row]) -> bool:
    """Report the accounts that the router does not know; return whether it knows all."""
    from resegment.console.terminal import print_note

    missing = set(wanted) - {name for name, _ in rows}
    if missing:
        print_note(f"the router has no decision on {', '.join(sorted(missing))}")
    return not missing
