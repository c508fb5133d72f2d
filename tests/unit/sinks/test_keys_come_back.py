"""What a sink sends with a person comes back with what the person does: the adapter finds the key of the enrollment."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.sinks.kit import list_requests
from tests.unit.sources.adapting import convert
from tests.vendors.samples import SAMPLES

KEY = "0123456789abcdef0123456789abcdef"
AT = "2026-02-02T10:00:00Z"


def sent(name: str, ending: str) -> dict[str, Any]:
    """Return the body of the request that sends the person."""
    sample = SAMPLES[name]
    made = list_requests(sample.sink(), sample.operation("enroll", KEY), sample.server().answer)
    body = next(one.body for one in made if one.body and one.path.endswith(ending))
    assert isinstance(body, dict)
    return body


def instantly() -> dict[str, Any]:
    lead = sent("instantly", "/leads/add")["leads"][0]
    event = {
        "event_type": "reply_received",
        "timestamp": AT,
        "campaign_id": "c1",
        "lead_email": lead["email"],
    }
    return {**event, **lead["custom_variables"]}  # Instantly puts the variables beside the event's own keys


def smartlead() -> dict[str, Any]:
    lead = sent("smartlead", "/leads")["lead_list"][0]
    event = {
        "event_type": "EMAIL_REPLY",
        "event_timestamp": AT,
        "campaign_id": 1,
        "sl_lead_email": lead["email"],
    }
    return {**event, "lead_data": {"email": lead["email"], "custom_fields": lead["custom_fields"]}}


def lemlist(*, nested: bool) -> dict[str, Any]:
    lead = sent("lemlist", "/leads/")
    event = {
        "_id": "act_1",
        "type": "emailsReplied",
        "createdAt": AT,
        "campaignId": "cam_1",
        "leadEmail": lead["email"],
    }
    variables = {name: one for name, one in lead.items() if name != "email"}
    return {**event, "lead": {"variables": variables}} if nested else {**event, **variables}


def salesloft() -> dict[str, Any]:
    fields = sent("salesloft", "/people/7")["custom_fields"]
    person = {"id": 7, "email_address": "ada@acme.com", "updated_at": AT, "do_not_contact": True}
    return {"event_type": "person_updated", "data": {**person, "custom_fields": fields}}


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("instantly", instantly()),
        ("smartlead", smartlead()),
        ("lemlist", lemlist(nested=False)),
        ("lemlist", lemlist(nested=True)),
        ("salesloft", salesloft()),
    ],
)
def test_the_key_that_a_sink_sent_comes_back(source: str, event: dict[str, Any]) -> None:
    fact = convert(source, event).only()
    assert fact.account == "acme.com"
    assert fact.data["person"] == "ada@acme.com"
    assert fact.data["idempotency_key"] == KEY
