"""Write to people's terminals and to other programs' pipes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from resegment.console.sanitizing import escape_json, sanitize
from resegment.errors import ResegmentError


class Terminal(Console):
    """A console whose texts cannot steer the terminal, whatever is in them: people read everything through it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, without control characters in their texts."""
        for segment in super().render(renderable, options):
            if segment.control or _is_plain(segment.text):
                yield segment
            else:
                yield Segment(sanitize(segment.text), segment.style)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def screen(*, error: bool = False) -> Terminal:
    """Return a console on standard output or standard error; it prints markup as it is."""
    return Terminal(stderr=error, markup=False, highlight=False, emoji=False)


def print_error(error: ResegmentError) -> None:
    """Print the message, and the remedy below it, on standard error."""
    console = screen(error=True)
    console.print(
        Text("error: ", style="bold red").append(error.message, style="not bold default"), soft_wrap=True
    )
    if error.remedy:
        console.print(Text(error.remedy, style="dim"), soft_wrap=True)


def print_note(text: str) -> None:
    """Print one line on standard error, next to the output."""
    screen(error=True).print(Text(text), soft_wrap=True)


def write_json_lines(output: BinaryIO, rows: Iterable[Any]) -> None:
    """Write one JSON value on each line."""
    output.writelines(encode_line(row) for row in rows)
    output.flush()


def encode_line(row: Any) -> bytes:
    """Return one line of JSON, in which nothing can steer a terminal."""
    return escape_json(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def write_json(output: BinaryIO, value: Any) -> None:
    """Write one indented JSON value."""
    output.write(escape_json(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)))
    output.flush()
