"""The one table of the console: sorted, paged, as CSV of exactly what is shown, and as JSON. Its state is in the URL."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlencode

from markupsafe import Markup

from resegment.schemas.times import format_instant

Row = TypeVar("Row")
Kind = Literal["text", "number", "instant", "length", "code", "share", "drawing", "words", "pick"]

SIZES: Final = (25, 50, 100, 500)
PHONE_SIZE: Final = 10
"""How many rows a page has on a phone, where each takes several lines."""
MOST_ROWS: Final = 100_000
"""How many rows a CSV or JSON of all pages has at most; the rest is named."""
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column: `value` gives what is sorted, and what CSV and JSON have; `link` the address that a cell leads to.

    An instant is in ms, a length is in ms, and a share is between 0 and 1. `words` are those of this project, whose instants
    are in RFC 3339; `text` is shown as it is. `pick` lets a form of the page choose the row. `sort` names what SQL sorts by, where rows
    come from a database; without it, and where `sortable` is false, nobody can sort by the column.
    """

    key: str
    title: str
    value: Callable[[Row], Any]
    kind: Kind = "text"
    link: Callable[[Row], str | None] | None = None
    note: Callable[[Row], str | None] | None = None
    """A second, quieter line of the cell. Files have it as a column of its own, whose title is `noted`."""
    noted: str = "Note"
    sortable: bool = True
    draw: Callable[[Row], Markup] | None = None
    """The picture of a cell, whose numbers CSV and JSON have."""

    @property
    def is_number(self) -> bool:
        """Whether its cells are aligned to the right."""
        return self.kind in ("number", "share", "length")


@dataclass(frozen=True, slots=True)
class TableState:
    """What the URL says about a table: by which column it is sorted, and which page is shown."""

    sort: str
    descending: bool
    page: int = 1
    size: int = SIZES[0]

    @property
    def start(self) -> int:
        """How many rows are on the pages before."""
        return (self.page - 1) * self.size


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """The rows of a page, and how many there are in all."""

    rows: Sequence[Row]
    total: int


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A table that is ready to be shown. `span` says which time its rows cover, where they have one."""

    name: str
    title: str
    columns: Sequence[Column[Row]]
    state: TableState
    rows: Sequence[Row]
    total: int
    path: str
    query: Mapping[str, str]
    span: str = ""
    note: str = ""
    empty: str = ""
    order: str = ""
    """By what rows are sorted that cannot be sorted otherwise."""

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.state.size))

    @property
    def sizes(self) -> Sequence[int]:
        """How many rows a page may have, as it is offered: no more than the first that takes all."""
        offered = sorted({*SIZES, self.state.size})
        return [one for place, one in enumerate(offered) if place == 0 or offered[place - 1] < self.total]

    @property
    def in_files(self) -> int:
        """How many rows a file of every row has."""
        return min(self.total, MOST_ROWS)

    @property
    def first(self) -> int:
        """The number of the first row that is shown."""
        return self.state.start + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of the last row that is shown."""
        return self.state.start + len(self.rows)

    def url(self, **changed: Any) -> str:
        """Return the address of the page with some parameters of the table changed; None takes one out."""
        query = dict(self.query)
        if self.state.size == PHONE_SIZE:  # another reader of the address may have a larger window
            query[f"{self.name}.size"] = str(PHONE_SIZE)
        for name, value in changed.items():
            key = name if name in ("format", "table", "rows") else f"{self.name}.{name}"
            if value is None:
                query.pop(key, None)
            else:
                query[key] = str(value)
        return f"{self.path}?{urlencode(query)}" if query else self.path

    def sort_url(self, column: Column[Row]) -> str:
        """Return the address that sorts by a column, the other way round if the table is sorted by it already."""
        descending = not self.state.descending if self.state.sort == column.key else column.is_number
        return self.url(sort=f"-{column.key}" if descending else column.key, page=None)

    def file_url(self, form: str, *, every: bool = False) -> str:
        """Return the address of the table as a file: the rows that are shown, or every row in the same order."""
        return self.url(format=form, table=self.name, rows="all" if every else None)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as plain JSON data; instants are in RFC 3339, lengths in seconds."""
        return [dict(zip(self._keys(), self._cells(row), strict=True)) for row in self.rows]

    def csv(self) -> str:
        """Return the rows as CSV, with the titles of the columns."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(
            [title for one in self.columns for title in ([one.title, one.noted] if one.note else [one.title])]
        )
        for row in self.rows:
            writer.writerow(map(_in_csv, self._cells(row)))
        return text.getvalue()

    def _keys(self) -> list[str]:
        found = []
        for one in self.columns:
            found += [one.key, one.noted.lower().replace(" ", "_")] if one.note else [one.key]
        return found

    def _cells(self, row: Row) -> list[Any]:
        found = []
        for one in self.columns:
            value = _plain(one.value(row), one.kind)
            found += [value, one.note(row)] if one.note else [value]
        return found


@dataclass(frozen=True, slots=True)
class TableRequest:
    """What a request asks of the tables of its page."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    size: int = SIZES[0]
    """How many rows a page has if the address does not say it."""

    @property
    def form(self) -> str:
        """`html`, `json` or `csv`."""
        found = self.query.get("format", "html")
        return found if found in ("json", "csv") else "html"

    def find_unknown(self, name: str, known: Sequence[str]) -> list[str]:
        """Return a sentence if the URL gives a parameter a value that is not among the known ones, or nothing."""
        value = self.query.get(name, "")
        if not value or value in known:
            return []
        return [f"The address has {name}={value[:40]}, which is left out: it can be {', '.join(known)}."]

    def state(self, name: str, columns: Sequence[Column[Any]], sort: str) -> TableState:
        """Return the state of a table; what the URL does not say, or says wrong, is as by default. `sort` is like `-size`."""
        known = {one.key for one in columns if one.sortable}
        wanted = self.query.get(f"{name}.sort", sort)
        if wanted.removeprefix("-") not in known:
            wanted = sort
        every = self.query.get("rows") == "all" and self.query.get("table") == name and self.form != "html"
        if every:
            return TableState(wanted.removeprefix("-"), wanted.startswith("-"), 1, MOST_ROWS)
        page = _read_number(self.query.get(f"{name}.page"), 1, 1, 1_000_000)
        size = _read_number(self.query.get(f"{name}.size"), self.size, 1, SIZES[-1])
        return TableState(wanted.removeprefix("-"), wanted.startswith("-"), page, size)

    def table(
        self,
        name: str,
        title: str,
        columns: Sequence[Column[Row]],
        rows: Sequence[Row],
        *,
        sort: str,
        empty: str,
        **texts: str,
    ) -> Table[Row]:
        """Return a table of rows that are all there. `empty` says what would make a row appear; `texts` are `span` and `note`."""
        state = self.state(name, columns, sort)
        column = next(one for one in columns if one.key == state.sort)
        ordered = sorted(rows, key=lambda row: sort_key(column.value(row)), reverse=state.descending)
        state = _within(state, len(rows))
        shown = ordered[state.start : state.start + state.size]
        return Table(
            name, title, columns, state, shown, len(rows), self.path, self._kept(), empty=empty, **texts
        )

    async def paged(
        self,
        name: str,
        title: str,
        columns: Sequence[Column[Row]],
        read: Callable[[TableState], Awaitable[Slice[Row]]],
        *,
        sort: str,
        empty: str,
        **texts: str,
    ) -> Table[Row]:
        """Return a table of whose rows only those of the page are read. `empty` and `texts` as in `table`."""
        state = self.state(name, columns, sort)
        found = await read(state)
        within = _within(state, found.total)
        if within != state:
            state, found = within, await read(within)
        return Table(
            name,
            title,
            columns,
            state,
            found.rows,
            found.total,
            self.path,
            self._kept(),
            empty=empty,
            **texts,
        )

    def with_query(self, **changed: str | None) -> str:
        """Return the address of the page with some parameters changed; None takes one out."""
        query = {**self._kept(), **changed}
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path

    def _kept(self) -> dict[str, str]:
        return {name: value for name, value in self.query.items() if name not in ("format", "table", "rows")}


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a key by which values of one column are ordered, whatever is missing first."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, value)
    return (2, str(value).casefold())


def _within(state: TableState, total: int) -> TableState:
    """Return the state with the last page in place of one behind it: rows may have gone since."""
    last = max(1, -(-total // state.size))
    return state if state.page <= last else TableState(state.sort, state.descending, last, state.size)


def _read_number(text: str | None, default: int, least: int, most: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 9:
        return default
    return min(most, max(least, int(text)))


def _plain(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "instant":
        return format_instant(value)
    if kind == "length":
        return value / 1000
    return value


def _in_csv(value: Any) -> Any:
    """Return a value as a cell; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_RISKY) else value
    if isinstance(value, list | tuple):
        return _in_csv(", ".join(map(str, value)))
    return "" if value is None else value
