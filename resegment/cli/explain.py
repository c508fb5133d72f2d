"""`resegment explain`: why an account is where it is, and what comes next."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resegment.cli.connection import Folder, Kafka, Prefix, Redis
from resegment.cli.options import (
    EVENTS_HELP,
    SEGMENTS_HELP,
    TIME_METAVAR,
    AsJson,
    EventFormat,
    parse_time,
)
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.cli.options import Format
    from resegment.schemas.fact import Fact
    from resegment.segmentation.explain import Explanation

EXAMPLES = """
[bold]Examples[/bold]

resegment explain acme.com

resegment explain acme.com --at 2026-01-31

resegment explain acme.com --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""


class UnknownAccount(ResegmentError):
    """Nothing is known about the account at that time."""

    def __init__(self, account: str, at: int, remedy: str) -> None:
        from resegment.schemas.times import format_instant

        super().__init__(f"nothing is known about {account} at {format_instant(at)}", remedy=remedy)
        self.account = account
        self.at = at


class OtherDefinition(ResegmentError):
    """The segments file is not the one by which the prefix decides."""

    def __init__(self, path: str, given: str, held: str) -> None:
        super().__init__(
            f"{path} has the version {given}, and the prefix decides by {held}",
            remedy="Name the segments file that the workers run with --segments.",
        )
        self.given, self.held = given, held


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(explain)


def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its domain, in any spelling.")],
    *,
    segments: Annotated[
        str | None, typer.Option("--segments", "-s", metavar="FILE", help=SEGMENTS_HELP)
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option("--events", "-e", metavar="FILE", help=EVENTS_HELP)
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            parser=parse_time,
            metavar=TIME_METAVAR,
            help="Explain this time; by default now, or that of the last of the --events, whoever's it is.",
        ),
    ] = None,
    form: EventFormat = None,
    folder: Folder = None,
    kafka: Kafka = None,
    redis: Redis = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """Explain an account's segment: what each condition says and why, what is missing for others, what comes next.

    It is explained as the running prefix has it, or, with --events, from recorded events alone.
    """
    from resegment.cli.view import read_account
    from resegment.console.explanation import render
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.explain import describe_explanation

    name = read_account(account)
    if events:
        if segments is None:
            raise typer.BadParameter("--events need --segments, the file to judge them by")
        explanation = _explain_files(name, segments, events, at, form)
    elif form is not None:
        raise typer.BadParameter("--format is that of --events: give both or neither")
    else:
        where = {"folder": folder, "kafka": kafka, "redis": redis, "prefix": prefix, "segments": segments}
        explanation = asyncio.run(_explain_live(name, at, **where))
    if as_json:
        write_json(sys.stdout.buffer, describe_explanation(explanation))
    else:
        screen().print(render(explanation))


async def _explain_live(name: str, at: int | None, **where: Any) -> Explanation:
    from resegment.cli.view import viewing
    from resegment.console.terminal import print_note
    from resegment.segmentation.engine import Engine
    from resegment.segmentation.explain import explain as find_reasons
    from resegment.segmentation.program import Limits, Program
    from resegment.sources.segments import load_definition
    from resegment.streams.rewind import last_touched, rewind

    async with viewing(**where) as view:
        definition = load_definition(str(view.settings.segments))
        if definition.version != view.held.get("definition"):
            raise OtherDefinition(
                str(view.settings.segments), definition.version, view.held.get("definition", "no file")
            )
        engine = Engine(Program(definition, Limits(facts=view.settings.facts_per_kind)))
        partition = view.reader.partition_of(name)
        (state,) = await view.reader.states([name])
        now = await (view.reader.clock(partition) if view.on_facts else view.reader.now())
        at = now if at is None else at
        if state is None:
            raise UnknownAccount(
                name, at, "Check the spelling; `resegment accounts` lists those that are known."
            )
        if at >= last_touched(state):
            account = engine.open(name, state)
            held = state.membership.segment
            engine.advance(account, at)
            if at <= now and account.state.membership.segment != held:
                print_note(f"The prefix still has it in {held}: its partition is yet to decide.")
        else:
            account = await rewind(
                engine,
                name,
                state,
                at,
                bootstrap=view.bootstrap,
                topic=view.topics.signals.name,
                partition=partition,
                security=view.security,
            )
    if account.state.membership.segment is None:
        raise UnknownAccount(
            name, at, "Its first event came later; `resegment changes --account` tells when."
        )
    if at > now:
        print_note("That is yet to come: it will be so if nothing more becomes known until then.")
    return find_reasons(engine, account, at)


def _explain_files(
    name: str, segments: str, events: list[str], at: int | None, form: Format | None
) -> Explanation:
    from resegment.cli.facts import read_facts, report
    from resegment.console.progress import show_progress
    from resegment.segmentation.backtest import order_of_delivery, replay_account
    from resegment.segmentation.engine import Engine
    from resegment.segmentation.explain import explain as find_reasons
    from resegment.segmentation.program import Program
    from resegment.sources.segments import load_definition

    engine = Engine(Program(load_definition(segments)))
    last = used = 0

    def keep(fact: Fact) -> bool:
        nonlocal last, used
        last, used = max(last, fact.recorded), used + 1
        return fact.account == name

    with show_progress() as bars:
        facts, refusals = read_facts(events, form, bars, keep)
    report(refusals, used)
    at = last if at is None else at
    account, _ = replay_account(engine, name, order_of_delivery(facts), at)
    if account.state.membership.segment is None:
        raise UnknownAccount(
            name, at, "Check the spelling; `resegment backtest --accounts` lists the accounts of the events."
        )
    return find_reasons(engine, account, at)
