"""The audit log on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_moment
from resegment.console.tables import make_table
from resegment.streams.audit.reading import AuditedAction

_STYLES: Final = {"done": "green", "failed": "red", "begun": "yellow"}
_SHOWN: Final = 3
"""How many items of a list are shown."""


def render(actions: Sequence[AuditedAction]) -> Table:
    """Render a line for each command: when (UTC), who, what, and what came of it."""
    table = make_table()
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("who", overflow="fold", max_width=24)
    table.add_column("command", overflow="fold", ratio=1)
    table.add_column("result", overflow="fold", ratio=1)
    for one in actions:
        begun = one.begun
        command = Text(begun.action, style="bold").append(_tell(begun.arguments, " "), style="not bold")
        table.add_row(spell_moment(begun.at), begun.actor, command, _result(one))
    return table


def _result(one: AuditedAction) -> Text:
    text = Text(
        {"begun": "began; no result is known"}.get(one.stage, one.stage), style=_STYLES.get(one.stage, "")
    )
    if one.ended is None:
        return text
    if one.ended.error:
        return text.append(f": {one.ended.error}", style="default")
    return text.append(_tell(one.ended.result or {}, ": "), style="default")


def _tell(values: Mapping[str, Any], lead: str) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {_spell(value)}" for name, value in values.items())
    return f"{lead}{told}" if told else ""


def _spell(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:_SHOWN]))
        return shown if len(value) <= _SHOWN else f"{shown}, and {len(value) - _SHOWN} more"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
