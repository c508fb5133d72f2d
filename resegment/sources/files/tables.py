"""Read events from tables: a row is an event, a column a CloudEvents attribute or a field of `data`.

A field of the data is a column `data.NAME`. A column `data` holds all data as JSON, or in Parquet as a struct. An
empty cell means that the field is absent. `specversion` may be left out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import orjson

from resegment.errors import RefusedEvent
from resegment.schemas.events import DATA
from resegment.segmentation.language.fields import field_types
from resegment.sources.files.csv_rows import CsvRows
from resegment.sources.files.encoding import WrongEncoding, open_text
from resegment.sources.files.located import Located, WrongFile
from resegment.sources.files.parquet import read_table, to_json_values

REQUIRED: Final = ("id", "source", "type", "subject", "time")
_PREFIX: Final = "data."
_SNAPSHOT: Final = "gtm.firmographic.v1"
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?", re.ASCII)
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


NO_TYPES: Final[Mapping[str, str]] = {}


def read_csv(path: str, lines: io.BufferedReader, types: Mapping[str, str] = NO_TYPES) -> Iterator[Located]:
    """Read the events of a CSV file with a header. Cells get the types of the contract.

    A list is given as JSON or separated by `;`. A field that the contract does not list is a text, unless `types` gives
    the attribute another type: `number` or `collection`.

    The cells may be separated by commas, semicolons, tabs or `|`, and the text may be in UTF-8 or UTF-16. A row that
    cannot be read is refused, and the next one is read.

    Raises WrongFile if the header lacks a column that an event needs.
    """
    header: list[str] | None = None
    try:
        rows = CsvRows(open_text(path, lines), REQUIRED)
        for row in rows:
            if row.refused is not None:
                if header is None:
                    raise WrongFile(path, row.refused.message, line=row.line, remedy="Correct the header.")
                yield Located(path, row.line, _join(row.cells), row.refused)
            elif header is None:
                header = [name.strip() for name in row.cells]
                _check_header(path, header)
            else:
                yield _csv_event(path, row.line, header, row.cells, types)
    except UnicodeDecodeError as error:
        raise WrongEncoding(path, error) from error
    if header is None:
        _check_header(path, [])


def read_parquet(path: str) -> Iterator[Located]:
    """Read the events of a Parquet file. Times may be text or timestamps (UTC if no zone is given).

    Nulls and NaN are absent, and bytes are text in UTF-8. A row with a value that JSON cannot hold is refused.

    Raises WrongFile if it is not Parquet or lacks a column that an event needs.
    """
    columns, rows = read_table(path)
    _check_header(path, columns)
    for number, row in enumerate(rows, 1):
        try:
            if isinstance(row, RefusedEvent):
                raise row
            value, refused = orjson.dumps(_nest(to_json_values(row)), option=_OPTIONS), None
        except RefusedEvent as error:
            value, refused = b"", error
        except orjson.JSONEncodeError as error:
            value, refused = b"", RefusedEvent("wrong-row", f"JSON cannot hold the row: {error}")
        yield Located(path, number, value, refused)


def _check_header(path: str, header: list[str]) -> None:
    if not all(map(_is_text, header)):
        raise WrongFile(path, "the header is not UTF-8", line=1, remedy="Save the file as UTF-8.")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise WrongFile(
            path,
            f"these columns are missing: {', '.join(missing)}",
            line=1,
            remedy=f"An event has {', '.join(REQUIRED)}, and its data in columns like data.employees. For another tool's "
            f"file, `resegment sources guess {path}` says which --source fits, and prints a mapping file for --map.",
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise WrongFile(
            path, f"two columns {', '.join(twice)}", line=1, remedy="Give each column its own name."
        )


def _csv_event(path: str, line: int, header: list[str], row: list[str], own: Mapping[str, str]) -> Located:
    if len(row) != len(header):
        refused = RefusedEvent("wrong-row", f"{len(row)} cells where the header has {len(header)}")
        return Located(path, line, _join(row), refused)
    cells = {name: cell for name, cell in zip(header, row, strict=True) if cell and name}
    types = _types(cells.get("type", ""))
    if own and cells.get("type") == _SNAPSHOT:
        types = {**own, **types}
    event = _nest(
        {
            name: _value(cell, types.get(name[len(_PREFIX) :], "text")) if name.startswith(_PREFIX) else cell
            for name, cell in cells.items()
        }
    )
    try:
        return Located(path, line, orjson.dumps(event))
    except orjson.JSONEncodeError:
        column = next((name for name, cell in cells.items() if not _is_text(cell)), None)
        refused = RefusedEvent("wrong-row", "not UTF-8: save the file as UTF-8", field=column)
        return Located(path, line, _join(row), refused)


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _join(cells: list[str]) -> bytes:
    return ",".join(cells).encode("utf-8", "replace")


@cache
def _types(event_type: str) -> Mapping[str, str]:
    kind = event_type.removeprefix("gtm.").removesuffix(".v1")
    return field_types(kind) if kind in DATA else {}


def _value(cell: str, kind: str) -> Any:
    """Return the cell as the contract's type, or as text if it does not fit, which is refused later."""
    if kind == "number" and _WHOLE.fullmatch(cell):
        return int(cell)
    if kind == "number" and _NUMBER.fullmatch(cell):
        return float(cell)
    if kind == "bool":
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
