"""A trace from the request that brought an event to the webhook that got its command, as an OTLP receiver sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from resegment.cli.connection import read_instance
from tests.integration.test_up import DEADLINE, EXAMPLES, FIRST, start, until
from tests.servers.receiver import Receiver, receiving

TRACE, PARENT = "a" * 32, "b" * 16


def spans_of(collector: Receiver) -> Iterator[tuple[str, Span]]:
    """Yield the spans that have arrived, each with the name of its process."""
    for one in collector.received:
        for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans:
            service = {item.key: item.value.string_value for item in resource.resource.attributes}[
                "service.name"
            ]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    yield service, span


def of_trace(collector: Receiver) -> Mapping[str, tuple[str, Span]]:
    return {
        span.span_id.hex(): (service, span)
        for service, span in spans_of(collector)
        if span.trace_id.hex() == TRACE
    }


def path_of(spans: Mapping[str, tuple[str, Span]], last: str) -> list[str]:
    """Return the names of a span and those above it, the first at the beginning."""
    names: list[str] = []
    while last in spans:
        service, span = spans[last]
        names.insert(0, f"{service}: {span.name}")
        last = span.parent_span_id.hex()
    return [*([last] if last else []), *names]


async def test_a_trace_leads_from_the_request_to_the_delivery(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    async with receiving() as collector, receiving() as crm:
        hook = {"url": f"http://127.0.0.1:{crm.port}/", "secrets": [{"env": "SECRET"}], "start": "earliest"}
        file = {"endpoints": {"crm": hook}, "allow_networks": ["127.0.0.0/8"]}
        (tmp_path / "webhooks.yaml").write_text(json.dumps(file))
        process = await start(
            *("up", "--segments", str(EXAMPLES / "quickstart.yaml"), "--folder", str(folder)),
            *("--http-port", "0", "--route", "all"),
            RESEGMENT_WEBHOOKS=str(tmp_path / "webhooks.yaml"),
            SECRET="whsec_" + "c2VjcmV0" * 5,
            RESEGMENT_TRACING=f"http://127.0.0.1:{collector.port}",
            RESEGMENT_TRACING_SAMPLE="0",
        )
        try:
            await until(lambda: read_instance(folder) is not None or process.returncode is not None)
            found = read_instance(folder)
            assert found is not None, (await process.communicate())[1].decode()
            key = {"authorization": f"Bearer {(folder / 'intake.key').read_text().strip()}"}
            async with httpx.AsyncClient(base_url=found.http_url or "", headers=key) as http:
                traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
                silent = FIRST | {"id": "2", "subject": "silent.com"}
                assert (await http.post("/events", json=silent)).status_code == 202
                await crm.until(lambda: len(crm.taken) == 1)  # exemplars are those of the latest records
                assert (await http.post("/events", json=FIRST, headers=traced)).status_code == 202
                await crm.until(lambda: len(crm.taken) == 2)
                accept = {"accept": "application/openmetrics-text; version=1.0.0"}
                exemplars = (await http.get("/metrics", headers=accept)).text
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 0
    carried = {one.account: one.headers.get("traceparent") for one in crm.taken}
    assert carried["silent.com"] is None
    trace, last = (carried["acme.com"] or "").split("-")[1:3]
    assert trace == TRACE
    assert path_of(of_trace(collector), last) == [
        PARENT,
        "resegment-intake: take events",
        "resegment-worker: intake",
        "resegment-worker: segmenter",
        "resegment-worker: router",
        "resegment-deliver: deliver to crm",
    ]
    batches = {span.name: span for _, span in spans_of(collector) if span.name.endswith(" batch")}
    assert {"intake batch", "segmenter batch", "router batch"} <= batches.keys()
    assert all([link.trace_id.hex() for link in one.links] == [TRACE] for one in batches.values())
    assert f'trace_id="{TRACE}"' in exemplars
