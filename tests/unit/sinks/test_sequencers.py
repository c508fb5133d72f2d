"""What every sequencer must get right, whatever its interface: who is enrolled, taken out, and left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from resegment.sinks.kit import Broken, Fault, run
from resegment.sinks.operation import Contact, Enrolled, OperationKind
from resegment.sinks.port import WITHHELD, Answer, Request, Result
from resegment.sinks.registry import VENDORS
from tests.vendors.samples import SAMPLES, Sample

SEQUENCERS = ("apollo", "instantly", "lemlist", "outreach", "salesloft", "smartlead")
every = pytest.mark.parametrize("name", SEQUENCERS)
KINDS: tuple[OperationKind, ...] = ("enroll", "stop", "pause", "reassign", "task")
PAIRS = [(name, kind) for name in SEQUENCERS for kind in KINDS if VENDORS[name].can(kind)]


def outcomes(result: Result) -> list[str]:
    return [one.outcome for one in result.contacts]


def only(*faults: Fault) -> Iterator[Fault]:
    yield from faults


@every
def test_contacts_are_enrolled_once_and_known_by_references(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    result = run(sample.sink(), sample.operation("enroll"), server.answer)
    assert outcomes(result) == ["applied", "applied"]
    assert {email for email, _ in server.enrolled} == {"ada@acme.com", "bo@acme.com"}
    assert all(one.references for one in result.contacts)
    again = run(sample.sink(), sample.operation("enroll", "k2"), server.answer)
    assert outcomes(again) == ["already", "already"]
    assert [one.references for one in again.contacts] == [
        {**one.references, **two.references} for one, two in zip(result.contacts, again.contacts, strict=True)
    ]
    assert set(server.enrolled.values()) == {1}


@every
def test_nobody_who_opted_out_or_has_no_address_is_enrolled(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    contacts = (*sample.contacts, Contact(first_name="Cy", last_name="Example"))
    operation = sample.operation("enroll", contacts=contacts, do_not_contact=frozenset({"ada@acme.com"}))
    result = run(sample.sink(), operation, server.answer)
    assert result.outcome == "partial"
    assert {one.contact.name: one.outcome for one in result.contacts} == {
        "Ada Example": "skipped",
        "Bo Example": "applied",
        "Cy Example": "skipped",
    }
    assert {email for email, _ in server.enrolled} == {"bo@acme.com"}


@every
def test_the_same_address_in_two_spellings_is_one_contact(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    contacts = (Contact(email="ada@acme.com"), Contact(email=" ADA@acme.com "))
    run(sample.sink(), sample.operation("enroll", contacts=contacts), server.answer)
    assert sum(server.enrolled.values()) == 1


@every
def test_a_person_the_vendor_does_not_know_is_created(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    contacts = (Contact(email="new@acme.com", first_name="New", last_name="Person", title="CFO"),)
    result = run(sample.sink(), sample.operation("enroll", contacts=contacts), server.answer)
    assert outcomes(result) == ["applied"]
    assert {email for email, _ in server.enrolled} == {"new@acme.com"}


@every
def test_a_sequence_that_is_gone_is_said_of_each_contact(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    for field in ("sequences", "campaigns", "cadences"):
        if hasattr(server, field):
            setattr(server, field, ())
    result = run(sample.sink(), sample.operation("enroll"), server.answer)
    assert result.outcome == "gone"
    assert outcomes(result) == ["gone", "gone"]
    assert all(one.why for one in result.contacts)


@every
@pytest.mark.parametrize("with_references", [True, False])
def test_those_who_were_enrolled_are_stopped_and_may_come_back_later(
    name: str, with_references: bool
) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    first = run(sample.sink(), sample.operation("enroll"), server.answer)
    enrolled = tuple(
        Enrolled(one.contact, one.references if with_references else {}, "k1") for one in first.contacts
    )
    stop = sample.operation("stop", "k2", enrolled=enrolled)
    assert outcomes(run(sample.sink(), stop, server.answer)) == ["applied", "applied"]
    again = run(sample.sink(), replace(stop, key="k3"), server.answer)
    assert set(outcomes(again)) <= {"already", "applied"}
    assert set(server.enrolled.values()) == {1}


@every
def test_a_stop_takes_out_persons_who_opted_out(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    first = run(sample.sink(), sample.operation("enroll"), server.answer)
    enrolled = tuple(Enrolled(one.contact, one.references, "k1") for one in first.contacts)
    blocked = frozenset({"ada@acme.com", "bo@acme.com"})
    stop = sample.operation("stop", "k2", enrolled=enrolled, do_not_contact=blocked)
    assert outcomes(run(sample.sink(), stop, server.answer)) == ["applied", "applied"]


@pytest.mark.parametrize(
    ("name", "kind"), [pair for pair in PAIRS if pair[1] in {"stop", "pause", "reassign"}]
)
def test_a_contact_that_vanished_stops_nothing_else(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    first = run(sample.sink(), sample.operation("enroll"), server.answer)
    ghost = Enrolled(Contact(email="ghost@acme.com", first_name="Ghost"), {}, "k1")
    enrolled = (ghost, *(Enrolled(one.contact, one.references, "k1") for one in first.contacts))
    result = run(sample.sink(), sample.operation(kind, "k2", enrolled=enrolled), server.answer)
    by_name = {one.contact.name: one.outcome for one in result.contacts}
    assert by_name["Ghost"] in {"gone", "already", "skipped"}
    assert by_name["Ada Example"] == by_name["Bo Example"] == "applied"


@every
def test_an_answer_that_is_lost_after_the_work_enrolls_nobody_twice(name: str) -> None:
    sample = SAMPLES[name]
    plain = sample.server()
    run(sample.sink(), sample.operation("enroll"), plain.answer)
    for place in range(len(plain.received)):
        for fault in ("lost", "kill-after", "500", "reset"):
            server = sample.server()
            faults = only(*["none"] * place, fault)  # type: ignore[list-item]
            result = run(sample.sink(), sample.operation("enroll"), server.answer, faults=faults)
            assert dict(server.enrolled) == dict(plain.enrolled), (place, fault, result)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, []),
        Answer(200, {}),
        Answer(200, {"data": None, "contacts": None, "items": "none", "created_leads": {}}),
        Answer(200, {"data": [None, 7, {"id": None}], "contacts": [7], "items": [None]}),
        Answer(204),
        Answer(302, "", {"location": "https://example.com"}),
        Answer(400, {"error": {"code": "BAD", "message": "Bad request"}}),
        Answer(402, {"error": "Payment Required"}),
        Answer(403, {"error": "forbidden", "error_code": "API_INACCESSIBLE"}),
        Answer(404, "Not found"),
        Answer(405),
        Answer(409, {"message": "Conflict"}),
        Answer(410),
        Answer(413),
        Answer(415, {"errors": [{"detail": "Expected JSON:API"}]}),
        Answer(422, {"errors": {"person_id": ["is invalid"]}}),
        Answer(422, {"errors": [{"title": "Validation", "detail": "is invalid"}]}),
    ],
    ids=lambda one: f"{one.status}-{str(one.body)[:20]}",
)
def test_any_answer_has_a_result(name: str, kind: OperationKind, answer: Answer) -> None:
    sample = SAMPLES[name]
    for writes_only in (True, False):
        try:
            result = run(sample.sink(), sample.operation(kind), _odd(sample, answer, writes_only=writes_only))
        except Broken:  # it asks again and again, for the answer says nothing of what it asked for
            assert answer.status < 300
            assert not writes_only
            continue
        assert result.outcome
        if answer.status >= 300:
            assert result.outcome != "applied" or answer.status in {404, 409, 410}, result
        if result.outcome not in {"applied", "skipped"}:
            assert result.text or all(one.why for one in result.contacts)


def _odd(sample: Sample, answer: Answer, *, writes_only: bool) -> Callable[[Request], Answer]:
    """Return a vendor that gives the same odd answer to every request, or to those that change something."""
    server = sample.server()

    def give(request: Request) -> Answer:
        reads = request.method == "GET" or request.path.endswith(("/search", "/list"))
        return server.answer(request) if reads and writes_only else answer

    return give


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("known", [True, False])
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    name: str, kind: OperationKind, known: bool
) -> None:
    sample = SAMPLES[name]
    contacts = sample.contacts if known else (Contact(email="new@acme.com"),)
    server = sample.server()
    operation = sample.operation(kind, contacts=contacts if kind == "enroll" else ())
    steps = sample.sink().carry_out(operation)
    answer: Answer | None = None
    withheld = []
    while True:
        try:
            call = next(steps) if answer is None else steps.send(answer)
        except StopIteration as done:
            result: Result = done.value
            break
        if call.kind == "look":
            answer = server.answer(call.request)
            answer = replace(answer, verdict=sample.sink().judge(answer))
        else:
            withheld.append(call.request)
            answer = WITHHELD
    assert not server.enrolled
    assert not server.told
    if kind in {"enroll", "task"}:
        assert withheld
        assert result.outcome == "applied", result


@every
def test_a_page_of_a_proxy_is_no_answer_of_the_vendor(name: str) -> None:
    sample = SAMPLES[name]
    assert sample.sink().judge(Answer(200, "\n<html>Please sign in to the network</html>")) == "lost"
    server = sample.server()
    pages = iter([True, False, True])

    def give(request: Request) -> Answer:
        return Answer(200, "<html></html>") if next(pages, False) else server.answer(request)

    result = run(sample.sink(), sample.operation("enroll"), give)
    assert result.outcome == "applied"
    assert set(server.enrolled.values()) == {1}
