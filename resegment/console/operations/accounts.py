"""The segment of each account, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_moment
from resegment.console.tables import make_table
from resegment.identity.hints import Hint
from resegment.identity.merges import Identities
from resegment.schemas.times import spell_length
from resegment.segmentation.inspection.entry_time import EntryTime
from resegment.state.redis.reader import PlacedAccount
from resegment.streams.identities.waiting import WaitingName


def render(placed: Iterable[PlacedAccount], entries: Mapping[str, EntryTime], now: int) -> Table:
    """Render a table; `now` (ms) gives how long each account has been there, by its facts where that is known."""
    table = make_table()
    table.add_column("account", overflow="fold")
    table.add_column("segment", overflow="fold")
    table.add_column("since (UTC)", no_wrap=True)
    table.add_column("for", no_wrap=True, justify="right")
    for one in placed:
        at, limited = entries.get(one.account) or EntryTime(one.entered, limited=False)
        length = f"{'≥ ' if limited else ''}{spell_length(max(0, now - at))}"
        table.add_row(one.account, one.segment, spell_moment(at), Text(length, style="dim"))
    return table


def render_merges(identities: Identities) -> Table:
    """Render a table of the accounts that are merged into others, and of the names that mean an account."""
    rows = make_table()
    for title in ("alias", "account", ""):
        rows.add_column(title, overflow="fold")
    unsettled = {
        one.alias for number, one in identities.operations.items() if number not in identities.settled
    }
    for alias, account in sorted(identities.merged().items()):
        rows.add_row(alias, account, "not carried out yet" if alias in unsettled else "merged")
    for name, account in sorted(identities.names.items()):
        rows.add_row(name, account, "name")
    return rows


def render_unresolved(waiting: Sequence[WaitingName], hints: Mapping[str, Sequence[Hint]]) -> Table:
    """Render a table of the names that mean no account yet, with accounts that look alike."""
    table = make_table()
    table.add_column("name", overflow="fold")
    table.add_column("events", justify="right")
    table.add_column("last (UTC)", no_wrap=True)
    table.add_column("from", overflow="fold")
    table.add_column("looks like", overflow="fold")
    for one in waiting:
        alike = ", ".join(f"{hint.account} ({hint.score}%)" for hint in hints.get(one.name, ()))
        table.add_row(one.name, f"{one.events:,}", spell_moment(one.last), ", ".join(one.sources), alike)
    return table
