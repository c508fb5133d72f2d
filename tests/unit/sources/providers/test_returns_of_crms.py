"""What one-to-one e-mails, meetings, opt-outs and stages of HubSpot and Salesforce become."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sources.adapting import convert, convert_file


def test_engagements_of_hubspot_are_outcomes_of_the_person() -> None:
    found = convert_file("hubspot", "hubspot-engagements.json", accounts={"512": "biglytics.net"})
    assert [(one.account, one.data["action"], one.data.get("person")) for one in found.facts] == [
        ("fabrikam.com", "sent", "jo@fabrikam.com"),
        ("fabrikam.com", "replied", "jo@fabrikam.com"),
        ("fabrikam.com", "auto_replied", "al@fabrikam.com"),
        ("contoso.com", "bounced", "cy@contoso.com"),
        ("biglytics.net", "meeting_booked", None),
        ("biglytics.net", "meeting_held", None),
        ("fabrikam.com", "meeting_booked", "hubspot:7"),
    ]


def test_webhooks_of_hubspot_about_contacts_and_meetings_are_outcomes() -> None:
    accounts = {"contact-7": "fabrikam.com", "75": "fabrikam.com"}
    found = convert_file("hubspot", "hubspot-engagement-webhook.json", accounts=accounts)
    assert [(one.op, one.data.get("action")) for one in found.facts] == [
        ("assert", "replied"),
        ("assert", "unsubscribed"),
        ("assert", "bounced"),
        ("assert", "meeting_booked"),
        ("retract", None),
    ]
    assert found.facts[3].record == found.facts[4].record
    assert found.facts[4].recorded > found.facts[3].recorded


def test_activities_of_salesforce_are_outcomes_of_the_person() -> None:
    found = convert_file("salesforce", "salesforce-activities.json")
    assert [(one.data["action"], one.data.get("person")) for one in found.facts] == [
        ("sent", "jo@fabrikam.com"),
        ("opened", "jo@fabrikam.com"),
        ("replied", "jo@fabrikam.com"),
        ("auto_replied", "al@fabrikam.com"),
        ("sent", "cy@contoso.com"),
        ("bounced", "cy@contoso.com"),
        ("meeting_booked", None),
        ("unsubscribed", "di@contoso.com"),
        ("bounced", "cy@contoso.com"),
        ("meeting_booked", "jo@fabrikam.com"),
    ]
    assert found.facts[-1].data["idempotency_key"] == "k1"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("hubspot", {"subscriptionType": "deal.propertyChange", "objectId": 1, "propertyName": "dealstage", "propertyValue": "contractsent", "occurredAt": 1767225600000}),
        ("salesforce", {"OpportunityId": "1", "Field": "StageName", "NewValue": "Negotiation", "CreatedDate": "2026-01-01T00:00:00Z"}),
    ],
)  # fmt: skip
def test_a_deal_in_another_open_stage_is_a_change_of_the_stage(name: str, payload: dict[str, Any]) -> None:
    found = convert(name, payload, accounts={"1": "acme.com"})
    (moved,) = (one for one in found.facts if one.op == "assert")
    assert (moved.data["action"], moved.data["deal"]) == ("stage_changed", "1")
    assert moved.data["stage"]
