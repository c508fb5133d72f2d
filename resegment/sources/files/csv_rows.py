"""Read the rows of a CSV file one at a time, so that a broken row is reported and the next one is read."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TextIO

from resegment.errors import RefusedEvent
from resegment.schemas.cloudevents.decoding import MAX_BYTES

MAX_ROW: Final = 4 * MAX_BYTES
"""The maximum length of a row in characters. A longer one cannot be an event of `MAX_BYTES`."""

DELIMITERS: Final = (",", ";", "\t", "|")


class Row(NamedTuple):
    """A row, and the line on which it starts. `refused` says why `cells` cannot be used."""

    line: int
    cells: list[str]
    refused: RefusedEvent | None = None


class CsvRows:
    """Iterate over the rows of a CSV file.

    A row that is not CSV, or that is too long, is refused. Reading continues on the line after the one where that
    row started, so an unclosed quote costs one row.
    """

    def __init__(self, text: TextIO, columns: Sequence[str]) -> None:
        # The limit of the csv module is for the whole process, so only raise it. Rows have a limit of their own.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW))
        self._lines = _Lines(text)
        self.delimiter = self._detect_delimiter(columns)
        self._rows = csv.reader(self._lines, strict=True, delimiter=self.delimiter)

    def __iter__(self) -> Iterator[Row]:
        while True:
            self._lines.start_row()
            try:
                cells = next(self._rows)
            except StopIteration:
                return
            except _TooLong as error:
                message = f"{error}: an event has at most {MAX_BYTES:,} bytes. Is a quote left open?"
                yield self._refuse(RefusedEvent("too-large", message))
            except csv.Error as error:
                message = f'not CSV: {error}. Inside a quoted cell, write a quote twice ("")'
                yield self._refuse(RefusedEvent("wrong-row", message))
            else:
                if cells:
                    yield Row(self._lines.first, cells)

    def _refuse(self, refused: RefusedEvent) -> Row:
        first, start = self._lines.first, self._lines.taken[0] if self._lines.taken else ""
        self._lines.give_back()
        return Row(first, [start[:1000]], refused)

    def _detect_delimiter(self, columns: Iterable[str]) -> str:
        """Return the delimiter for which the header has the columns; if none are wanted, the one with most cells.

        By default it is a comma.

        A first line `sep=;`, as Excel reads it, is skipped.
        """
        line = self._lines.look()
        if line.lower().startswith("sep=") and len(line.strip()) == len("sep=;"):
            self._lines.skip()
            return line[4]
        wanted = set(columns)
        best, most = ",", 1
        for delimiter in DELIMITERS:
            try:
                header = next(csv.reader([line], delimiter=delimiter), [])
            except csv.Error:
                continue
            if wanted and {name.strip() for name in header}.issuperset(wanted):
                return delimiter
            if not wanted and len(header) > most:
                best, most = delimiter, len(header)
        return best


class _TooLong(csv.Error):
    """A row longer than `MAX_ROW`."""


class _Lines:
    """The lines of a text, some of which can be given back. `first` is the number of the row's first line."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._number = 0
        self._size = 0
        self.first = 1
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._text.readline(MAX_ROW)
        if not line:
            raise StopIteration
        self._number += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size >= MAX_ROW:
            if len(self.taken) == 1:
                self._drop_rest(line)
            raise _TooLong(f"the row has more than {MAX_ROW:,} characters")
        return line

    def start_row(self) -> None:
        """Begin a row with the next line."""
        self.first = self._number + 1
        self._size = 0
        self.taken.clear()

    def give_back(self) -> None:
        """Give back all lines of the row but the first."""
        rest = self.taken[1:]
        self._again.extendleft(reversed(rest))
        self._number -= len(rest)

    def look(self) -> str:
        """Return the next line without taking it."""
        if not self._again:
            self._again.append(self._text.readline(MAX_ROW))
        return self._again[0]

    def skip(self) -> None:
        """Skip the next line."""
        next(self, None)

    def _drop_rest(self, line: str) -> None:
        while line and line[-1] not in "\r\n":
            line = self._text.readline(MAX_ROW)
