"""The values that the parts of a segments file are written with: texts, durations, shares, days."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

from resegment.schemas.times import parse_duration


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


def _check_positive(text: str) -> str:
    if parse_duration(text) == 0:
        raise ValueError("a duration of zero")
    return text


Text = Annotated[StrictStr, Field(min_length=1, max_length=4000)]
Word = Annotated[StrictStr, Field(min_length=1, max_length=128)]
Duration = Annotated[
    StrictStr, AfterValidator(_check_duration), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]
PositiveDuration = Annotated[
    StrictStr, AfterValidator(_check_positive), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]


def read_share(text: str) -> float:
    """Return `10%` as 0.1. Raises ValueError."""
    number = float(text.removesuffix("%")) / 100 if text.endswith("%") else -1.0
    if not 0 < number < 1:
        raise ValueError("expected a share between 0% and 100%, like 10%")
    return number


def _check_share(text: str) -> str:
    read_share(text)
    return text


def _check_day(text: str) -> str:
    dt.date.fromisoformat(text if len(text) == len("2026-12-24") else "")
    return text


Share = Annotated[
    StrictStr,
    AfterValidator(_check_share),
    Field(json_schema_extra={"pattern": r"^[0-9]{1,2}(\.[0-9]+)?%$", "examples": ["10%"]}),
]
Day = Annotated[
    StrictStr,
    AfterValidator(_check_day),
    Field(json_schema_extra={"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-12-24"]}),
]
Domain = Annotated[StrictStr, Field(min_length=1, max_length=253)]
