"""Apollo says 200 and leaves contacts out: only those that its answer lists are enrolled."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.sinks.kit import SignedOut, list_requests, run
from resegment.sinks.operation import Contact
from resegment.sinks.port import Answer, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.apollo import ApolloServer
from tests.vendors.samples import SAMPLES

SAMPLE = SAMPLES["apollo"]


def enroll(answer: Answer) -> dict[str, tuple[str, str]]:
    """Return each contact's outcome and why, if Apollo answers so to the request that adds them."""
    server = ApolloServer()

    def give(request: Request) -> Answer:
        return answer if request.path.endswith("/add_contact_ids") else server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    return {one.contact.key: (one.outcome, one.why) for one in result.contacts}


@pytest.mark.parametrize(
    "skipped",
    [
        {"skipped_contact_ids": {"c7": "contacts_active_in_other_campaigns"}},
        {"skipped_contact_ids": {"contacts_active_in_other_campaigns": ["c7"]}},
        {"skipped_contact_ids": {"reasons": [{"code": "contacts_active_in_other_campaigns", "ids": ["c7"]}]}},
        {"skipped_contacts": [{"id": "c7", "reason": "contacts_active_in_other_campaigns"}]},
    ],
)
def test_a_contact_left_out_is_skipped_with_the_reason_in_whatever_shape(skipped: dict[str, Any]) -> None:
    found = enroll(Answer(200, {"contacts": [{"id": "c8"}], **skipped}))
    assert found["ada@acme.com"] == (
        "skipped",
        "left out by Apollo: contacts_active_in_other_campaigns",
    )
    assert found["bo@acme.com"] == ("applied", "")


def test_a_contact_left_out_without_a_reason() -> None:
    found = enroll(Answer(200, {"contacts": [{"id": "c8"}], "skipped_contact_ids": ["c7"]}))
    assert found["ada@acme.com"] == ("skipped", "left out by Apollo: no reason given")


def test_a_contact_that_is_in_already_is_no_failure() -> None:
    reasons = {"c7": "contacts_already_exists_in_current_campaign"}
    found = enroll(Answer(200, {"contacts": [{"id": "c8"}], "skipped_contact_ids": reasons}))
    assert found["ada@acme.com"][0] == "already"


def test_the_contacts_may_be_wrapped() -> None:
    wrapped = {"added": [{"id": "c7"}], "skipped": [{"id": "c8", "reason": "contacts_unsubscribed"}]}
    found = enroll(Answer(200, {"contacts": wrapped}))
    assert found == {
        "ada@acme.com": ("applied", ""),
        "bo@acme.com": ("skipped", "left out by Apollo: contacts_unsubscribed"),
    }


def test_a_200_that_lists_nobody_enrolled_nobody() -> None:
    found = enroll(Answer(200, {"contacts": [], "emailer_campaign": {"id": "s54"}}))
    assert {outcome for outcome, _ in found.values()} == {"skipped"}
    assert found["ada@acme.com"][1] == "Apollo's answer does not list the contact as added"


def test_a_key_that_is_no_master_key_is_named() -> None:
    body = {"error": "This API key is not authorized to access it.", "error_code": "API_INACCESSIBLE"}
    outcome, why = enroll(Answer(403, body))["ada@acme.com"]
    assert outcome == "refused"
    assert why.startswith("Apollo wants a master API key, or another plan")
    assert "not authorized" in why


def test_a_key_that_is_not_accepted_stops_it() -> None:
    text = "Invalid API key. See https://docs.apollo.io/reference/authentication for how to authenticate."
    with pytest.raises(SignedOut):
        run(SAMPLE.sink(), SAMPLE.operation("enroll"), lambda _: Answer(401, text))


def test_the_parameters_are_in_the_query_and_both_of_one_company_are_wanted() -> None:
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll"), ApolloServer().answer)
    added = next(one for one in made if one.path.endswith("/add_contact_ids"))
    assert added.path == "/api/v1/emailer_campaigns/s54/add_contact_ids"
    assert added.body is None
    assert [value for name, value in added.query if name == "contact_ids[]"] == ["c7", "c8"]
    query = dict(added.query)
    assert query["emailer_campaign_id"] == "s54"
    assert query["send_email_from_email_account_id"] == "m3"
    assert query["sequence_same_company_in_same_campaign"] == "true"
    assert query["sequence_active_in_other_campaigns"] == "false"
    assert query["user_id"] == "u2"


def test_apollos_default_would_leave_the_second_contact_of_a_company_out() -> None:
    vendor = VENDORS["apollo"]
    sink = vendor.build(vendor.options.model_validate({"same_company": False}))
    result = run(sink, SAMPLE.operation("enroll"), ApolloServer().answer)
    assert [one.outcome for one in result.contacts] == ["applied", "skipped"]
    assert result.outcome == "partial"


def test_without_a_mailbox_nothing_is_sent() -> None:
    operation = SAMPLE.operation("enroll", owner=None)
    server = ApolloServer()
    result = run(SAMPLE.sink(), operation, server.answer)
    assert result.outcome == "refused"
    assert "`mailbox`" in result.text
    assert server.received == []


def test_somebody_who_unsubscribed_is_left_alone() -> None:
    server = ApolloServer()
    server.contacts["c7"]["email_unsubscribed"] = True
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert [(one.outcome, one.why) for one in result.contacts] == [
        ("skipped", "unsubscribed in Apollo"),
        ("applied", ""),
    ]


def test_the_key_of_the_enrollment_is_written_to_the_custom_field() -> None:
    server = ApolloServer()
    contacts = (Contact(email="ada@acme.com"), Contact(email="new@acme.com"))
    run(SAMPLE.sink(), SAMPLE.operation("enroll", "k9", contacts=contacts), server.answer)
    fields = [one["typed_custom_fields"] for one in server.contacts.values() if "typed_custom_fields" in one]
    assert fields == [{"60c39ed82bd02f01154c470a": "k9"}] * 2


def test_a_contact_is_found_by_its_exact_address_only() -> None:
    server = ApolloServer()
    server.contacts["c9"] = {"id": "c9", "email": "ada@acme.com.au", "contact_campaign_statuses": []}
    server.contacts = dict(sorted(server.contacts.items(), reverse=True))
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert ("ada@acme.com.au", "s54") not in server.enrolled


def test_a_contact_known_by_id_that_is_gone() -> None:
    contacts = (Contact(email="ada@acme.com", ids={"apollo": "c99"}),)
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", contacts=contacts), ApolloServer().answer)
    assert (result.outcome, result.contacts[0].why) == ("gone", "the contact c99 is gone")


def test_a_task_is_about_a_contact_of_the_account() -> None:
    server = ApolloServer()
    result = run(SAMPLE.sink(), SAMPLE.operation("task"), server.answer)
    assert result.outcome == "applied"
    assert server.tasks[0]["contact_id"] == "c7"
    assert server.tasks[0]["due_at"] == "2026-02-01T00:00:00Z"
    server.contacts.clear()
    result = run(SAMPLE.sink(), SAMPLE.operation("task", "k2"), server.answer)
    assert (result.outcome, result.text) == (
        "refused",
        "Apollo has no contact of the account, and its tasks need one",
    )
