"""What a worker says over HTTP."""

from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from resegment.http.server import AddressTaken, Health, build, serving


async def get(path: str, health: Health) -> httpx.Response:
    registry = CollectorRegistry()
    Counter("things", "What is counted", registry=registry).inc(3)
    async with (
        serving(build(lambda: health, registry), "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        return await http.get(path)


async def test_a_worker_that_works_is_200_with_its_partitions() -> None:
    answer = await get("/healthz", Health(status="ok", partitions=[0, 3], lag=5, reachable=True))
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "partitions": [0, 3],
        "lag": 5,
        "reachable": True,
        "reason": None,
    }


@pytest.mark.parametrize("status", ["ended", "stalled"])
async def test_one_that_does_not_is_503_with_the_reason(status: str) -> None:
    answer = await get(
        "/healthz",
        Health.model_validate(
            {"status": status, "partitions": [], "lag": 9, "reachable": True, "reason": "why"}
        ),
    )
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["reason"]) == (status, "why")


@pytest.mark.parametrize(
    ("health", "ready"),
    [
        (Health(status="ok", partitions=[1], lag=5, reachable=True), 200),
        (Health(status="ok", partitions=[], lag=0, reachable=True), 503),
        (Health(status="ok", partitions=[1], lag=0, reachable=False), 503),
        (Health(status="stalled", partitions=[1], lag=5, reachable=True), 503),
    ],
)
async def test_a_worker_is_ready_that_has_joined_reaches_its_servers_and_keeps_up(
    health: Health, ready: int
) -> None:
    assert (await get("/readyz", health)).status_code == ready


async def test_a_worker_whose_servers_are_away_is_well() -> None:
    assert (
        await get("/healthz", Health(status="ok", partitions=[1], lag=0, reachable=False))
    ).status_code == 200


async def test_metrics_are_the_registry_s() -> None:
    answer = await get("/metrics", Health(status="ok", partitions=[], lag=0, reachable=True))
    assert answer.headers["content-type"].startswith("text/plain")
    assert "things_total 3.0" in answer.text


async def test_a_taken_port_is_refused_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressTaken, match=str(port)) as caught:
            async with serving(build(lambda: pytest.fail("asked"), CollectorRegistry()), "127.0.0.1", port):
                pass
    assert "--http-port" in (caught.value.remedy or "")
