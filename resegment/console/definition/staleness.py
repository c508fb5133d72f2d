"""What is not known of accounts, for people: by test, and the accounts where asking pays first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.console.tables import make_table
from resegment.schemas.times import parse_instant, spell_length
from resegment.segmentation.outlook.staleness import StaleAccount, StaleReport, StaleTest

MAX_TESTS: Final = 15
_MAX_NAME: Final = 26


def render(report: StaleReport, limit: int) -> RenderableType:
    """Render the tests, and at most so many accounts."""
    if not report.accounts:
        return Text("No accounts.")
    older = spell_length(report.older_seconds * 1000)
    head = Text.assemble(
        (count(report.stale, "account"), "bold"),
        f" of {report.accounts:,} with tested attributes that are unknown or older than {older}. ",
        (f"{report.could_change:,}", "bold"),
        " of them could change their segment.",
    )
    parts: list[RenderableType] = [head]
    if report.tests:
        parts += [Text(), _tests(report.tests)]
    if report.requests:
        parts += [Text(), _accounts(report, limit)]
    return Group(*parts)


def _tests(tests: Sequence[StaleTest]) -> Table:
    hidden = len(tests) - MAX_TESTS
    table = make_table("Tests", f"{hidden} more with --json" if hidden > 0 else "")
    table.add_column("test", overflow="fold")
    for name in ("can't tell", "old", "could change"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in tests[:MAX_TESTS]:
        table.add_row(one.test, f"{one.unjudged:,}", f"{one.old:,}", f"{one.could_change:,}")
    return table


def _accounts(report: StaleReport, limit: int) -> Table:
    shown = report.requests[:limit]
    more = len(report.requests) - len(shown)
    now = parse_instant(report.at)
    table = make_table("Where asking pays first", f"{more:,} more with --limit or --json" if more else "")
    table.add_column("account", overflow="fold", max_width=24)
    table.add_column("in", overflow="fold", max_width=_MAX_NAME)
    table.add_column("could change to", overflow="fold", max_width=_MAX_NAME)
    table.add_column("ask for", overflow="fold")
    for one in shown:
        table.add_row(one.account, one.segment, _outcomes(one), _attributes(one, now))
    return table


def _outcomes(one: StaleAccount) -> Text:
    names = [name for name in (one.could_win, one.could_fall_to) if name is not None]
    return Text(" or ".join(names)) if names else Text("nothing", style="dim")


def _attributes(one: StaleAccount, now: int) -> str:
    return ", ".join(
        f"{attribute.name} (unknown)"
        if attribute.known_at is None
        else f"{attribute.name} ({spell_length(now - parse_instant(attribute.known_at))})"
        for attribute in one.attributes
    )
