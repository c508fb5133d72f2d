"""Read the values of a Parquet file as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from resegment.errors import RefusedEvent
from resegment.sources.files.located import WrongFile

if TYPE_CHECKING:
    from polars import DataFrame


Row = dict[str, Any] | RefusedEvent
"""The cells of a row, or the reason why it has a value that Python cannot hold, such as the year 75039."""

SLICE: Final = 512
"""Rows that are converted at once."""


def read_table(path: str) -> tuple[list[str], Iterator[Row]]:
    """Return the columns of a Parquet file, and its rows. Raises WrongFile if it is not Parquet."""
    import polars as pl  # noqa: PLC0415  # heavy, and seldom needed

    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        problem = str(error).splitlines()[0]
        raise WrongFile(path, f"not Parquet: {problem}") from error
    return table.columns, _read_rows(table)


def _read_rows(table: DataFrame) -> Iterator[Row]:
    import polars as pl  # noqa: PLC0415  # as above

    unfit = (ValueError, OverflowError, pl.exceptions.PanicException)
    for start in range(0, table.height, SLICE):
        part = table.slice(start, SLICE)
        try:
            yield from part.rows(named=True)
        except unfit:
            for number in range(part.height):
                yield _read_row(part.slice(number, 1), unfit)


def _read_row(row: DataFrame, unfit: tuple[type[BaseException], ...]) -> Row:
    cells: dict[str, Any] = {}
    for name in row.columns:
        try:
            (cells[name],) = row[name].to_list()
        except unfit:
            return RefusedEvent("wrong-row", "a date or time that is out of range", field=name)
    return cells


def to_json_values(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a row that have a value: nulls and NaN are absent, and bytes are text in UTF-8.

    Raises RefusedEvent for a value that JSON cannot hold, with the column as its field.
    """
    cells: dict[str, Any] = {}
    for name, value in row.items():
        try:
            plain = _to_json(value)
        except ValueError as error:
            raise RefusedEvent("wrong-row", str(error), field=name) from None
        if plain is not None:
            cells[name] = plain
    return cells


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | date | time):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("an infinite number: leave the cell empty, or give a finite one")
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return _to_text(value)
    if isinstance(value, Decimal):
        return _to_json(float(value))
    if isinstance(value, dict):
        return {str(name): _to_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_to_json(one) for one in value]
    raise ValueError(f"a value of type {type(value).__name__}: write text, numbers, times or lists")


def _to_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("bytes that are not text in UTF-8: write the column as text") from None
