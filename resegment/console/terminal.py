"""Write to people's terminals and to other programs' pipes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

import orjson
from rich.console import Console
from rich.text import Text

from resegment.errors import ResegmentError


def screen(*, error: bool = False) -> Console:
    """Return a console on standard output or standard error; it prints markup as it is."""
    return Console(stderr=error, markup=False, highlight=False, emoji=False)


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
    output.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    output.flush()


def write_json(output: BinaryIO, value: Any) -> None:
    """Write one indented JSON value."""
    output.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    output.flush()
