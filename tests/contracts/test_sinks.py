"""Every sink keeps the rules of the port, whatever happens to its requests."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast, get_args

import pytest

from resegment.sinks.kit import Broken, CallBook, Fault, SignedOut, check, list_requests, run
from resegment.sinks.operation import NEEDS, OperationKind
from resegment.sinks.port import Answer, FieldWriter, RecordFields, RecordResult, Request
from resegment.sinks.registry import VENDORS
from tests.vendors.samples import SAMPLES, begin
from tests.vendors.server import VendorServer

KINDS: tuple[OperationKind, ...] = tuple(NEEDS)
EVERY = [(name, kind) for name in VENDORS for kind in KINDS if VENDORS[name].can(kind)]


def test_every_vendor_has_a_sample_with_a_server() -> None:
    assert set(SAMPLES) == set(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_says_how_it_is_configured(name: str) -> None:
    vendor = VENDORS[name]
    assert vendor.credentials
    assert vendor.limits
    assert vendor.target.model_json_schema()["additionalProperties"] is False
    assert set(vendor.instead) <= set(KINDS)
    assert not {kind for kind in vendor.instead if NEEDS[kind] in vendor.capabilities}


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_an_operation_is_carried_out(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    result = run(sample.sink(), begin(sample, server, kind), server.answer)
    assert result.outcome in {"applied", "skipped"}, result
    if kind in VENDORS[name].instead:
        assert result.instead or result.text


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_the_same_operation_makes_the_same_requests(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    made = []
    for _ in range(2):
        server = sample.server()
        operation = begin(sample, server, kind)
        made.append(list_requests(sample.sink(), operation, server.answer))
    assert made[0] == made[1]


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_request_holds_no_credentials(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    for request in list_requests(sample.sink(), begin(sample, server, kind), server.answer):
        assert all(secret not in repr(request) for secret in sample.secrets.values())
        signed = sample.sink().authorize(request, {**sample.secrets, "access_token": "the-access"})
        assert any(secret in repr(signed) for secret in (*sample.secrets.values(), "the-access", "Basic "))


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_carrying_out_an_operation_again_changes_nothing(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    server, calls = sample.server(), CallBook()
    operation = begin(sample, server, kind)
    run(sample.sink(), operation, server.answer, calls)
    run(sample.sink(), operation, server.answer, calls)
    assert max((server.enrolled | server.told).values(), default=1) == 1


@pytest.mark.parametrize(("name", "kind"), EVERY)
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_done_twice_or_forgotten_behind_faults(name: str, kind: OperationKind, seed: int) -> None:
    sample = SAMPLES[name]
    plain, server = sample.server(), sample.server()
    run(sample.sink(), begin(sample, plain, kind), plain.answer)
    result = run(sample.sink(), begin(sample, server, kind), server.answer, faults=_faults(seed))
    done, wanted = server.enrolled | server.told, plain.enrolled | plain.told
    assert max(done.values(), default=1) == 1, result
    if result.outcome != "unknown":
        assert done == wanted
    else:  # a person is told to look
        assert done <= wanted
        assert result.text or any(one.why for one in result.contacts)


def _faults(seed: int) -> Iterator[Fault]:
    chance = random.Random(seed)
    for _ in range(12):
        yield chance.choice([*get_args(Fault), "none", "none", "none"])


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_revoked_token_stops_it(name: str, kind: OperationKind) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    operation = begin(sample, server, kind)
    if not list_requests(sample.sink(), operation, server.answer):
        return
    server.revoked = True
    with pytest.raises(SignedOut):
        run(sample.sink(), operation, server.answer)


@pytest.mark.parametrize("name", VENDORS)
def test_the_check_changes_nothing_and_says_who_is_signed_in(name: str) -> None:
    sample = SAMPLES[name]
    server = sample.server()
    result = check(sample.sink(), server.answer)
    assert result.outcome == "applied"
    assert result.text
    server.revoked = True
    with pytest.raises(SignedOut):
        check(sample.sink(), server.answer)


ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, "", "x", "<html>", "9" * 5_000, [], {}, [1], [None], [[]], [{}], {"a": 1}),
    *({"id": None}, {"id": {}}, [{"id": {"a": []}}], [{"id": []}]),
)
"""What may stand anywhere in an answer of somebody who broke something."""


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict):
        for name in value:
            yield from _places(value[name], (*place, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _places(one, (*place, number))


def _put(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    value = copy.deepcopy(value)
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = odd
    return value


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_wrong_types_in_answers_have_a_result(name: str, kind: OperationKind) -> None:
    sample, chance = SAMPLES[name], random.Random(f"{name} {kind}")
    for _ in range(40):
        server = sample.server()
        operation = begin(sample, server, kind)
        share = chance.choice([0.3, 1.0])

        def give(request: Request, server: VendorServer = server, share: float = share) -> Answer:
            try:
                answer = server.answer(request)
            except (LookupError, ValueError, AssertionError):  # an odd id came back
                return Answer(404, {"message": "not found"})
            if chance.random() >= share:
                return answer
            body = _put(answer.body, chance.choice(list(_places(answer.body))), chance.choice(ODD))
            return Answer(chance.choice([answer.status, answer.status, 207, 400, 404, 409, 422]), body)

        with suppress(Broken, SignedOut):
            assert run(sample.sink(), operation, give, attempts=5).outcome


@pytest.mark.parametrize("name", ["hubspot", "salesforce"])
def test_wrong_types_in_answers_to_fields_have_a_result(name: str) -> None:
    sample, chance = SAMPLES[name], random.Random(name)
    field = {"hubspot": "rs_segment", "salesforce": "RS_Segment__c"}[name]
    records = [RecordFields(one, {field: "enterprise"}) for one in ("acme.com", "other.com")]
    for _ in range(200):
        server, sink = sample.server(), sample.sink()
        steps = cast("FieldWriter", sink).write_fields(records)
        answer: Answer | None = None
        results: tuple[RecordResult, ...] = ()
        for _ in range(50):
            try:
                call = next(steps) if answer is None else steps.send(answer)
            except StopIteration as done:
                results = done.value
                break
            try:
                given = server.answer(call.request)
            except (LookupError, ValueError, AssertionError):  # an odd id came back
                given = Answer(404, {"message": "not found"})
            body = _put(given.body, chance.choice(list(_places(given.body))), chance.choice(ODD))
            answer = Answer(chance.choice([200, 207, 400, 404]), body)
            answer = replace(answer, verdict=sink.judge(answer))
        assert [one.account for one in results] == ["acme.com", "other.com"]
