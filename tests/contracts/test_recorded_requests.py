"""The requests of every operation of every sink, as they go over the wire: kept as JSON lines, to hold against contracts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from resegment.sinks.client import USER_AGENT, build_request
from resegment.sinks.kit import list_requests
from resegment.sinks.operation import NEEDS, Contact
from resegment.sinks.port import (
    Answer,
    ContactSearch,
    FieldWriter,
    RecordFields,
    Request,
    Search,
    Steps,
    Writing,
)
from resegment.sinks.registry import VENDORS
from tests.vendors.samples import SAMPLES, Sample, begin
from tests.vendors.server import VendorServer

FOLDER = Path(__file__).parents[1] / "data" / "requests"
BASES = {"salesforce": "https://example.my.salesforce.com"}
LEFT_OUT = {"accept-encoding", "connection", "content-length", "host"}
"""Headers that depend on the installed HTTP library, or say nothing about the request."""
NEW = {"contacts": (Contact(email="new@acme.com", first_name="New", last_name="Person", title="CFO"),)}
VARIANTS = {
    "apollo": [NEW],
    "outreach": [NEW],
    "salesloft": [{**NEW, "target": {"cadence": 54, "step": 9}}],
    "hubspot": [{"target": {"task": True}, "options": {"company_key": "rs_domain"}}],
    "salesforce": [
        {"target": {"task": True}, "options": {"task_key": "RS_Key__c", "account_key": "RS_Domain__c"}}
    ],
}
"""Other ways to configure a sink, beside its sample."""
FIELDS = {
    "hubspot": {"rs_segment": "new-sales-leader", "rs_owner": "ada", "rs_next": None},
    "salesforce": {"RS_Segment__c": "new-sales-leader", "RS_Owner__c": "ada", "RS_Next__c": None},
}


def record(name: str) -> list[dict[str, Any]]:
    sample, vendor = SAMPLES[name], VENDORS[name]
    secrets = {**sample.secrets, "access_token": "the-access"}
    sink = sample.sink()
    lines = []
    client = httpx.AsyncClient(
        base_url=vendor.base or BASES[name],
        headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        trust_env=False,
    )
    if (signing := sink.sign_in(sample.secrets)) is not None:
        lines.append(_line(client, name, "sign-in", signing))
    for one in (sample, *(replace(sample, **changes) for changes in VARIANTS.get(name, []))):
        for what, request in _requests(name, one):
            lines.append(_line(client, name, what, sink.authorize(request, secrets)))
    return lines


def _requests(name: str, sample: Sample) -> Iterator[tuple[str, Request]]:
    vendor = VENDORS[name]
    for kind in NEEDS:
        if vendor.can(kind):
            server = sample.server()
            operation = begin(sample, server, kind)
            for request in list_requests(sample.sink(), operation, server.answer):
                yield kind, request
    yield from _follow("test", sample.sink().check(), sample.server())
    if vendor.searches:
        search = cast("ContactSearch", sample.sink()).search("acme.com")
        yield from _follow("contacts", search, sample.server())
    if "property" in vendor.capabilities:
        writer = cast("FieldWriter", sample.sink())
        yield from _follow(
            "property", writer.write_fields([RecordFields("acme.com", FIELDS[name])]), sample.server()
        )


def _follow(
    what: str, steps: Steps | Search | Writing, server: VendorServer
) -> Iterator[tuple[str, Request]]:
    answer: Answer | None = None
    while True:
        try:
            call = next(steps) if answer is None else steps.send(answer)
        except StopIteration:
            return
        yield what, call.request
        answer = server.answer(call.request)


def _line(client: httpx.AsyncClient, name: str, what: str, request: Request) -> dict[str, Any]:
    made = build_request(client, request)
    body = made.content
    return {
        "sink": name,
        "operation": what,
        "method": made.method,
        "url": str(made.url),
        "headers": {key: value for key, value in sorted(made.headers.items()) if key not in LEFT_OUT},
        "body": None if not body else body.decode() if request.form else orjson.loads(body),
    }


@pytest.mark.parametrize("name", VENDORS)
def test_the_requests_of_a_sink_are_those_that_are_kept(name: str) -> None:
    made = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in record(name))
    kept = FOLDER / f"{name}.jsonl"
    if os.environ.get("WRITE_REQUESTS"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(made)
    assert kept.read_bytes() == made, "run: WRITE_REQUESTS=1 pytest tests/contracts/test_recorded_requests.py"


@pytest.mark.parametrize("name", VENDORS)
def test_every_operation_that_a_sink_can_carry_out_is_recorded(name: str) -> None:
    vendor = VENDORS[name]
    kept = {orjson.loads(line)["operation"] for line in (FOLDER / f"{name}.jsonl").read_bytes().splitlines()}
    needed = {kind for kind, capability in NEEDS.items() if vendor.can(kind) and capability is not None}
    assert needed | {"test"} <= kept
    assert ("property" in kept) == ("property" in vendor.capabilities)
    assert ("contacts" in kept) == vendor.searches
