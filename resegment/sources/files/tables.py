"""Read events from tables: a row is an event, a column a CloudEvents attribute or a field of `data`.

A field of the data is a column `data.NAME`. A column `data` holds all data as JSON, or in Parquet as a struct. An
empty cell means that the field is absent. `specversion` may be left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, BinaryIO, Final

import orjson

from resegment.errors import RefusedEvent
from resegment.schemas.events import DATA
from resegment.segmentation.language.fields import field_types
from resegment.sources.files.located import Located, WrongFile

REQUIRED: Final = ("id", "source", "type", "subject", "time")
_PREFIX: Final = "data."
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?", re.ASCII)
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def read_csv(path: str, lines: BinaryIO) -> Iterator[Located]:
    """Read the events of a CSV file with a header. Cells get the types of the contract.

    A list is given as JSON or separated by `;`. In a field that the contract does not list, a JSON number, `true`
    and `false` are read as such.

    Raises WrongFile if the file is not CSV in UTF-8 or the header lacks a column that an event needs.
    """
    rows = csv.reader(io.TextIOWrapper(lines, encoding="utf-8-sig", newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, ())]
        _check_header(path, header)
        before = rows.line_num
        for row in rows:
            if row:
                yield _csv_event(path, before + 1, header, row)
            before = rows.line_num
    except csv.Error as error:
        raise WrongFile(path, f"not CSV: {error}", line=rows.line_num) from error
    except UnicodeDecodeError as error:
        raise WrongFile(path, "not UTF-8", line=rows.line_num + 1, remedy="Save it as UTF-8.") from error


def read_parquet(path: str) -> Iterator[Located]:
    """Read the events of a Parquet file. Times may be text or timestamps (UTC if no zone is given).

    Raises WrongFile if it is not Parquet or lacks a column that an event needs.
    """
    import polars as pl  # noqa: PLC0415  # heavy, and seldom needed

    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        problem = str(error).splitlines()[0]
        raise WrongFile(path, f"not Parquet: {problem}") from error
    _check_header(path, table.columns)
    for number, row in enumerate(table.iter_rows(named=True), 1):
        event = _nest({name: value for name, value in row.items() if value is not None})
        yield Located(path, number, orjson.dumps(event, default=_plain, option=_OPTIONS))


def _check_header(path: str, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise WrongFile(
            path,
            f"no column {', '.join(missing)}",
            line=1,
            remedy=f"An event has {', '.join(REQUIRED)}, and its data in columns like data.employees.",
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise WrongFile(
            path, f"two columns {', '.join(twice)}", line=1, remedy="Give each column its own name."
        )


def _csv_event(path: str, line: int, header: list[str], row: list[str]) -> Located:
    if len(row) != len(header):
        refused = RefusedEvent("wrong-row", f"{len(row)} cells where the header has {len(header)}")
        return Located(path, line, ",".join(row).encode(), refused)
    cells = {name: cell for name, cell in zip(header, row, strict=True) if cell and name}
    types = _types(cells.get("type", ""))
    event = _nest(
        {
            name: _value(cell, types.get(name[len(_PREFIX) :], "custom"))
            if name.startswith(_PREFIX)
            else cell
            for name, cell in cells.items()
        }
    )
    return Located(path, line, orjson.dumps(event))


@cache
def _types(event_type: str) -> Mapping[str, str]:
    kind = event_type.removeprefix("gtm.").removesuffix(".v1")
    return field_types(kind) if kind in DATA else {}


def _value(cell: str, kind: str) -> Any:
    """Return the cell as the contract's type, or as text if it does not fit, which is refused later."""
    if kind in ("number", "custom") and _WHOLE.fullmatch(cell):
        return int(cell)
    if kind in ("number", "custom") and _NUMBER.fullmatch(cell):
        return float(cell)
    if kind in ("bool", "custom"):
        return _BOOLS.get(cell, cell)
    if kind == "collection":
        return (
            _parsed(cell)
            if cell.startswith("[")
            else [part.strip() for part in cell.split(";") if part.strip()]
        )
    return cell


def _parsed(cell: str) -> Any:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of a row without its empty cells."""
    event: dict[str, Any] = {"specversion": "1.0"}
    fields: dict[str, Any] = {}
    for name, value in flat.items():
        if name.startswith(_PREFIX):
            fields[name[len(_PREFIX) :]] = value
        elif name == "data":
            event["data"] = _parsed(value) if isinstance(value, str) else value
        else:
            event[name] = value
    data = event.get("data")
    if isinstance(data, dict):
        # A struct has the fields of all rows: fields that this row lacks are null.
        whole = data if isinstance(flat["data"], str) else {k: v for k, v in data.items() if v is not None}
        event["data"] = {**whole, **fields}
    elif data is None and fields:
        event["data"] = fields
    return event


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)
