"""What each type of event of each sequencer means, and what none of them means."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.sources.adapters.port import Context
from resegment.sources.providers.sequencers.instantly import EVENTS as INSTANTLY
from resegment.sources.providers.sequencers.lemlist import ACTIVITIES as LEMLIST
from resegment.sources.providers.sequencers.smartlead import EVENTS as SMARTLEAD
from resegment.sources.registry import find_adapter
from tests.unit.sources.adapting import convert, convert_file
from tests.unit.sources.test_adapter_contract import fixtures

AT = "2026-02-02T10:00:00Z"


def instantly(event: str, **more: Any) -> dict[str, Any]:
    return {"event_type": event, "timestamp": AT, "campaign_id": "c1", "lead_email": "jo@acme.com", **more}


def smartlead(event: str, **more: Any) -> dict[str, Any]:
    return {
        "event_type": event,
        "event_timestamp": AT,
        "campaign_id": 1,
        "sl_lead_email": "jo@acme.com",
        **more,
    }


def lemlist(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "_id": "act_1",
        "type": kind,
        "createdAt": AT,
        "campaignId": "cam_1",
        "leadEmail": "jo@acme.com",
        **more,
    }


@pytest.mark.parametrize(("event", "action"), INSTANTLY.items())
def test_every_event_of_instantly_has_its_action(event: str, action: str) -> None:
    fact = convert("instantly", instantly(event)).only()
    assert (fact.account, fact.data["action"], fact.data["person"], fact.data["sequence"]) == (
        "acme.com",
        action,
        "jo@acme.com",
        "c1",
    )


@pytest.mark.parametrize(("event", "action"), SMARTLEAD.items())
def test_every_event_of_smartlead_has_its_action(event: str, action: str) -> None:
    assert convert("smartlead", smartlead(event.upper())).only().data["action"] == action


@pytest.mark.parametrize(("kind", "action"), LEMLIST.items())
def test_every_activity_of_lemlist_has_its_action(kind: str, action: str) -> None:
    assert convert("lemlist", lemlist(kind)).only().data["action"] == action


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        *(("instantly", instantly(one)) for one in ("lead_neutral", "lead_not_interested", "lead_wrong_person", "campaign_completed", "account_error")),
        *(("smartlead", smartlead(one)) for one in ("UNTRACKED_REPLIES", "CAMPAIGN_STATUS_CHANGED", "MANUAL_STEP_REACHED", "EMAIL_ACCOUNT_DISCONNECTED")),
        *(("lemlist", lemlist(one)) for one in ("notInterested", "emailsFailed", "linkedinVisitDone", "paused", "smsDelivered", "inboxLabelUpdated")),
        ("smartlead", smartlead("LEAD_CATEGORY_UPDATED", lead_category={"new_name": "Not Interested"})),
        ("apollo", {"id": "m", "status": "scheduled", "to_email": "jo@acme.com", "emailer_campaign_id": "c"}),
        ("outreach", {"data": {"type": "mailing", "id": 1, "attributes": {"state": "scheduled"}}, "meta": {"eventName": "mailing.created"}}),
        ("salesloft", {"event_type": "cadence_membership_updated", "data": {"id": 1, "current_state": "active"}}),
    ],
)  # fmt: skip
def test_what_is_no_outcome_is_refused_as_ignored(name: str, payload: dict[str, Any]) -> None:
    found = convert(name, payload)
    assert found.facts == []
    assert {reason for reason, _ in found.refused} == {"ignored"}


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("instantly", instantly("Some label of ours")),
        ("smartlead", smartlead("EMAIL_TELEPORTED")),
        ("lemlist", lemlist("emailsTeleported")),
        (
            "outreach",
            {
                "data": {"type": "spaceship", "id": 1, "attributes": {}},
                "meta": {"eventName": "spaceship.landed"},
            },
        ),
        ("salesloft", {"event_type": "spaceship_landed", "data": {"id": 1}}),
        ("apollo", {"event_type": "spaceship_landed", "email": "jo@acme.com"}),
    ],
)
def test_a_type_that_is_not_known_is_refused_and_never_guessed(name: str, payload: dict[str, Any]) -> None:
    assert [reason for reason, _ in convert(name, payload).refused] == ["unknown-type"]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("instantly", instantly("auto_reply_received")),
        ("instantly", instantly("lead_out_of_office")),
        ("instantly", instantly("reply_received", reply_subject="Automatic reply: Hello")),
        ("instantly", instantly("reply_received", reply_subject="OOO until Monday")),
        ("instantly", instantly("reply_received", is_auto_reply=True)),
        ("smartlead", smartlead("EMAIL_REPLY", subject="Automatische Antwort: Hallo")),
        ("smartlead", smartlead("EMAIL_REPLY", reply_message={"headers": {"Auto-Submitted": "auto-replied"}})),
        ("smartlead", smartlead("LEAD_CATEGORY_UPDATED", lead_category={"new_name": "Out Of Office"})),
        ("lemlist", lemlist("emailsReplied", subject="自動返信: Hello")),
        ("apollo", {"id": "m", "to_email": "jo@acme.com", "emailer_campaign_id": "c", "replied": True, "reply_class": "out_of_office", "replied_at": AT}),
        ("apollo", {"event_type": "email_replied", "reply_class": "out_of_office", "email": "jo@acme.com", "timestamp": AT}),
        ("outreach", {"data": {"type": "sequenceState", "id": 1, "attributes": {"pauseReason": "Prospect is OOTO", "stateChangedAt": AT}, "relationships": {"prospect": {"data": {"type": "prospect", "id": 7}}}}}),
    ],
)  # fmt: skip
def test_an_answer_of_a_machine_is_no_reply(name: str, payload: dict[str, Any]) -> None:
    found = convert(name, payload, accounts={"prospect-7": "acme.com"})
    assert [fact.data["action"] for fact in found.facts] == ["auto_replied"]


@pytest.mark.parametrize(
    "subject", ["Re: Hello", "Re: Out of office plans", "Auto parts", "Outside our office", "Lead time"]
)
def test_a_reply_of_a_person_is_a_reply_whatever_it_is_about(subject: str) -> None:
    assert convert("instantly", instantly("reply_received", reply_subject=subject)).only().data["action"] == "replied"  # fmt: skip


def test_the_account_is_the_company_where_the_mailbox_is_private() -> None:
    private = {"lead_email": "Jo@gmail.com", "companyName": "Acme"}
    assert convert("instantly", instantly("reply_received", **private, website="https://www.acme.com/x")).only().account == "acme.com"  # fmt: skip
    waiting = convert("instantly", instantly("reply_received", **private))
    assert waiting.refused[0][0] == "not-a-company"


def test_a_private_mailbox_waits_by_the_name_of_the_company() -> None:
    payload = instantly("reply_received", lead_email="jo@gmail.com", companyName="Acme Inc")
    events = [
        one
        for one in find_adapter("instantly").convert(payload, Context(unresolved=True))
        if isinstance(one, dict)
    ]
    assert [one["subject"] for one in events] == ["name:Acme Inc"]
    mailing = {"data": {"type": "mailing", "id": 1, "attributes": {"repliedAt": AT}, "relationships": {"prospect": {"data": {"id": 7}}}}, "meta": {"eventName": "mailing.replied"}}  # fmt: skip
    (event,) = (
        one
        for one in find_adapter("outreach").convert(mailing, Context(unresolved=True))
        if isinstance(one, dict)
    )
    assert (event["subject"], event["data"]["person"]) == ("outreach:prospect-7", "outreach:prospect-7")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("instantly", instantly("reply_received", resegment_key="k1")),
        ("instantly", instantly("reply_received", custom_variables={"resegment_key": "k1"})),
        ("smartlead", smartlead("EMAIL_REPLY", lead_data={"custom_fields": {"resegment_key": "k1"}})),
        ("smartlead", {"event": "EMAIL_REPLIED", "timestamp": AT, "campaign_id": 1, "lead": {"email": "jo@acme.com", "custom_fields": {"resegment_key": "k1"}}}),
        ("lemlist", lemlist("emailsReplied", variables={"resegment_key": "k1"})),
        ("apollo", {"event_type": "email_replied", "email": "jo@acme.com", "timestamp": AT, "resegment_key": "k1"}),
    ],
)  # fmt: skip
def test_the_key_of_the_enrollment_comes_back(name: str, payload: dict[str, Any]) -> None:
    assert convert(name, payload).only().data["idempotency_key"] == "k1"


@pytest.mark.parametrize("name", ["instantly", "smartlead", "lemlist", "outreach", "salesloft", "apollo"])
def test_a_webhook_that_is_sent_again_is_the_same_event(name: str) -> None:
    for file in fixtures(name):
        first, again = convert_file(name, file), convert_file(name, file)
        assert [one.id for one in first.facts] == [one.id for one in again.facts]


def test_the_first_mail_of_a_sequence_is_one_fact_however_it_is_told() -> None:
    found = convert_file("smartlead", "smartlead-webhooks.jsonl")
    sent = [one for one in found.facts if one.data.get("action") == "sent"]
    assert len(sent) == 2
    assert len({(one.record, one.id) for one in sent}) == 1


def test_a_lead_that_gets_another_label_withdraws_its_positive_reply() -> None:
    def label(old: str | None, new: str, at: str) -> dict[str, Any]:
        return smartlead(
            "LEAD_CATEGORY_UPDATED", event_timestamp=at, lead_category={"old_name": old, "new_name": new}
        )

    given = convert("smartlead", label(None, "Interested", "2026-02-01T00:00:00Z")).only()
    taken = convert("smartlead", label("Interested", "Wrong Person", "2026-02-02T00:00:00Z")).only()
    assert (given.op, taken.op, given.record) == ("assert", "retract", taken.record)
    assert taken.recorded > given.recorded
    further = convert("smartlead", label("Interested", "Meeting Booked", "2026-02-03T00:00:00Z")).only()
    assert (further.op, further.data["action"]) == ("assert", "meeting_booked")


def test_a_canceled_meeting_of_salesloft_is_withdrawn() -> None:
    found = convert_file("salesloft", "salesloft-webhooks.jsonl")
    booked, canceled = (one for one in found.facts if one.record == "meeting:11")
    assert (booked.op, canceled.op) == ("assert", "retract")
    assert canceled.recorded > booked.recorded


def test_prospects_and_accounts_of_outreach_tell_the_domains_of_ids() -> None:
    found = convert_file("outreach", "outreach-webhooks.jsonl")
    assert {one.account for one in found.facts} == {"example.com"}
    assert [one.data["action"] for one in found.facts] == [
        "sent", "opened", "replied", "clicked", "unsubscribed", "positive_reply", "auto_replied", "opportunity_created", "won",
    ]  # fmt: skip
    assert ("no-account", "prospect_email") in found.refused


def test_a_deal_of_outreach_that_is_open_again_withdraws_its_close() -> None:
    def move(stage: str, at: str) -> dict[str, Any]:
        return {
            "data": {
                "type": "opportunity",
                "id": 31,
                "attributes": {"name": "x", "createdAt": "2026-01-01T00:00:00Z"},
                "beforeUpdate": {"stage": "before"},
                "relationships": {
                    "account": {"data": {"type": "account", "id": 9}},
                    "opportunityStage": {"data": {"type": "opportunityStage", "id": 4}},
                },
            },
            "included": [
                {"type": "opportunityStage", "id": 4, "attributes": {"name": stage}},
                {"type": "account", "id": 9, "attributes": {"domain": "acme.com"}},
            ],
            "meta": {"eventName": "opportunity.updated", "deliveredAt": at},
        }

    lost = convert("outreach", move("Closed Lost", "2026-02-01T00:00:00Z")).only()
    moved, opened = convert("outreach", move("Negotiation", "2026-02-02T00:00:00Z")).facts
    assert (lost.data["action"], lost.data["opened_at"]) == ("lost", "2026-01-01T00:00:00Z")
    assert (moved.data["action"], moved.data["stage"]) == ("stage_changed", "Negotiation")
    assert (opened.op, opened.record) == ("retract", lost.record)
    assert opened.recorded > lost.recorded


def test_a_reply_of_apollo_is_read_by_its_class() -> None:
    found = convert_file("apollo", "apollo-messages.json")
    assert [(one.data["person"], one.data["action"]) for one in found.facts] == [
        ("jo@northwind.example.com", "sent"), ("jo@northwind.example.com", "replied"), ("jo@northwind.example.com", "positive_reply"),
        ("al@fabrikam.com", "sent"), ("al@fabrikam.com", "auto_replied"), ("cy@contoso.com", "sent"), ("cy@contoso.com", "bounced"),
        ("di@contoso.com", "sent"), ("di@contoso.com", "replied"), ("di@contoso.com", "unsubscribed"),
    ]  # fmt: skip
