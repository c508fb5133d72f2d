"""What differs between two versions, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from resegment.segmentation.versions.differences import Differences
from resegment.segmentation.versions.wording import ToldDifference

_PARTS: Final = {
    "segments": "",
    "plays": "play ",
    "personas": "persona ",
    "teams": "team ",
    "qualifications": "qualification ",
    "traits": "trait ",
    "attributes": "attribute ",
    "suppression": "suppression ",
    "tests": "test ",
    "file": "",
}
_STYLES: Final = {"added": "green", "removed": "red"}


def render_differences(told: Sequence[ToldDifference], differences: Differences) -> Text:
    """Render each part that differs with its changes below it, and what follows from them."""
    text = Text()
    for one in told:
        text.append(f"{_PARTS.get(one.part, '')}{one.name}", style="bold")
        text.append(f"  {', '.join(what.replace('-', ' ') for what in one.what)}\n", style="dim")
        for words in one.words:
            text.append(f"    {words}\n", style=_STYLES.get(one.what[0], ""))
    unchanged = sum(one.what == ("unchanged",) for one in differences.segments)
    if told and unchanged:
        text.append(f"{unchanged} segment{'' if unchanged == 1 else 's'} unchanged\n", style="dim")
    return text.append(conclude(differences))


def conclude(differences: Differences) -> str:
    """Return in one sentence what has to be decided again."""
    if differences.is_empty:
        return "Nothing differs: both mean the same."
    if differences.segments_judged:
        return "Segments differ: a switch judges every account once."
    if differences.gates:
        return "Only suppressions, territories or teams differ: a switch moves no account."
    return "Only texts, plays or routes differ: a switch judges no account."
