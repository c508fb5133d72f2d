"""Instantly adds in bulk and counts those that it left out."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.sinks.kit import list_requests, run
from resegment.sinks.operation import Contact, Enrolled
from resegment.sinks.port import Answer, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.instantly import CAMPAIGN, InstantlyServer
from tests.vendors.samples import SAMPLES

SAMPLE = SAMPLES["instantly"]


def test_all_contacts_go_in_one_request_with_the_key() -> None:
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll", "k9"), InstantlyServer().answer)
    added = [one for one in made if one.path == "/api/v2/leads/add"]
    assert [one.path for one in made] == ["/api/v2/leads/list", "/api/v2/leads/add"]
    body = added[0].body
    assert body["campaign_id"] == CAMPAIGN
    assert "list_id" not in body  # one or the other
    assert [one["email"] for one in body["leads"]] == ["ada@acme.com", "Bo@acme.com"]
    assert body["leads"][0]["custom_variables"]["resegment_key"] == "k9"
    assert set(body["leads"][0]) <= {
        "email", "first_name", "last_name", "job_title", "phone", "website", "custom_variables"
    }  # fmt: skip


def test_a_thousand_leads_at_a_time() -> None:
    contacts = tuple(Contact(email=f"p{number}@acme.com") for number in range(1_001))
    server = InstantlyServer()
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", contacts=contacts), server.answer)
    sizes = [len(one.body["leads"]) for one in server.received if one.path.endswith("/add")]
    assert sizes == [1_000, 1]
    assert result.outcome == "applied"
    assert result.counts["leads_uploaded"] == 1_001
    assert len(server.enrolled) == 1_001


def test_a_lead_on_the_block_list_is_left_out_and_counted() -> None:
    server = InstantlyServer(blocked=frozenset({"ada@acme.com"}))
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert result.outcome == "partial"
    assert [(one.outcome, one.why) for one in result.contacts] == [
        ("skipped", "left out by Instantly: 1 on the block list"),
        ("applied", ""),
    ]
    assert result.counts["in_blocklist"] == 1


def answer_added(**counts: Any) -> Answer:
    body = {"status": "success", "total_sent": 2, "leads_uploaded": 0, "created_leads": [], **counts}
    return Answer(200, body)


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ({"skipped_count": 2}, "skipped"),
        ({"invalid_email_count": 1, "in_blocklist": 1}, "skipped"),
        ({"duplicated_leads": 2}, "already"),
        ({"duplicated_leads": 1, "in_blocklist": 1}, "skipped"),
        ({}, "skipped"),
    ],
)
def test_counts_without_created_leads_enrolled_nobody(counts: dict[str, int], outcome: str) -> None:
    server = InstantlyServer()

    def give(request: Request) -> Answer:
        return answer_added(**counts) if request.path.endswith("/add") else server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert {one.outcome for one in result.contacts} == {outcome}


def test_who_was_created_is_looked_up_if_the_answer_does_not_say() -> None:
    server = InstantlyServer(blocked=frozenset({"bo@acme.com"}))

    def give(request: Request) -> Answer:
        answer = server.answer(request)
        if request.path.endswith("/add"):
            del answer.body["created_leads"]
        return answer

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert [one.outcome for one in result.contacts] == ["applied", "skipped"]
    assert result.contacts[0].references["lead"]


def test_created_leads_may_come_by_their_place_in_the_request() -> None:
    server = InstantlyServer()

    def give(request: Request) -> Answer:
        if request.path.endswith("/add"):
            return answer_added(leads_uploaded=1, in_blocklist=1, created_leads=[{"index": 1, "id": "x"}])
        return server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert [one.outcome for one in result.contacts] == ["skipped", "applied"]
    assert result.contacts[1].references == {"lead": "x"}


def test_a_workspace_without_a_plan_is_refused_for_good() -> None:
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), InstantlyServer(paid=False).answer)
    assert result.outcome == "refused"
    assert "plan" in result.contacts[0].why


def test_a_lead_that_ran_before_is_not_run_again_and_that_is_said() -> None:
    server = InstantlyServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    for lead in server.leads.values():
        lead.update(status=3, timestamp_created="2025-06-01T00:00:00.000Z")
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", "k2"), server.answer)
    assert result.outcome == "skipped"
    assert "was in the campaign before (completed)" in result.contacts[0].why


def test_other_campaigns_may_count() -> None:
    vendor = VENDORS["instantly"]
    sink = vendor.build(vendor.options.model_validate({"skip_in_other_campaigns": True}))
    server = InstantlyServer()
    server.leads["x"] = {"id": "x", "campaign": "another", "email": "ada@acme.com", "status": 1}
    result = run(sink, SAMPLE.operation("enroll"), server.answer)
    assert [one.outcome for one in result.contacts] == ["skipped", "applied"]
    assert "another campaign" in result.contacts[0].why


def test_a_stop_never_goes_without_ids() -> None:
    """Without ids Instantly would delete every lead of the campaign."""
    server = InstantlyServer()
    server.leads["x"] = {"id": "x", "campaign": CAMPAIGN, "email": "other@example.com", "status": 1}
    ghosts = tuple(Enrolled(one, {}, "k1") for one in SAMPLE.contacts)
    result = run(SAMPLE.sink(), SAMPLE.operation("stop", enrolled=ghosts), server.answer)
    assert result.outcome == "skipped"
    assert [one.method for one in server.received] == ["POST"]
    assert set(server.leads) == {"x"}


def test_a_new_owner_is_assigned() -> None:
    server = InstantlyServer()
    first = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k1") for one in first.contacts)
    run(SAMPLE.sink(), SAMPLE.operation("reassign", enrolled=enrolled), server.answer)
    assert {one["assigned_to"] for one in server.leads.values()} == {SAMPLE.owner_ids["user"]}
    result = run(SAMPLE.sink(), SAMPLE.operation("reassign", enrolled=enrolled, owner=None), server.answer)
    assert result.outcome == "refused"
