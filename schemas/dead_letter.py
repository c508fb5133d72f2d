"""The contract of dead letters: the original record as it was, and what was wrong with it in headers of their own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LetterHeaders(BaseModel):
    """Each is UTF-8 text. The other headers, the key and the value are those of the record that was refused."""

    model_config = ConfigDict(frozen=True)

    dl_reason: str = Field(
        description="A slug: not-json too-large too-deep wrong-envelope unknown-kind wrong-type not-a-company "
        "absurd-time decision-failed not-a-change not-a-routing-event not-a-command undeliverable ...; more may come"
    )
    dl_field: str = Field(description="The path inside the event that is wrong; empty where there is none")
    dl_message: str = Field(max_length=2000, description="What is wrong, for people")
    dl_topic: str = Field(description="Where the record came from")
    dl_partition: str = Field(pattern="^[0-9]+$")
    dl_offset: str = Field(pattern="^[0-9]+$")
    dl_endpoint: str | None = Field(
        None, description="The webhook endpoint, of a command that it did not take"
    )
    dl_timestamp: str = Field(description="The record's", json_schema_extra={"format": "date-time"})
