"""Outreach: JSON:API documents, one sequence state for each prospect, and no key that makes a request idempotent."""

from __future__ import annotations

import pytest

from resegment.sinks.kit import list_requests, run
from resegment.sinks.operation import Brief, Contact, Enrolled, Owner
from resegment.sinks.port import Answer, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.outreach import OutreachServer
from tests.vendors.samples import SAMPLES

SAMPLE = SAMPLES["outreach"]


def test_each_document_has_its_type_and_integer_ids() -> None:
    server = OutreachServer()
    contacts = (*SAMPLE.contacts, Contact(email="new@acme.com", first_name="New"))
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll", contacts=contacts), server.answer)
    assert all(("Content-Type", "application/vnd.api+json") in one.headers for one in made)
    documents = [one.body["data"] for one in made if one.body is not None]
    assert {one["type"] for one in documents} == {"prospect", "sequenceState"}
    for document in documents:
        for relation in document.get("relationships", {}).values():
            assert isinstance(relation["data"]["id"], int)
            assert relation["data"]["type"] in {"prospect", "sequence", "mailbox", "user"}
    state = next(one for one in documents if one["type"] == "sequenceState")
    assert set(state["relationships"]) == {"prospect", "sequence", "mailbox"}
    assert "id" not in state


def test_a_new_prospect_gets_the_key_and_the_owner_a_known_one_the_key_only() -> None:
    server = OutreachServer()
    contacts = (SAMPLE.contacts[0], Contact(email="new@acme.com", first_name="New"))
    run(SAMPLE.sink(), SAMPLE.operation("enroll", "k9", contacts=contacts), server.answer)
    assert server.records["prospects"][7]["attributes"] == {
        "emails": ["ada@acme.com"],
        "optedOut": False,
        "custom42": "k9",
    }
    created = next(one for number, one in server.records["prospects"].items() if number > 100)
    assert created["attributes"]["custom42"] == "k9"
    assert created["relationships"]["owner"]["data"] == {"type": "user", "id": 2}


def test_somebody_who_opted_out_in_outreach_is_left_alone() -> None:
    server = OutreachServer()
    server.records["prospects"][7]["attributes"]["optedOut"] = True
    server.records["prospects"][8]["attributes"]["emailOptedOut"] = True
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert [(one.outcome, one.why) for one in result.contacts] == [
        ("skipped", "opted out in Outreach"),
        ("skipped", "opted out of e-mail in Outreach"),
    ]


def test_prospects_are_created_only_if_that_is_wanted() -> None:
    vendor = VENDORS["outreach"]
    sink = vendor.build(vendor.options.model_validate({"create_prospects": False, "mailbox": 3}))
    contacts = (Contact(email="new@acme.com"),)
    result = run(sink, SAMPLE.operation("enroll", contacts=contacts), OutreachServer().answer)
    assert (result.outcome, result.contacts[0].why) == ("skipped", "Outreach does not know the person")


def fail(status: int, detail: str) -> Answer:
    return Answer(status, {"errors": [{"id": "validationError", "title": "Validation", "detail": detail}]})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (fail(422, "Prospect is already active in this sequence."), "already"),
        (fail(409, "Conflict"), "already"),
        (fail(422, "Prospect has opted out."), "skipped"),
        (fail(422, "Sequence is not enabled."), "refused"),
        (fail(422, "Mailbox can't be blank."), "refused"),
        (fail(403, "Insufficient scope: sequenceStates.write."), "refused"),
        (fail(404, "Could not find the resource."), "gone"),
    ],
)
def test_the_answers_to_an_enrollment(answer: Answer, outcome: str) -> None:
    server = OutreachServer()

    def give(request: Request) -> Answer:
        enrolls = (request.method, request.path) == ("POST", "/api/v2/sequenceStates")
        return answer if enrolls else server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert {one.outcome for one in result.contacts} == {outcome}
    assert all(answer.body["errors"][0]["detail"] in one.why for one in result.contacts)


def test_somebody_who_finished_the_sequence_long_ago_is_put_in_again() -> None:
    server = OutreachServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    for one in server.records["sequenceStates"].values():
        one["attributes"].update(state="finished", createdAt="2025-06-01T00:00:00.000Z")
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", "k2"), server.answer)
    assert result.outcome == "applied"
    assert set(server.enrolled.values()) == {2}


def test_somebody_who_finished_since_the_change_is_not() -> None:
    server = OutreachServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    for one in server.records["sequenceStates"].values():
        one["attributes"].update(state="finished")
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert result.outcome == "skipped"
    assert set(server.enrolled.values()) == {1}


def test_a_stop_finishes_only_this_sequence() -> None:
    server = OutreachServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    other = {
        "type": "sequenceState",
        "attributes": {"state": "active"},
        "relationships": {
            "prospect": {"data": {"type": "prospect", "id": 7}},
            "sequence": {"data": {"type": "sequence", "id": 99}},
        },
    }
    server.records["sequenceStates"][1] = other
    run(SAMPLE.sink(), SAMPLE.operation("stop"), server.answer)
    states = {number: one["attributes"]["state"] for number, one in server.records["sequenceStates"].items()}
    assert states.pop(1) == "active"
    assert set(states.values()) == {"finished"}


def test_a_new_owner_gets_the_prospects() -> None:
    server = OutreachServer()
    result = run(SAMPLE.sink(), SAMPLE.operation("reassign"), server.answer)
    assert result.instead
    assert {one["relationships"]["owner"]["data"]["id"] for one in server.records["prospects"].values()} == {
        2
    }
    nobody = SAMPLE.operation("reassign", owner=Owner("eve"))
    assert run(SAMPLE.sink(), nobody, server.answer).outcome == "refused"


def test_a_task_is_about_the_account_or_somebody_enrolled() -> None:
    server = OutreachServer()
    run(SAMPLE.sink(), SAMPLE.operation("task", "k1"), server.answer)
    enrolled = (Enrolled(SAMPLE.contacts[0], {"prospect": "7"}, "k0"),)
    brief = Brief("acme.com waits", "Why: a new CRO.", "2026-02-03T10:00:00Z")
    run(SAMPLE.sink(), SAMPLE.operation("escalate", "k2", enrolled=enrolled, brief=brief), server.answer)
    first, second = server.records["tasks"].values()
    assert first["relationships"]["subject"]["data"]["type"] == "account"
    assert second["relationships"]["subject"]["data"] == {"type": "prospect", "id": 7}
    assert second["attributes"]["dueAt"] == "2026-02-03T10:00:00Z"
    assert len(server.records["accounts"]) == 1


def test_the_refresh_token_gets_an_access_token() -> None:
    secrets = {"client_id": "c", "client_secret": "s", "redirect_uri": "https://x", "refresh_token": "r"}
    request = SAMPLE.sink().sign_in(secrets)
    assert request is not None
    assert (request.method, request.path) == ("POST", "/oauth/token")
    assert dict(request.form) == {"grant_type": "refresh_token", **secrets}
    signed = SAMPLE.sink().authorize(Request("GET", "/api/v2/tasks"), {**secrets, "access_token": "a"})
    assert ("Authorization", "Bearer a") in signed.headers
    assert SAMPLE.sink().sign_in({"token": "t"}) is None
