"""What a worker says over HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Histogram

from resegment.http.delivery import Health as DeliveryHealth
from resegment.http.delivery import health_of as delivery_health_of
from resegment.http.delivery import readiness_of as delivery_readiness_of
from resegment.http.exposition import expose
from resegment.http.hosts import AllowedHosts
from resegment.http.server import AddressTaken, Health, build, health_of, readiness_of, serving


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


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_head_is_answered_as_get_without_a_body(path: str) -> None:
    health = Health(status="stalled", partitions=[], lag=9, reachable=True, reason="why")
    async with (
        serving(build(lambda: health, CollectorRegistry()), "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        head, full = await http.head(path), await http.get(path)
        assert head.status_code == full.status_code
        assert head.content == b""
        names = ("content-length", "content-type")
        assert [head.headers.get(name) for name in names] == [full.headers.get(name) for name in names]
        assert (await http.get(path)).content == full.content, "the connection can be used again"


async def test_head_ends_what_get_would_stream() -> None:
    app = FastAPI()
    ended: list[str] = []

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def forever() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"more"
                    await asyncio.sleep(0.01)
            finally:
                ended.append("stream")

        return StreamingResponse(forever(), media_type="text/event-stream")

    async with serving(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url) as http:
        answer = await http.head("/stream")
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        async with asyncio.timeout(60):
            while not ended:
                await asyncio.sleep(0.01)


async def test_a_post_stays_what_it_is_and_head_of_its_path_is_no_post() -> None:
    app = FastAPI()

    @app.post("/act")
    async def act() -> str:
        raise AssertionError

    async with serving(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.head("/act")).status_code == 405


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
        (Health(status="ok", partitions=[1], lag=0, reachable=False, reason="servers away"), 503),
        (Health(status="stalled", partitions=[1], lag=5, reachable=True, reason="no progress"), 503),
    ],
)
async def test_a_worker_is_ready_that_has_joined_reaches_its_servers_and_keeps_up(
    health: Health, ready: int
) -> None:
    answer = await get("/readyz", health)
    assert answer.status_code == ready
    assert answer.json()["status"] == ("ready" if ready == 200 else "not-ready")
    assert bool(answer.json()["reason"]) is (ready == 503)


async def test_a_worker_whose_servers_are_away_is_well() -> None:
    assert (
        await get("/healthz", Health(status="ok", partitions=[1], lag=0, reachable=False))
    ).status_code == 200


async def test_metrics_are_the_registry_s() -> None:
    answer = await get("/metrics", Health(status="ok", partitions=[], lag=0, reachable=True))
    assert answer.headers["content-type"].startswith("text/plain")
    assert "things_total 3.0" in answer.text


@pytest.mark.parametrize(
    ("accept", "media_type", "shows_exemplars"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text", True),
        ("application/openmetrics-text; version=0.0.1", "text/plain", False),
        ('application/openmetrics-text; version="', "text/plain", False),
        ("text/plain; version=..", "text/plain", False),
        ("*/*", "text/plain", False),
        (None, "text/plain", False),
    ],
)
def test_exemplars_are_shown_to_those_that_prefer_openmetrics(
    accept: str | None, media_type: str, shows_exemplars: bool
) -> None:
    registry = CollectorRegistry()
    Histogram("delays", "Some delays", registry=registry).observe(0.3, {"partition": "3", "offset": "7"})
    answer = expose(registry, accept)
    body = bytes(answer.body).decode()
    assert answer.headers["content-type"].startswith(media_type)
    assert ('# {offset="7",partition="3"} 0.3' in body) is shows_exemplars
    assert body.endswith("# EOF\n") is shows_exemplars


async def test_a_taken_port_is_refused_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressTaken, match=str(port)) as caught:
            async with serving(build(lambda: pytest.fail("asked"), CollectorRegistry()), "127.0.0.1", port):
                pass
    assert "--http-port" in (caught.value.remedy or "")


INNER_TEXT = "redis://:hunter2@10.1.2.3:6379 does not answer: /etc/secrets/redis"


def test_a_worker_that_ended_says_with_which_error_and_none_of_its_text() -> None:
    worker = SimpleNamespace(
        failure=RuntimeError(INNER_TEXT), stalled_for=0.0, partitions=[1], lag=3, reachable=True
    )
    health = health_of(worker)  # type: ignore[arg-type]  # what it looks at
    assert health.status == "ended"
    assert "RuntimeError" in (health.reason or "")
    assert not any(word in health.model_dump_json() for word in ("hunter2", "10.1.2.3", "secrets"))


def test_a_worker_with_partitions_that_wait_is_healthy_and_not_ready_and_names_them() -> None:
    worker = SimpleNamespace(
        failure=None,
        stalled_for=0.0,
        settings=SimpleNamespace(stalled_after=120.0),
        partitions=[1, 2, 4],
        lag=3,
        reachable=True,
        differing={},
        waiting=[2, 4],
    )
    health = health_of(worker)  # type: ignore[arg-type]  # what it looks at
    assert health.status == "ok"
    assert (health.reason or "").endswith("wait for a rebuild: 2, 4")
    assert readiness_of(health).status == "not-ready"


async def test_a_worker_that_found_accounts_that_differ_from_the_log_is_not_healthy() -> None:
    worker = SimpleNamespace(
        failure=None,
        stalled_for=0.0,
        settings=SimpleNamespace(stalled_after=120.0),
        partitions=[1],
        lag=0,
        reachable=True,
        differing={"acme.com": "timer"},
        waiting=[],
    )
    health = health_of(worker)  # type: ignore[arg-type]  # what it looks at
    assert health.status == "differs"
    assert "acme.com" not in (health.reason or "")  # anybody may ask
    assert (await get("/healthz", health)).status_code == 503


def deliveries(state: str, *, reachable: bool = True, **given: object) -> DeliveryHealth:
    endpoint = {"state": state, "lag": 2, "failing_since": None, "problem": INNER_TEXT, **given}
    service = SimpleNamespace(
        consumers={"crm": SimpleNamespace(failure=None)},
        reachable=reachable,
        describe=lambda: {"crm": endpoint},
    )
    return delivery_health_of(service)  # type: ignore[arg-type]  # what it looks at


@pytest.mark.parametrize(
    ("state", "in_trouble"),
    [
        ("delivering", []),
        ("starting", []),
        ("disabled", ["crm"]),
        ("left alone", ["crm"]),
        ("probing", ["crm"]),
    ],
)
def test_delivery_names_the_endpoints_in_trouble_and_none_of_their_texts(
    state: str, in_trouble: list[str]
) -> None:
    health = deliveries(state)
    assert health.in_trouble == in_trouble
    assert "hunter2" not in health.model_dump_json()


@pytest.mark.parametrize(
    "given",
    [{"undelivered": 1}, {"failing_since": 1.0}, {"failure": INNER_TEXT}],
)
def test_an_endpoint_that_gets_none_of_its_commands_is_in_trouble_though_sending_is_not_paused(
    given: dict[str, object],
) -> None:
    health = deliveries("delivering", **given)
    assert health.in_trouble == ["crm"]
    assert "hunter2" not in health.model_dump_json()


def test_the_readiness_of_delivery_agrees_with_itself() -> None:
    assert delivery_readiness_of(deliveries("delivering")).status == "ready"
    away = delivery_readiness_of(deliveries("delivering", reachable=False))
    assert (away.status, bool(away.reason)) == ("not-ready", True)


@pytest.mark.parametrize(
    ("address", "header", "served"),
    [
        ("127.0.0.1", "127.0.0.1:8300", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST.:8300", True),
        ("::1", "[::1]:8300", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "10.0.0.7:8300", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "worker:8300", True),
        ("0.0.0.0", "worker", True),  # noqa: S104  # what a container listens on
        ("0.0.0.0", "10.0.0.7:8300", True),  # noqa: S104  # probes ask by address
        ("0.0.0.0", "[fd00::7]:8300", True),  # noqa: S104
        ("0.0.0.0", "evil.example", False),  # noqa: S104
    ],
)
def test_only_known_hosts_are_served(address: str, header: str, served: bool) -> None:
    assert (header in AllowedHosts(address, ["worker"])) is served


async def test_a_request_for_another_host_learns_nothing() -> None:
    async def build_and_ask(host: str) -> httpx.Response:
        app = build(lambda: Health(status="ok", partitions=[1], lag=0, reachable=True), CollectorRegistry())
        async with serving(app, "127.0.0.1", 0) as url, httpx.AsyncClient(base_url=url) as http:
            return await http.get("/healthz", headers={"host": host})

    assert (await build_and_ask("localhost")).status_code == 200
    refused = await build_and_ask("rebound.example")
    assert refused.status_code == 421
    assert "partitions" not in refused.text
