"""The result of the demo: segment sizes, moves, the longest journeys, and the commands to workflows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_dates, spell_day
from resegment.console.definition.summary import render_flows, render_sizes
from resegment.console.facts import spell_fields
from resegment.console.tables import make_table
from resegment.schemas.outgoing import Action
from resegment.segmentation.inspection.summary import Summary
from resegment.sources.shipped import Rounds

_TESTS_SHOWN = 2
_HONESTY = (
    "{:,} of the events are real: company profiles and hiring, from the Y Combinator directory. "
    "Funding, leaders, tools and research are invented, because no free data on them exists."
)
_ROUNDS = (
    "All of it is real: data by CrunchBase, October 2013, CC BY. The export has no domains, so that each company stands under "
    "its own name and .example."
)


@dataclass(frozen=True, slots=True)
class Journey:
    """One account's journey: the data of its net changes, in order."""

    account: str
    name: str | None
    changes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Companies:
    """How many companies of the directory became accounts."""

    companies: int
    accounts: int
    without_account: int
    moved: int
    events: int


def render(
    about: Companies | Rounds,
    summary: Summary,
    journeys: Sequence[Journey],
    commands: Mapping[tuple[str, str], int],
    routes: Sequence[tuple[str, str]],
) -> RenderableType:
    """Render the result. `commands` counts by workflow and action; `routes` pairs segment and workflow, in order."""
    begin, end = spell_day(summary.begin), spell_day(summary.end)
    first, honesty = _tell_companies(about) if isinstance(about, Companies) else _tell_rounds(about)
    head = Text.assemble(
        *first,
        (f"{summary.moves:,} moves", "bold"),
        f" between segments from {begin} to {end}, and {sum(commands.values()):,} commands to workflows.\n",
        (honesty, "dim"),
    )
    return Group(
        Text(),
        head,
        Text(),
        render_sizes(summary.segments, begin, end),
        Text(),
        render_flows([flow for flow in summary.flows if flow.from_ is not None]),
        Text(),
        Text("The longest journeys", style="bold"),
        *(_journey(one) for one in journeys),
        Text(),
        _commands(commands, routes),
    )


Parts = list[str | tuple[str, str]]


def _tell_companies(companies: Companies) -> tuple[Parts, str]:
    return [
        (f"{companies.companies:,} companies", "bold"),
        f" with {companies.accounts:,} domains: {companies.moved:,} changed their domain, ",
        f"and {companies.without_account:,} have no domain of their own.\n",
    ], _HONESTY.format(companies.events)


def _tell_rounds(rounds: Rounds) -> tuple[Parts, str]:
    refused = ", ".join(f"{reason} {number:,}" for reason, number in sorted(rounds.refused.items())) or "none"
    return [
        (f"{rounds.rows['rounds']:,} funding rounds", "bold"),
        f", {rounds.rows['companies']:,} companies and {rounds.rows['acquisitions']:,} acquisitions: ",
        f"{rounds.events:,} events, {rounds.repeated:,} exact repeats, and refused rows: {refused}.\n",
    ], _ROUNDS


def choose_journeys(changes: Iterable[Mapping[str, Any]], count: int) -> list[list[Mapping[str, Any]]]:
    """Return the accounts that saw the most segments; among equals those with the fewest moves."""
    ways: dict[str, list[Mapping[str, Any]]] = {}
    for change in changes:
        ways.setdefault(change["account"], []).append(change)
    chosen = sorted(ways.items(), key=lambda one: (-len({c["to"] for c in one[1]}), len(one[1]), one[0]))
    return [sorted(way, key=lambda one: int(one["sequence_number"])) for _, way in chosen[:count]]


def _journey(journey: Journey) -> RenderableType:
    title = Text(f"\n  {journey.account}", style="bold cyan")
    if journey.name:
        title.append(f"  {journey.name}", style="not bold default")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(width=max(len(one["to"]) for one in journey.changes))
    grid.add_column(style="dim")
    before: Mapping[str, Any] | None = None
    for change in journey.changes:
        grid.add_row(spell_dates(change["effective_at"][:10]), change["to"], explain_move(change, before))
        before = change
    return Group(title, Padding(grid, (0, 0, 0, 2)))


def explain_move(change: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """Say why in a few words: what the new segment requires, or what is no longer true of the old one."""
    holds = [one for one in change["reason"]["holds"] if not one["test"].startswith(("status ", "not: "))]
    told = [_tell(one) for one in sorted(holds, key=_weight)[:_TESTS_SHOWN]]
    if not told and before is not None:
        held = {one["test"] for one in before["reason"]["holds"]}
        gone = [one for one in change["reason"].get("no_longer", ()) if one in held]
        told = [_tell_gone(test) for test in gone[:1]]
    if not told:
        return "first seen" if before is None else ""
    return "; ".join(told)


def _weight(hold: Mapping[str, Any]) -> int:
    """Rank a test: an event says more than a number, and a number more than a property."""
    if hold.get("evidence"):
        return 0
    return 1 if isinstance(hold.get("value"), float) else 2


def _tell(hold: Mapping[str, Any]) -> str:
    text = str(hold["test"])
    if evidence := hold.get("evidence"):
        kind, _, rest = text.partition(" (")
        data = ", ".join(value for _, value in spell_fields(evidence[0].get("data")))
        return f"{kind}: {data}" if data else f"{kind} {rest}"
    value = hold.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text
    return f"{text}, is {_show_number(value)}"


def _show_number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _tell_gone(test: str) -> str:
    event = re.fullmatch(r"(\w+) \(.*\) within (\w+)(, count .*)?", test)
    if event is None:
        return f"no longer {test}"
    return f"{'too few' if event[3] else 'no'} {event[1]} events like that in the last {event[2]}"


def _commands(commands: Mapping[tuple[str, str], int], routes: Sequence[tuple[str, str]]) -> Table:
    table = make_table("Commands to workflows")
    actions = [one for one in get_args(Action) if any(one == action for _, action in commands)]
    table.add_column("segment", no_wrap=True)
    table.add_column("workflow", no_wrap=True)
    for action in actions:
        table.add_column(action, justify="right")
    for segment, workflow in routes:
        numbers = [commands.get((workflow, action), 0) for action in actions]
        table.add_row(
            segment, workflow, *(f"{number:,}" if number else Text("·", style="dim") for number in numbers)
        )
    return table
