"""Read the values of a Parquet file as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any

from resegment.errors import RefusedEvent
from resegment.sources.files.located import WrongFile


def read_table(path: str) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Return the columns of a Parquet file, and its rows. Raises WrongFile if it is not Parquet."""
    import polars as pl  # noqa: PLC0415  # heavy, and seldom needed

    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        problem = str(error).splitlines()[0]
        raise WrongFile(path, f"not Parquet: {problem}") from error
    return table.columns, table.iter_rows(named=True)


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
