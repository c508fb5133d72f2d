"""Smartlead has its key in every URL, and tells by counts who was left out."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.sinks.kit import SignedOut, list_requests, run
from resegment.sinks.operation import Contact, Enrolled
from resegment.sinks.port import Answer, Request
from tests.vendors.samples import SAMPLES
from tests.vendors.smartlead import SmartleadServer

SAMPLE = SAMPLES["smartlead"]


def test_the_key_is_added_last_and_is_in_no_request_that_is_shown() -> None:
    for request in list_requests(SAMPLE.sink(), SAMPLE.operation("enroll"), SmartleadServer().answer):
        assert "api_key" not in repr(request)
        signed = SAMPLE.sink().authorize(request, {"token": "the-key"})
        assert signed.query[-1] == ("api_key", "the-key")
        assert all("the-key" not in value for _, value in signed.headers)


def test_400_leads_at_a_time() -> None:
    contacts = tuple(Contact(email=f"p{number}@acme.com") for number in range(401))
    server = SmartleadServer()
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", contacts=contacts), server.answer)
    sizes = [len(one.body["lead_list"]) for one in server.received if one.method == "POST"]
    assert sizes == [400, 1]
    assert result.outcome == "applied"
    assert result.counts == {"inserted_count": 401}


def test_who_was_left_out_is_looked_up() -> None:
    server = SmartleadServer(blocked=frozenset({"ada@acme.com"}))
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert [(one.outcome, one.why) for one in result.contacts] == [
        ("skipped", "left out by Smartlead: 1 on the block list"),
        ("applied", ""),
    ]
    assert result.counts == {"inserted_count": 1, "blocked_count": 1}


def enroll(answer: Answer) -> dict[str, tuple[str, str]]:
    """Return each contact's outcome and why, if Smartlead answers so and then knows nobody."""

    def give(request: Request) -> Answer:
        return answer if request.method == "POST" else Answer(404, {"error": "Lead not found"})

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    return {one.contact.key: (one.outcome, one.why) for one in result.contacts}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"ok": True, "upload_count": 2, "total_leads": 2}, "applied"),
        ({"ok": True, "upload_count": 0, "unsubscribed_leads": ["ada@acme.com", "bo@acme.com"]}, "skipped"),
        ({"ok": True, "upload_count": 0, "invalid_emails": ["Ada@acme.com", "Bo@acme.com"]}, "skipped"),
        ({"ok": True, "upload_count": 0, "already_added_to_campaign": 2}, "skipped"),
        ({"ok": True, "upload_count": 0, "is_lead_limit_exhausted": True}, "refused"),
        ({"ok": False, "message": "Campaign is archived"}, "refused"),
        ({"success": False, "error": "Validation failed"}, "refused"),
    ],
)
def test_the_answers_that_smartlead_gives(body: dict[str, Any], outcome: str) -> None:
    found = enroll(Answer(200, body))
    assert {one for one, _ in found.values()} == {outcome}
    assert outcome == "applied" or all(why for _, why in found.values())


def test_reasons_by_address() -> None:
    skipped = [{"email": "ada@acme.com", "reason": "in the global block list"}]
    found = enroll(Answer(200, {"ok": True, "upload_count": 1, "skipped_leads": skipped}))
    assert found["ada@acme.com"] == ("skipped", "left out by Smartlead: in the global block list")


def test_a_conflict_means_that_they_are_in() -> None:
    found = enroll(Answer(409, {"error": {"code": "DUPLICATE", "message": "Leads exist in the campaign"}}))
    assert {outcome for outcome, _ in found.values()} == {"already"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, {"message": "Invalid API Key"}),
        Answer(400, {"message": "API key is required."}),
        Answer(403, {"error": "API key expired"}),
    ],
)
def test_a_key_that_is_not_accepted_stops_it(answer: Answer) -> None:
    with pytest.raises(SignedOut):
        run(SAMPLE.sink(), SAMPLE.operation("enroll"), lambda _: answer)


def test_the_campaigns_of_a_lead_come_with_it_or_apart() -> None:
    def give(request: Request) -> Answer:
        assert request.path == "/api/v1/leads/"
        data = [{"campaign_id": 9}, {"campaign_id": 54, "status": "ACTIVE"}]
        return Answer(200, {"id": "1011", "email": "ada@acme.com", "lead_campaign_data": data})

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert [one.outcome for one in result.contacts] == ["already", "already"]
    assert result.contacts[0].references == {"lead": "1011"}


def test_a_lead_that_ran_before_is_not_run_again_and_that_is_said() -> None:
    server = SmartleadServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    server.leads["ada@acme.com"]["campaigns"] = {54: "COMPLETED"}
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", "k2"), server.answer)
    assert [one.outcome for one in result.contacts] == ["skipped", "already"]
    assert "was in the campaign before (completed)" in result.contacts[0].why


def test_a_stop_removes_and_never_unsubscribes() -> None:
    server = SmartleadServer()
    first = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k1") for one in first.contacts)
    server.received.clear()
    run(SAMPLE.sink(), SAMPLE.operation("stop", enrolled=enrolled), server.answer)
    assert [one.method for one in server.received] == ["DELETE", "DELETE"]
    assert all(not one["campaigns"] for one in server.leads.values())
