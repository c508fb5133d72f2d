"""Why an account is in its segment, as changes tell it, and in short as commands do."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.fact import Kind

OPEN: Final = "x-open"
"""Marks a vocabulary in the contracts that may gain words. A consumer skips words that it does not know."""

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Evidence(BaseModel):
    """A fact that supports a test."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind = Field(json_schema_extra={OPEN: True})
    time: Instant
    source: str
    data: dict[str, Any] | None = Field(
        None, description="The fields that the segments file uses; texts over 1,000 characters are cut"
    )


class Holding(BaseModel):
    """A test that holds."""

    model_config = ConfigDict(frozen=True)

    test: str = Field(description="For people; the wording may change")
    facts: int | None = Field(None, description="For a test on facts: how many match")
    evidence: list[Evidence] | None = Field(None, description="The newest of these facts")
    value: Any = Field(None, description="For a test on a measure: its value")


class Reason(BaseModel):
    """Why: the tests of the new segment that hold, and the tests of the old one that stopped holding."""

    model_config = ConfigDict(frozen=True)

    holds: list[Holding]
    no_longer: list[str] | None = None


class ShortFact(BaseModel):
    """A fact behind a test, without its id and long texts."""

    model_config = ConfigDict(frozen=True)

    kind: Kind = Field(json_schema_extra={OPEN: True})
    time: Instant
    source: str
    data: dict[str, Any] | None = None


class ShortTest(BaseModel):
    """A test that put the account into its segment, with its newest facts or its value."""

    model_config = ConfigDict(frozen=True)

    test: str = Field(description="For people; the wording may change")
    facts: int | None = Field(None, description="For a test on facts: how many match")
    evidence: list[ShortFact] | None = Field(None, description="The two newest of them")
    value: Any = Field(None, description="For a test on a measure: its value")
