"""What HubSpot and Salesforce make of refusals, persons who opted out, and pages of proxies: nothing passes for done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from resegment.sinks.hubspot.vendor import HubSpotTarget
from resegment.sinks.kit import run
from resegment.sinks.operation import Contact, Enrolled
from resegment.sinks.port import Answer, Request, SearchRefused
from tests.vendors.hubspot import HubSpotServer
from tests.vendors.salesforce import SalesforceServer
from tests.vendors.samples import SAMPLES, begin

ADA = Contact(email="ada@acme.com", first_name="Ada", title="CRO")
REFUSED = Answer(403, {"status": "error", "category": "MISSING_SCOPES", "message": "missing scopes"})


def refusing(server: Any, part: str, answer: Answer = REFUSED, method: str | None = None) -> Any:
    """Return a vendor that answers so to requests whose path or query has a part, and works otherwise."""

    def give(request: Request) -> Answer:
        place = request.path + "?" + "&".join(value for _, value in request.query)
        hit = part in place and method in {None, request.method}
        return answer if hit else server.answer(request)

    return give


@pytest.mark.parametrize("name", ["hubspot", "salesforce"])
def test_a_page_of_a_proxy_is_no_answer_of_the_vendor(name: str) -> None:
    page = "\n<!doctype html><html>Sign in to the network</html>"
    assert SAMPLES[name].sink().judge(Answer(200, page)) == "lost"
    server = SAMPLES[name].server()
    pages = iter([False, True, False, True, True])

    def give(request: Request) -> Answer:
        return Answer(200, page) if next(pages, False) else server.answer(request)

    result = run(SAMPLES[name].sink(), SAMPLES[name].operation("enroll"), give)
    assert result.outcome == "applied"
    assert set(server.enrolled.values()) == {1}


# HubSpot


def test_a_list_that_is_gone_is_not_said_to_be_applied() -> None:
    server = HubSpotServer(lists={})
    target = HubSpotTarget(list="7")
    result = run(
        SAMPLES["hubspot"].sink(), SAMPLES["hubspot"].operation("enroll", target=target), server.answer
    )
    assert result.outcome == "gone"
    assert {one.outcome for one in result.contacts} == {"gone"}
    assert "the list 7 is gone" in result.contacts[0].why


def test_a_list_that_refuses_beside_a_sequence_is_partial() -> None:
    server = HubSpotServer()
    answer = Answer(400, {"message": "List is dynamic"})
    sample = SAMPLES["hubspot"]
    result = run(sample.sink(), sample.operation("enroll"), refusing(server, "add-and-remove", answer))
    assert result.outcome == "partial"
    assert "List is dynamic" in result.text
    assert {one.outcome for one in result.contacts} == {"applied"}


def test_a_contact_that_the_list_does_not_take_is_gone() -> None:
    server = HubSpotServer()
    known = (ADA, Contact(email="bo@acme.com", ids={"hubspot": "52"}))
    operation = SAMPLES["hubspot"].operation("enroll", target=HubSpotTarget(list="7"), contacts=known)
    result = run(SAMPLES["hubspot"].sink(), operation, server.answer)
    assert result.outcome == "partial"
    assert {one.contact.key: one.outcome for one in result.contacts} == {
        "ada@acme.com": "applied",
        "bo@acme.com": "gone",
    }


def test_a_stop_asks_the_owner_if_it_cannot_be_seen_who_is_enrolled() -> None:
    server = HubSpotServer()
    operation = begin(SAMPLES["hubspot"], server, "stop")
    run(SAMPLES["hubspot"].sink(), operation, refusing(server, "/enrollments/contact/"))
    (task,) = server.tasks.values()
    assert task["hs_task_subject"].startswith("Un-enroll ")


def test_a_stop_whose_list_refuses_is_refused() -> None:
    server = HubSpotServer()
    operation = replace(begin(SAMPLES["hubspot"], server, "stop"), target=HubSpotTarget(list="7"))
    answer = Answer(400, {"message": "List is dynamic"})
    result = run(SAMPLES["hubspot"].sink(), operation, refusing(server, "add-and-remove", answer))
    assert result.outcome == "refused"
    assert "List is dynamic" in result.contacts[0].why


def test_a_stop_knows_a_contact_by_the_id_of_the_table() -> None:
    server = HubSpotServer()
    server.lists["7"] = {"51"}
    enrolled = (Enrolled(Contact(first_name="Ada", ids={"hubspot": "51"})),)
    operation = SAMPLES["hubspot"].operation("stop", enrolled=enrolled)
    assert run(SAMPLES["hubspot"].sink(), operation, server.answer).outcome == "applied"
    assert server.lists["7"] == set()


def test_a_search_that_is_refused_is_not_taken_for_no_such_contact() -> None:
    server = HubSpotServer()
    operation = SAMPLES["hubspot"].operation("enroll")
    result = run(SAMPLES["hubspot"].sink(), operation, refusing(server, "/contacts/search"))
    assert result.outcome == "refused"
    assert "missing scopes" in result.contacts[0].why
    assert not server.enrolled


def test_a_task_that_cannot_be_looked_up_is_not_made_again_blindly() -> None:
    server = HubSpotServer()
    lost = iter([True])

    def give(request: Request) -> Answer:
        if request.path.endswith(("/tasks/batch/read", "/associations/tasks", "/tasks/search")):
            return REFUSED
        answer = server.answer(request)
        return Answer(0) if request.path.endswith("/tasks") and next(lost, False) else answer

    result = run(SAMPLES["hubspot"].sink(), SAMPLES["hubspot"].operation("task"), give)
    assert len(server.tasks) == 1
    assert result.outcome == "unknown"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("hubspot", "hs_email_optout", "true"), ("salesforce", "HasOptedOutOfEmail", True)],
)
def test_a_person_who_opted_out_at_the_vendor_is_not_enrolled(name: str, field: str, value: Any) -> None:
    server = SAMPLES[name].server()
    people: Any = server
    for one in people.contacts.values():
        one[field] = value
    contacts = (ADA,)
    result = run(SAMPLES[name].sink(), SAMPLES[name].operation("enroll", contacts=contacts), server.answer)
    assert not server.enrolled
    assert [one.outcome for one in result.contacts] == ["skipped"]
    assert "opted out" in result.contacts[0].why


@pytest.mark.parametrize(("name", "part"), [("hubspot", "/contacts/search"), ("salesforce", "FROM Contact")])
def test_a_search_for_contacts_that_is_refused_is_an_error(name: str, part: str) -> None:
    server, sink = SAMPLES[name].server(), SAMPLES[name].sink()
    give = refusing(server, part)
    steps = sink.search("acme.com")  # type: ignore[attr-defined]
    call = next(steps)
    while part not in f"{call.request.path} {call.request.query}":
        given = give(call.request)
        call = steps.send(replace(given, verdict=sink.judge(given)))
    with pytest.raises(SearchRefused, match="does not show the contacts"):
        steps.send(replace(REFUSED, verdict="refused"))


# Salesforce


def test_a_stop_that_cannot_see_the_cadence_is_refused() -> None:
    server = SalesforceServer()
    operation = begin(SAMPLES["salesforce"], server, "stop")
    answer = Answer(400, [{"errorCode": "INVALID_TYPE", "message": "sObject type is not supported"}])
    result = run(SAMPLES["salesforce"].sink(), operation, refusing(server, "ActionCadenceTracker", answer))
    assert result.outcome == "refused"
    assert "not supported" in result.contacts[0].why


def test_an_enrollment_that_cannot_be_looked_up_is_refused_and_not_sent() -> None:
    server = SalesforceServer()
    answer = Answer(400, [{"errorCode": "INVALID_TYPE", "message": "sObject type is not supported"}])
    give = refusing(server, "ActionCadenceTracker", answer)
    result = run(SAMPLES["salesforce"].sink(), SAMPLES["salesforce"].operation("enroll"), give)
    assert result.outcome == "refused"
    assert not server.enrolled
