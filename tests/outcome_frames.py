"""Data sets of touches and outcomes, made from rows."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.frames import OUTCOMES, TOUCHES

_GENERATOR: Final = Path(__file__).parent / "data" / "statistics" / "generate.py"


def load_generator() -> Any:
    """Return the module that makes data sets without Resegment."""
    spec = importlib.util.spec_from_file_location("generate", _GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_dataset(touches: Iterable[Mapping[str, Any]], outcomes: Iterable[Mapping[str, Any]]) -> Dataset:
    """Return the data set with the rows; instants are in ms, what a row lacks is null."""
    return Dataset(_frame(touches, TOUCHES), _frame(outcomes, OUTCOMES))


def at(milliseconds: int) -> datetime:
    """Return an instant."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> pl.DataFrame:
    held = list(rows)
    made = {}
    for name, kind in columns.items():
        values = [row.get(name) for row in held]
        if isinstance(kind, pl.Datetime):
            made[name] = pl.Series(name, values, dtype=pl.Int64).cast(kind)
        else:
            made[name] = pl.Series(name, values, dtype=kind)
    return pl.DataFrame(made)
