"""The state of routing, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_dates, spell_day
from resegment.console.tables import make_table
from resegment.routing.describe import MEANINGS, MODES, advise, since_of, tell_why, workflow_of
from resegment.routing.staffing.past import PastDecision, tell_now
from resegment.schemas.routing import RoutedState, RoutingDecision
from resegment.schemas.times import format_instant
from resegment.streams.operations.routing_status import RoutingLook

_MEANINGS: Final[dict[str, str]] = {name: MEANINGS[name] for name in get_args(RoutingDecision)}


def render(look: RoutingLook) -> RenderableType:
    """Render the mode, accounts by decision, teams, and advice if no account is enrolled."""
    parts: list[RenderableType] = [render_mode(look)]
    advice = advise(look.mode, look.decisions.get("enrolled", 0))
    if advice is not None:
        parts.append(Text("! ", style="bold yellow").append(advice, style="not bold"))
    for table in (render_decisions(look), render_teams(look)):
        if table is not None:
            parts += [Text(), table]
    return Group(*parts)


def render_mode(look: RoutingLook) -> Text:
    """Render the mode."""
    return Text("Routing ", style="bold").append(f"{look.mode}: {MODES[look.mode]}", style="not bold")


def render_decisions(look: RoutingLook) -> Table | None:
    """Render the number of accounts by decision, and what each decision means."""
    if not look.decisions:
        return None
    table = make_table("Accounts by decision")
    table.add_column("decision", no_wrap=True)
    table.add_column("accounts", justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for name, count in look.decisions.items():
        table.add_row(name, f"{count:,}", _MEANINGS.get(name, ""))
    return table


def render_teams(look: RoutingLook) -> Table | None:
    """Render how many accounts wait for each team, and how many it got today."""
    if not look.teams:
        return None
    table = make_table("Teams")
    table.add_column("team", no_wrap=True, overflow="ellipsis")
    table.add_column("waiting", justify="right", no_wrap=True)
    table.add_column("assigned today", justify="right", no_wrap=True)
    for name, team in look.teams.items():
        table.add_row(name, f"{team.waiting:,}", f"{team.granted_today:,}")
    return table


def render_accounts(rows: Sequence[tuple[str, RoutedState]]) -> Table:
    """Render a line for each account: the decision, since when, workflow, owner and reason."""
    table = make_table()
    cells = [_cells(name, state) for name, state in rows]
    for number, (title, whole) in enumerate(_COLUMNS):
        if any(one[number] for one in cells):
            table.add_column(
                title,
                no_wrap=whole,
                overflow="fold",
                max_width=_WIDEST.get(title),
                min_width=_LEAST.get(title),
            )
    for one in cells:
        table.add_row(*(cell for number, cell in enumerate(one) if any(other[number] for other in cells)))
    return table


_COLUMNS: Final = (
    ("account", False),
    ("decision", True),
    ("since", True),
    ("workflow", False),
    ("owner", False),
    ("why", False),
)
"""The columns for accounts, and which of them do not wrap. Columns without a value are left out."""


def render_history(rows: Sequence[PastDecision]) -> Table:
    """Render a line for each decision on an account: when (UTC), what, where, with which owner, and why."""
    table = make_table()
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("decision", no_wrap=True)
    table.add_column("segment", overflow="fold", max_width=18)
    table.add_column("workflow", overflow="fold", max_width=18)
    table.add_column("owner", overflow="fold", max_width=14)
    table.add_column("why", overflow="fold", min_width=20)
    for one in rows:
        cells = (one.what, one.segment, one.workflow or "", one.owner or "", spell_dates(one.why))
        table.add_row(_spell_minute(one.at), *cells)
    return table


def render_received(owner: str, rows: Sequence[tuple[str, PastDecision, RoutedState]]) -> Table:
    """Render a line for each account that an owner got: when, from which segment, why, and where it is now."""
    table = make_table()
    table.add_column("got", no_wrap=True)
    table.add_column("account", overflow="fold", max_width=22)
    table.add_column("segment", overflow="fold", max_width=16)
    table.add_column("why", overflow="fold", min_width=20)
    table.add_column("now", overflow="fold", max_width=14)
    for name, one, state in rows:
        table.add_row(spell_day(one.at), name, one.segment, spell_dates(one.why), tell_now(owner, state))
    return table


def _spell_minute(at: int) -> str:
    """Return an instant exact to the minute: `2026-11-24 16:05`."""
    return format_instant(at)[:16].replace("T", " ")


_WIDEST: Final = {"account": 22, "workflow": 16, "owner": 12}
"""Where long names wrap, so that the reason keeps its place at 80 columns."""
_LEAST: Final = {"why": 20}


def _cells(name: str, state: RoutedState) -> tuple[str, ...]:
    enrolled, since = state.enrollment, since_of(state)
    return (
        name,
        state.decision,
        "" if since is None else spell_day(since),
        workflow_of(state) or "",
        "" if enrolled is None else enrolled.owner or "",
        spell_dates(tell_why(state)),
    )
