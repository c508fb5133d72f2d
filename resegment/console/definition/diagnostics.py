"""Errors and warnings in a segments file, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from resegment.documents.diagnostics import Diagnostic, format_path

_STYLES = {"error": "bold red", "warning": "bold yellow"}


def render(one: Diagnostic) -> Text:
    """Render `file:line:column: severity: path: message (remedy) [code]` on one line."""
    text = Text(f"{one.place}: ")
    text.append(one.severity, style=_STYLES[one.severity])
    text.append(": ").append(format_path(one.path), style="bold").append(f": {one.message}")
    if one.remedy:
        text.append(f" ({one.remedy})", style="dim")
    return text.append(f" [{one.code}]", style="dim")


def count(found: Sequence[Diagnostic]) -> str:
    """Return `1 error, 2 warnings`."""
    return ", ".join(
        f"{number} {severity}{'' if number == 1 else 's'}"
        for severity in ("error", "warning")
        for number in [sum(one.severity == severity for one in found)]
    )
