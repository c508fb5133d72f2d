"""Check what a file says of segments that got another name."""

from __future__ import annotations

from typing import Any

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.language.references import choices


def check_moves(data: dict[str, Any], problems: Problems) -> None:
    """Report new names that no segment has, and old names that are still used or that move twice."""
    moved = data.get("moved")
    if not isinstance(moved, dict):
        return
    names = _names(data)
    taken: dict[str, str] = {}
    for new, old in moved.items():
        if not isinstance(new, str) or not isinstance(old, str):
            continue
        path: Path = ("moved", new)
        if new not in names:
            problems.error(
                "unknown-segment", f"no segment is named {new!r}", path, choices(names), at_key=True
            )
        if old == new:
            problems.error("wrong-value", f"{new!r} moves to its own name", path, "remove this line")
        elif old in taken:
            problems.error(
                "duplicate-name",
                f"{old!r} moves to {taken[old]!r} and to {new!r}",
                path,
                "keep one of the two lines",
            )
        elif old in names and old not in moved:
            problems.error(
                "still-used",
                f"the file still has a segment named {old!r}, so its accounts can't move to {new!r}",
                path,
                f"give the segment {old!r} another name, or remove this line",
            )
        taken.setdefault(old, new)


def _names(data: dict[str, Any]) -> list[str]:
    listed = data.get("segments")
    entries = [*(listed if isinstance(listed, list) else ()), data.get("fallback")]
    found = [one.get("name") for one in entries if isinstance(one, dict)]
    return [name for name in found if isinstance(name, str)]
