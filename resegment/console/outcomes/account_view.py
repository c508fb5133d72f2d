"""One account's touches and outcomes, for people and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.dates import spell_day
from resegment.console.sanitizing import escape_line
from resegment.console.tables import make_table
from resegment.outcomes.dataset import Dataset
from resegment.schemas.times import format_instant

REASONS: Final = {
    "unknown-key": "its key is of no touch of this account",
    "void": "its touch is void: another change superseded the one that led there",
    "no-touch": "the account was never touched",
    "before-touch": "the account was touched only later",
    "window": "the last touch was too long ago",
    "holdout": "the account was held out, so it was no answer to us",
}
"""Why an outcome is credited to no touch, in words."""


def describe_account(name: str, dataset: Dataset) -> dict[str, Any]:
    """Return all of it as plain data; instants as text."""
    return {
        "account": name,
        "window_days": dataset.window.total_seconds() / 86_400,
        "touches": [_plain(one) for one in dataset.touches.iter_rows(named=True)],
        "outcomes": [_plain(one) for one in dataset.outcomes.iter_rows(named=True)],
        "uncredited": dataset.uncredited,
        "dropped": dataset.dropped,
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: format_instant(_ms(value)) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def render_account(name: str, dataset: Dataset) -> RenderableType:
    """Render two tables: touches, and outcomes with the touch that each is credited to."""
    touches = make_table("Touches", f"{escape_line(name)}; times in UTC")
    for column in ("#", "when", "arm", "segment", "play", "workflow", "owner", "channel", "version"):
        touches.add_column(column, overflow="fold", justify="right" if column in ("#", "version") else "left")
    numbers: dict[str, int] = {}
    for number, one in enumerate(dataset.touches.iter_rows(named=True), 1):
        numbers[one["touch"]] = number
        arm = (
            one["arm"]
            if one["experiment"] is None
            else f"{one['arm']} ({one['experiment']}: {one['variant']})"
        )
        cells = (arm, one["segment"], one["play"], one["workflow"], one["owner"], one["channel"])
        version = one["version"] if one["version"] is not None else one["definition_version"]
        touches.add_row(
            str(number), spell_day(_ms(one["at"])), *(_cell(cell) for cell in cells), _cell(version)
        )
    outcomes = make_table(
        "Outcomes", f"{dataset.outcomes['touch'].count():,} of {dataset.outcomes.height:,} credited"
    )
    for column in ("when", "outcome", "person", "deal", "amount", "touch", "why"):
        outcomes.add_column(
            column, overflow="fold", justify="right" if column in ("amount", "touch") else "left"
        )
    for one in dataset.outcomes.iter_rows(named=True):
        touch = one["touch"]
        why = f"by {one['credited_by']}" if touch is not None else REASONS.get(one["reason"], one["reason"])
        outcomes.add_row(
            spell_day(_ms(one["at"])),
            _cell(one["action"] if one["stage"] is None else f"{one['action']}: {one['stage']}"),
            _cell(one["person"]),
            _cell(one["deal"]),
            _amount(one),
            Text(
                str(numbers.get(touch, "")) if touch is not None else "none", style="" if touch else "yellow"
            ),
            Text(why, style="" if touch is not None else "yellow"),
        )
    return Group(touches, Text(), outcomes)


def _cell(value: object) -> str:
    return "" if value is None else escape_line(str(value))


def _amount(one: Mapping[str, Any]) -> str:
    if one["amount"] is not None:
        return f"{one['amount']:,.0f} {_cell(one['currency'])}".rstrip()
    return "" if one["amount_usd"] is None else f"{one['amount_usd']:,.0f} USD"
