"""Read the rows of the directory: what each says, checked, with its place for errors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from resegment.errors import UserError

Row = Mapping[str, Any]

SNAPSHOT_DAY: Final = "2021-12-02"

FIELDS: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "website": (str, type(None)),
    "industry": (str,),
    "subindustry": (str, type(None)),
    "team_size": (int, type(None)),
    "stage": (str, type(None)),
    "status": (str,),
    "isHiring": (bool,),
    "batch": (str, type(None)),
    "top_company": (bool, type(None)),
}
MAY_BE_ABSENT: Final = frozenset({"stage"})


class MalformedRow(UserError):
    """A row that does not have the directory's fields. `file` is snapshot or changes, `row` counts from 1."""

    def __init__(self, file: str, row: int, field: str, problem: str) -> None:
        super().__init__(
            f"{file}, row {row}, {field}: {problem}",
            remedy="Correct the row or leave it out; examples/yc/README.md describes the fields.",
        )
        self.file = file
        self.row = row
        self.field = field


class Observation(NamedTuple):
    """What one row says of one company. `row` counts from 1; `since` is the day of the observation before."""

    row: int
    company: int
    since: str | None
    fields: Row | None
    """The fields of the company in this row; None if it left the directory."""
    whole: bool


def dated(changes: Iterable[Row]) -> Iterator[tuple[str, int, Row]]:
    """Yield each change with its day and row number. Raises MalformedRow, also if the days go backward."""
    latest = SNAPSHOT_DAY
    for number, row in enumerate(changes, 1):
        day = _day(number, row, "observed_on")
        if day < latest:
            raise MalformedRow(
                "changes", number, "observed_on", f"{day} is earlier than {latest}, seen before"
            )
        latest = day
        yield day, number, row


def _day(number: int, row: Row, field: str) -> str:
    value = row.get(field)
    try:
        return date.fromisoformat(value or "").isoformat()
    except (TypeError, ValueError) as error:
        raise MalformedRow("changes", number, field, f"{value!r} is not a date like 2022-04-02") from error


def observation(number: int, row: Row) -> Observation:
    """Read a change. Raises MalformedRow."""
    since = _day(number, row, "since")
    kind = row.get("kind")
    if kind == "appeared":
        after = row.get("after")
        if not isinstance(after, Mapping):
            raise MalformedRow("changes", number, "after", "expected the company as it appeared")
        return whole_company("changes", number, after, since)
    if kind == "disappeared":
        return Observation(number, _id("changes", number, row), since, None, whole=False)
    if kind != "changed":
        raise MalformedRow("changes", number, "kind", f"{kind!r} is none of appeared, changed, disappeared")
    changed = row.get("changes")
    if not isinstance(changed, Mapping):
        raise MalformedRow("changes", number, "changes", "expected {field: [old, new]}")
    fields: dict[str, Any] = {}
    for field, pair in changed.items():
        if not (isinstance(pair, list) and len(pair) == 2):
            raise MalformedRow("changes", number, f"changes.{field}", "expected [old, new]")
        if field in FIELDS:
            fields[field] = _checked("changes", number, field, pair[1])
    return Observation(number, _id("changes", number, row), since, fields, whole=False)


def whole_company(file: str, number: int, row: Row, since: str | None) -> Observation:
    """Read a row that holds all fields of a company. Raises MalformedRow."""
    fields = {
        field: _checked(file, number, field, row.get(field))
        for field in FIELDS
        if field in row or field not in MAY_BE_ABSENT
    }
    return Observation(number, _id(file, number, row), since, fields, whole=True)


def _id(file: str, number: int, row: Row) -> int:
    value = row.get("id")
    if type(value) is not int:
        raise MalformedRow(file, number, "id", f"{value!r} is not a whole number")
    return value


def _checked(file: str, number: int, field: str, value: Any) -> Any:
    expected = FIELDS[field]
    if type(value) not in expected:
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in expected)
        raise MalformedRow(file, number, field, f"expected {names}, not {value!r}")
    if type(value) is int and value < 0:
        raise MalformedRow(file, number, field, f"{value} is less than 0")
    return value


def lines_of(file: str, path: Path) -> Iterator[Row]:
    """Yield the JSON objects of a compressed file. Raises MalformedRow."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise MalformedRow(file, number, "line", f"not JSON ({error})") from error
            if not isinstance(row, dict):
                raise MalformedRow(file, number, "line", "expected a JSON object")
            yield row
