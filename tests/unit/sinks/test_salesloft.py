"""Salesloft: people, cadence memberships by query, and tasks with an idempotency key."""

from __future__ import annotations

import pytest

from resegment.sinks.kit import list_requests, run
from resegment.sinks.operation import Brief, Contact, Enrolled
from resegment.sinks.port import Answer, Request
from tests.vendors.salesloft import SalesloftServer
from tests.vendors.samples import SAMPLES

SAMPLE = SAMPLES["salesloft"]


def test_a_membership_is_made_by_the_query_for_the_owner() -> None:
    made = list_requests(SAMPLE.sink(), SAMPLE.operation("enroll"), SalesloftServer().answer)
    added = [one for one in made if (one.method, one.path) == ("POST", "/v2/cadence_memberships")]
    assert [dict(one.query) for one in added] == [
        {"person_id": "7", "cadence_id": "54", "user_id": "2"},
        {"person_id": "8", "cadence_id": "54", "user_id": "2"},
    ]
    assert {one.body for one in added} == {None}


def test_a_known_person_gets_the_key_and_nothing_else() -> None:
    server = SalesloftServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll", "k9"), server.answer)
    assert server.people[7]["custom_fields"] == {"resegment_key": "k9"}
    assert "title" not in server.people[7]


def test_somebody_marked_do_not_contact_is_left_alone() -> None:
    server = SalesloftServer()
    server.people[7]["do_not_contact"] = True
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert [one.outcome for one in result.contacts] == ["skipped", "applied"]
    server.people[8].update(contact_restrictions=["email"])
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    assert [one.outcome for one in result.contacts] == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(422, {"errors": {"person": ["is already on this cadence"]}}), "already"),
        (Answer(422, {"errors": {"person": ["is marked as do not contact"]}}), "skipped"),
        (Answer(422, {"errors": {"cadence": ["has no steps"]}}), "refused"),
        (Answer(403, {"error": "Forbidden"}), "refused"),
        (Answer(404, {"error": "Not Found"}), "gone"),
    ],
)
def test_the_answers_to_an_enrollment(answer: Answer, outcome: str) -> None:
    server = SalesloftServer()

    def give(request: Request) -> Answer:
        enrolls = (request.method, request.path) == ("POST", "/v2/cadence_memberships")
        return answer if enrolls else server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("enroll"), give)
    assert {one.outcome for one in result.contacts} == {outcome}


def test_somebody_who_left_the_cadence_long_ago_is_put_in_again() -> None:
    server = SalesloftServer()
    run(SAMPLE.sink(), SAMPLE.operation("enroll"), server.answer)
    for one in server.memberships.values():
        one.update(currently_on_cadence=False, added_at="2025-06-01T00:00:00.000000Z")
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", "k2"), server.answer)
    assert result.outcome == "applied"
    assert set(server.enrolled.values()) == {2}


def test_a_person_known_by_id_that_is_gone() -> None:
    contacts = (Contact(email="ada@acme.com", ids={"salesloft": "99"}),)
    result = run(SAMPLE.sink(), SAMPLE.operation("enroll", contacts=contacts), SalesloftServer().answer)
    assert (result.outcome, result.contacts[0].why) == ("gone", "the person 99 is gone")


def test_a_task_has_an_idempotency_key_a_person_and_a_day() -> None:
    server = SalesloftServer()
    brief = Brief("acme.com waits", "Why: a new CRO.", "2026-02-03T10:00:00Z")
    run(SAMPLE.sink(), SAMPLE.operation("task", "k9", brief=brief), server.answer)
    (task,) = server.tasks.values()
    assert (task["idempotency_key"], task["person_id"], task["user_id"]) == ("k9", 7, 2)
    assert (task["due_date"], task["task_type"], task["subject"]) == (
        "2026-02-03",
        "general",
        "acme.com waits",
    )


def test_a_task_about_somebody_enrolled_names_them() -> None:
    server = SalesloftServer()
    enrolled = (Enrolled(SAMPLE.contacts[1], {"person": "8"}, "k1"),)
    run(SAMPLE.sink(), SAMPLE.operation("escalate", "k9", enrolled=enrolled), server.answer)
    assert [one["person_id"] for one in server.tasks.values()] == [8]


def test_a_task_that_salesloft_has_already_is_no_failure() -> None:
    server = SalesloftServer()

    def give(request: Request) -> Answer:
        if (request.method, request.path) == ("POST", "/v2/tasks"):
            return Answer(409, {"error": "A task with this idempotency key exists."})
        return server.answer(request)

    result = run(SAMPLE.sink(), SAMPLE.operation("task"), give)
    assert (result.outcome, result.text) == ("applied", "the task was there already")


def test_without_a_person_there_is_no_task() -> None:
    server = SalesloftServer(people={})
    result = run(SAMPLE.sink(), SAMPLE.operation("task"), server.answer)
    assert (result.outcome, result.text) == (
        "refused",
        "Salesloft knows no person of the account, and its tasks need one",
    )
