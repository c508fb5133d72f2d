"""The contract of dead letters: the original record, with the reason for its rejection in added headers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DeadLetterHeaders(BaseModel):
    """UTF-8 headers. All other headers, the key and the value are those of the rejected record.

    A record with the header `dl_proof` is none: the HTTP intake sees with it that Kafka acknowledges. Skip it.
    With the header `dl_sealed` the value is an envelope, which has the key, the value and all other headers, `dl_field` and
    `dl_message` among them; see docs/privacy.md.
    """

    model_config = ConfigDict(frozen=True)

    dl_reason: str = Field(
        description="A slug: not-json too-large too-deep wrong-envelope unknown-kind wrong-type not-a-company "
        "absurd-time unreadable wrong-topic clock-ahead not-a-signal decision-failed decision-too-slow account-too-large damaged-step not-a-change not-a-routing-event routing-failed "
        "not-a-command undeliverable ...; more may be added"
    )
    dl_field: str = Field(description="The path of the wrong field in the event; empty if there is none")
    dl_message: str = Field(max_length=2000, description="What is wrong; for people")
    dl_topic: str = Field(description="The topic of the record")
    dl_partition: str = Field(pattern="^[0-9]+$")
    dl_offset: str = Field(pattern="^[0-9]+$")
    dl_endpoint: str | None = Field(None, description="The webhook endpoint that did not accept the command")
    dl_sealed: str | None = Field(None, description="1 where the letter is sealed")
    dl_timestamp: str = Field(description="The record's timestamp", json_schema_extra={"format": "date-time"})
