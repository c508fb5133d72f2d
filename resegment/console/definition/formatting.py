"""What `resegment fmt` changes, for people."""

from __future__ import annotations

import difflib

from rich.text import Text

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def render_diff(before: bytes, after: bytes, name: str) -> Text:
    """Render the lines that differ, as `diff -u` does; nothing if none do."""
    text = Text()
    lines = difflib.unified_diff(_lines(before), _lines(after), name, f"{name} (formatted)", lineterm="", n=2)
    for line in lines:
        text.append(f"{line}\n", style=_STYLES.get(line[:1], ""))
    return text


def _lines(content: bytes) -> list[str]:
    """Return the lines, with what cannot be seen spelled out."""
    text = content.decode("utf-8").replace("\ufeff", "\\ufeff").replace("\r\n", "\\r\n")
    return text.split("\n")


def tell(changed: int, unchanged: int, broken: int, *, written: bool) -> str:
    """Return `2 files formatted, 1 file unchanged, 1 file with errors`."""
    done = "formatted" if written else "would be formatted"
    counts = ((changed, done), (unchanged, "unchanged"), (broken, "with errors"))
    told = [f"{number} file{'' if number == 1 else 's'} {what}" for number, what in counts if number]
    return ", ".join(told) or "no files"
