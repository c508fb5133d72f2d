"""`resegment explain`: why an account is where it is, and what comes next."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from resegment.cli.options import (
    EVENTS_HELP,
    SEGMENTS_HELP,
    TIME_METAVAR,
    AsJson,
    EventFormat,
    parse_time,
)
from resegment.errors import RefusedEvent, ResegmentError

if TYPE_CHECKING:
    from resegment.cli.options import Format
    from resegment.schemas.fact import Fact

EXAMPLES = """
[bold]Examples[/bold]

resegment explain acme.com

resegment explain acme.com --at 2026-01-31

resegment explain acme.com --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""


class UnknownAccount(ResegmentError):
    """Nothing is known about the account at that time."""

    def __init__(self, account: str, at: int) -> None:
        from resegment.schemas.times import format_instant

        super().__init__(
            f"nothing is known about {account} at {format_instant(at)}",
            remedy="Check the spelling; `resegment backtest --accounts` lists the accounts of the events.",
        )
        self.account = account
        self.at = at


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
            help="Explain this time; by default that of the last event, whoever's it is.",
        ),
    ] = None,
    form: EventFormat = None,
    as_json: AsJson = False,
) -> None:
    """Explain an account's segment: what each condition says and why, what is missing for others, what comes next."""
    if segments is None or not events:
        raise typer.BadParameter("say from what: --segments and --events are needed")
    _explain_files(_name(account), segments, events, at, form, as_json=as_json)


def _explain_files(
    name: str, segments: str, events: list[str], at: int | None, form: Format | None, *, as_json: bool
) -> None:
    from resegment.cli.facts import read_facts, report
    from resegment.console.explanation import render
    from resegment.console.progress import show_progress
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.backtest import order_of_delivery, replay_account
    from resegment.segmentation.engine import Engine
    from resegment.segmentation.explain import describe_explanation
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
        raise UnknownAccount(name, at)
    explanation = find_reasons(engine, account, at)
    if as_json:
        write_json(sys.stdout.buffer, describe_explanation(explanation))
    else:
        screen().print(render(explanation))


def _name(text: str) -> str:
    from resegment.schemas.domains import registrable_domain

    try:
        return registrable_domain(text)
    except RefusedEvent as error:
        raise typer.BadParameter(error.message, param_hint="ACCOUNT") from error
