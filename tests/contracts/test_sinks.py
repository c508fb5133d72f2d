"""Every sink keeps the rules of the port, whatever happens to its requests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import get_args

import pytest

from resegment.sinks.kit import CallBook, Fault, SignedOut, check, list_requests, run
from resegment.sinks.operation import NEEDS, OperationKind
from resegment.sinks.registry import VENDORS
from tests.vendors.samples import SAMPLES, begin

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
