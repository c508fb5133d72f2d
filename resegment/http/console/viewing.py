"""What the handler of a page gets: the prefix, the user, the tables of the request, and how to respond."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from resegment import tell_release
from resegment.console.dates import reading_in
from resegment.errors import UserError
from resegment.http.access.users import User
from resegment.http.console.access import CurrentUser, current_csrf
from resegment.http.console.commands import linking_by
from resegment.http.console.navigation import NAVIGATION
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.rendering import Theme, environment
from resegment.http.console.table import PHONE_SIZE, SIZES, Table, TableRequest
from resegment.http.console.times import (
    COMMON_ZONES,
    PERIODS,
    TIMES,
    NoZone,
    begin_period,
    find_zones,
    is_period,
    pin_instant,
    read_instant,
    spell_field,
)
from resegment.http.operations.operations import Operations
from resegment.localization import Locale
from resegment.schemas.times import format_instant


class NoSuchTable(UserError):
    """The page has no table of that name."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"this page has no table {name[:40]!r}", remedy=f"It has {', '.join(names) or 'none'}."
        )
        self.name = name


class NotServed(UserError):
    """The console was started without what this page shows."""

    def __init__(self) -> None:
        super().__init__("this console does not serve that page")


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages share."""

    prefix: ConsolePrefix
    theme: Theme
    operations: Operations | None = None


@dataclass(frozen=True, slots=True)
class Viewing:
    """One request for a page."""

    request: Request
    console: Console
    user: User
    tables: TableRequest

    @property
    def prefix(self) -> ConsolePrefix:
        """The prefix that the page is about."""
        return self.console.prefix

    @property
    def operations(self) -> Operations:
        """What operators do, and what only their pages read. Raises NotServed."""
        if self.console.operations is None:
            raise NotServed
        return self.console.operations

    @property
    def base(self) -> str:
        """The path of the console."""
        found: str = self.request.scope.get("root_path", "")
        return found

    @property
    def path(self) -> str:
        """The path of the page, below the console's."""
        return self.request.url.path.removeprefix(self.base) or "/"

    @property
    def csrf(self) -> str:
        """What the forms of the page send along."""
        return current_csrf(self.request)

    @property
    def here(self) -> str:
        """The address of the page, to come back to."""
        query = self.request.url.query
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    @property
    def own_zone(self) -> str | None:
        """The time zone that the address names; None where it names none that there is."""
        named = self.tables.query.get("tz")
        return named if named in find_zones() else None

    @property
    def zone(self) -> str:
        """The time zone in which times are shown and read: that of the address, or else of the settings."""
        return self.own_zone or self.console.theme.locale.zone

    @property
    def pinned_times(self) -> dict[str, str]:
        """The times of the address as instants with their offset: they mean the same in every time zone."""
        query = self.tables.query
        return {one: pin_instant(query[one], self.zone) for one in TIMES if one in query}

    def field_of(self, name: str) -> str:
        """Return a time of the address as a field of a form takes it, in the zone of the page."""
        return spell_field(self.tables.query.get(name, ""), self.zone)

    def find_periods(self, now: int) -> list[tuple[str, str, bool]]:
        """Return the periods up to `now` (ms) that a filter proposes: in words, as an address, and whether it is chosen."""
        query = self.tables.query
        gone = dict.fromkeys(("until", *(name for name in query if name.endswith(".page"))))
        chosen = None if query.get("until") else query.get("since")
        since = read_instant(chosen, self.zone)
        return [
            (
                words,
                self.tables.with_query(**gone, since=format_instant(begin_period(now, length))),
                is_period(since, now, length),
            )
            for words, length in PERIODS.items()
        ]

    @property
    def locale(self) -> Locale:
        """How dates and money are written, with the time zone."""
        return replace(self.console.theme.locale, zone=self.zone)

    def account_url(self, account: str) -> str:
        """Return the address of an account."""
        return self.url(f"/accounts/{quote(account, safe='')}")

    def segment_url(self, segment: str | None) -> str | None:
        """Return the address of a segment; None where there is none."""
        return None if segment is None else self.url(f"/segments/{quote(segment, safe='')}")

    def tell_span(self, begin: int | None, end: int | None) -> str:
        """Say which time the changes of the index cover, and what it has not read yet; instants are in RFC 3339."""
        told = (
            "no change so far"
            if begin is None or end is None
            else f"changes from {format_instant(begin)} to {format_instant(end)}, all that Kafka and this page keep"
        )
        missing = self.prefix.progress.tell()
        return told if missing is None else f"{told}; {missing}"

    def url(self, path: str) -> str:
        """Return the address of a path of the console, which may have a query; it keeps the time zone of this page."""
        if self.own_zone is None:
            return f"{self.base}{path}"
        return f"{self.base}{path}{'&' if '?' in path else '?'}{urlencode({'tz': self.own_zone})}"

    def respond(
        self,
        template: str,
        *,
        title: str,
        tables: Sequence[Table[Any]] = (),
        data: Mapping[str, Any] | None = None,
        status: int = 200,
        unknown: Sequence[str] = (),
        **context: Any,
    ) -> Response:
        """Return the page; or with `format` in the URL its tables and its `data` as JSON, or one table as CSV.

        Templates find a table by its name in `tables`, and the rest of `context` by its own names. `unknown` says which values
        of the address are left out; those by which a table cannot be sorted come to it. Raises NoSuchTable.
        """
        named = {one.name: one for one in tables}
        unknown = [*unknown, *(line for one in tables for line in self._find_unknown_sort(one))]
        if self.tables.form == "csv":
            return self._csv(self._chosen(named))
        if self.tables.form == "json":
            return self._json(named, {**(data or {}), **({"unknown": unknown} if unknown else {})})
        html = (
            environment()
            .get_template(template)
            .render(
                view=self,
                title=title,
                tables=named,
                user=self.user,
                navigation=NAVIGATION,
                zone=self.zone,
                zones=COMMON_ZONES,
                release=tell_release(),
                unknown=unknown,
                **context,
            )
        )
        return HTMLResponse(html, status)

    def _find_unknown_sort(self, table: Table[Any]) -> list[str]:
        keys = [one.key for one in table.columns if one.sortable]
        return self.tables.find_unknown(f"{table.name}.sort", [*keys, *(f"-{key}" for key in keys)])

    def _chosen(self, named: Mapping[str, Table[Any]]) -> Table[Any]:
        name = self.tables.query.get("table", next(iter(named), ""))
        if name not in named:
            raise NoSuchTable(name, list(named))
        return named[name]

    def _csv(self, table: Table[Any]) -> Response:
        headers = {"content-disposition": f'attachment; filename="{table.name}.csv"', **_count(table)}
        return WrittenFile(table, lambda: table.csv().encode(), "text/csv; charset=utf-8", headers)

    def _json(self, named: Mapping[str, Table[Any]], data: Mapping[str, Any]) -> Response:
        if "table" in self.tables.query:
            one = self._chosen(named)
            return WrittenFile(one, lambda: _encode(_describe(one)), "application/json", _count(one))
        described = {**data, "tables": {name: _describe(one) for name, one in named.items()}}
        return Response(_encode(described), media_type="application/json")


class WrittenFile(Response):
    """A table as a file. A long one is written in a thread, so that no other request waits for it."""

    def __init__(
        self, table: Table[Any], write: Callable[[], bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        self._write: Callable[[], bytes] | None = write if len(table.rows) > SIZES[-1] else None
        self._reader = copy_context()
        super().__init__(b"" if self._write else write(), media_type=media_type, headers=dict(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the file, and send it."""
        if self._write is not None:
            loop = asyncio.get_running_loop()
            self.body = await loop.run_in_executor(None, self._reader.run, self._write)
            self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def _count(table: Table[Any]) -> dict[str, str]:
    return {"x-total-rows": str(table.total)}


def _describe(table: Table[Any]) -> dict[str, Any]:
    return {
        "title": table.title,
        "span": table.span,
        "total": table.total,
        "first": table.first,
        "last": table.last,
        "rows": table.records(),
    }


def _encode(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


async def viewing(request: Request, user: CurrentUser) -> AsyncIterator[Viewing]:
    """Give a request for a page; dates and money are as the console's readers write them."""
    console: Console = request.app.state.console
    query = dict(request.query_params)
    on_phone = "Mobi" in request.headers.get("user-agent", "")
    tables = TableRequest(request.url.path, query, PHONE_SIZE if on_phone else SIZES[0])
    view = Viewing(request, console, user, tables)
    if "tz" in query and view.own_zone is None:
        raise NoZone(query["tz"])
    with reading_in(view.locale), linking_by(view.url):
        yield view


View = Annotated[Viewing, Depends(viewing)]
