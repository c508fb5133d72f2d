"""`resegment up` and `resegment ingest` as people run them: processes of their own, found through the folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from resegment.cli.connection import Instance, read_instance

DEADLINE = 120.0
EXAMPLES = Path(__file__).parents[2] / "examples"
FIRST = {
    "specversion": "1.0",
    "id": "1",
    "source": "/test",
    "type": "gtm.firmographic.v1",
    "subject": "https://www.acme.com/about",
    "time": "2026-01-31T09:00:00Z",
    "data": {"status": "active", "employees": 60},
}


async def start(*arguments: str, **variables: str) -> Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
    program = (sys.executable, "-c", "from resegment.cli import main; main()")
    return await asyncio.create_subprocess_exec(
        *program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment | variables
    )


async def run(*arguments: str, given: str = "", **variables: str) -> tuple[int | None, str, str]:
    process = await start(*arguments, **variables)
    output, error = await asyncio.wait_for(process.communicate(given.encode()), DEADLINE)
    return process.returncode, output.decode(), error.decode()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():  # another process
            await asyncio.sleep(0.02)


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@asynccontextmanager
async def instance(folder: Path, *options: str) -> AsyncIterator[tuple[Process, Instance]]:
    segments = str(EXAMPLES / "quickstart.yaml")
    process = await start("up", "--segments", segments, "--folder", str(folder), "--http-port", "0", *options)
    try:
        await until(lambda: read_instance(folder) is not None or process.returncode is not None)
        found = read_instance(folder)
        if found is None:
            pytest.fail((await process.communicate())[1].decode())
        yield process, found
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def changes(folder: Path) -> list[dict[str, Any]]:
    code, output, error = await run("changes", "--json", "--folder", str(folder))
    assert code == 0, error
    return [json.loads(line) for line in output.splitlines()]


async def test_an_event_sent_from_another_shell_moves_its_account(tmp_path: Path) -> None:
    folder, began = tmp_path / "instance", time.time()
    async with instance(folder) as (process, found):
        async with httpx.AsyncClient(base_url=found.http_url or "") as http:
            health = await http.get("/healthz")
            assert (health.status_code, health.json()["status"]) == (200, "ok")
            assert health.json()["partitions"] == list(range(8))

            events = json.dumps(FIRST) + "\nno event\n"
            code, _, error = await run("ingest", "-", "--folder", str(folder), given=events)
            assert code == 0
            assert "1 event sent" in error
            assert "-:2: not-json" in error
            assert "1 of 2 events refused: not-json 1" in error

            second = FIRST | {"id": "2", "subject": "other.com"}
            events = json.dumps(second) + "\nno event\n"
            code, output, _ = await run("ingest", "-", "--json", "--folder", str(folder), given=events)
            told = json.loads(output)
            assert (code, told.pop("seconds") >= 0) == (0, True)
            assert told == {
                "sent": 1,
                "topics": {"resegment.accounts": 1},
                "refused": 1,
                "reasons": {"not-json": 1},
                "unlisted_actions": {},
                "waiting": 0,
            }

            async with asyncio.timeout(DEADLINE):
                while len(moved := await changes(folder)) < 2:
                    pass
            # the segments file is the instance's, wherever the command runs
            explained = await run("explain", "acme.com", "--json", "--folder", str(folder))
            assert (explained[0], json.loads(explained[1])["segment"]) == (0, "established")
            assert {(one["account"], one["from"], one["to"]) for one in moved} == {
                ("acme.com", None, "established"),
                ("other.com", None, "established"),
            }
            metrics = (await http.get("/metrics")).text
            assert 'resegment_segment_flow_total{origin="",target="established"} 2.0' in metrics
            await check_intake(http, folder)
            await check_boards(folder)
            await check_metrics(http, began)

        servers = children(process.pid)
        assert len(servers) == 2
        process.send_signal(signal.SIGTERM)
        output, error = (text.decode() for text in await asyncio.wait_for(process.communicate(), DEADLINE))
        assert process.returncode == 0, error
        assert "Resegment is up" in output
        assert "/healthz, /readyz, /metrics" in output
        assert "Routing none: no account is enrolled" in output
        assert "resegment routing set" in output
        assert "Finished in" in error
        assert read_instance(folder) is None
        assert not [pid for pid in servers if runs(pid)]


async def check_intake(http: httpx.AsyncClient, folder: Path) -> None:
    """Send an event over HTTP, and a webhook that can be read only once a domain is known."""
    key = (folder / "intake.key").read_text().strip()
    third = FIRST | {"id": "3", "subject": "third.com"}
    assert (await http.post("/events", json=third)).status_code == 401
    own = {"authorization": f"Bearer {key}"}
    taken = await http.post("/events", json=third, headers=own)
    assert (taken.status_code, taken.json()["accepted"]) == (202, 1)
    assert (await http.get("/openapi.json")).status_code == 200

    visit = {
        "Company Name": "Fourth",
        "Website": "https://linktr.ee/fourth",
        "Captured URL": "https://us.example",
        "Seen At": "2026-01-31T09:00:00Z",
    }
    (letter,) = (await http.post("/sources/rb2b", json=visit, headers=own)).json()["kept"]
    listed = await run("dead-letters", "list", "--json", "--folder", str(folder))
    assert [one["id"] for one in map(json.loads, listed[1].splitlines())] == [letter]
    domains = folder / "domains.json"
    domains.write_text('{"Fourth": "fourth.com"}')
    code, output, error = await run(
        "dead-letters", "retry", letter, "--domains", str(domains), "--json", "--folder", str(folder)
    )
    assert code == 0, error
    assert json.loads(output) == {"retried": 0, "bodies": 1, "events": 1, "refused": 0}
    async with asyncio.timeout(DEADLINE):
        while not {"third.com"} <= {one["account"] for one in await changes(folder)}:
            pass


async def check_metrics(http: httpx.AsyncClient, began: float) -> None:
    """Read the metrics of operations as Prometheus does: each has a value that is true here."""
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    text = ""
    async with asyncio.timeout(DEADLINE):
        while "resegment_source_silent{" not in text:  # looked at every five seconds
            text = (await http.get("/metrics", headers=accept)).text
    samples = [one for family in parse_openmetrics(text) for one in family.samples]

    def of(name: str, **labels: str) -> list[float]:
        found = [one for one in samples if one.name == name and labels.items() <= one.labels.items()]
        assert found, (name, labels)
        return [one.value for one in found]

    for stage in ("intake", "segmenter", "relay", "router"):
        assert of("resegment_stage_delay_seconds_count", stage=stage)[0] > 0
        assert 0 < of("resegment_stage_delay_seconds_sum", stage=stage)[0] < DEADLINE
    exemplars = [one.exemplar.labels for one in samples if one.exemplar is not None]
    assert exemplars
    assert all(one.keys() >= {"partition", "offset"} for one in exemplars)
    assert len(of("resegment_partition_clock_ahead_seconds")) == 8
    assert max(of("resegment_partition_clock_ahead_seconds")) < 1
    assert sum(of("resegment_state_bytes", stage="segmenter")) > 100
    assert of("resegment_cached_bytes")[0] > 100
    assert of("resegment_redis_memory_bytes")[0] > 100_000
    assert max(of("resegment_source_silent")) == 0
    assert began <= max(of("resegment_source_last_event_seconds")) <= time.time()
    assert of("resegment_partitions_owned") == of("resegment_partitions") == [8]
    assert of("resegment_workers_lost") == [0]
    assert sum(of("resegment_segment_accounts", segment="established")) >= 2
    assert sum(of("resegment_lag")) >= 0
    assert max(of("resegment_outbox_age_seconds")) < DEADLINE
    assert of("resegment_definition_version") == [1]


async def check_boards(folder: Path) -> None:
    """Look at a board twice, with what is known of it in Redis."""
    changes = []
    for day, jobs in enumerate(([1, 2], [1, 2, 3])):
        answer = folder / f"board-{day}.json"
        listed = [{"id": number, "title": "Account Executive"} for number in jobs]
        answer.write_text(
            json.dumps({"company": "acme", "fetched_at": f"2026-01-0{day + 1}T00:00:00Z", "jobs": listed})
        )
        options = ("--from", str(answer), "--account", "acme.com", "--live", "--folder", str(folder))
        code, output, error = await run("sources", "scrape", "greenhouse", *options)
        assert code == 0, error
        changes.append([json.loads(line)["data"]["job"] for line in output.splitlines()])
    assert changes == [["1", "2"], ["3"]]


async def test_accounts_outlive_a_restart_and_fresh_forgets_them(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    async with instance(folder) as (process, _):
        assert (await run("ingest", "-", "--folder", str(folder), given=json.dumps(FIRST)))[0] == 0
        async with asyncio.timeout(DEADLINE):
            while not await changes(folder):
                pass
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 0
    async with instance(folder, "--route", "changed") as (process, _):
        code, listed, error = await run("accounts", "--json", "--folder", str(folder))
        assert code == 0, error
        assert "acme.com" in listed
        process.send_signal(signal.SIGTERM)
        output, error = (text.decode() for text in await asyncio.wait_for(process.communicate(), DEADLINE))
        assert "Accounts of an earlier run: 1. Their log is there too." in output
        assert "the topic is a new one" not in error
        assert "Routing changed: " in output
    async with instance(folder, "--fresh", "--yes"):
        assert "acme.com" not in (await run("accounts", "--json", "--folder", str(folder)))[1]


async def test_a_killed_instance_leaves_no_server_behind_and_is_not_found_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    async with instance(folder) as (process, _):
        servers = children(process.pid)
        assert len(servers) == 2
        process.kill()
        await process.communicate()
        await until(lambda: not any(runs(pid) for pid in servers))
    assert read_instance(folder) is None
    code, _, error = await run("ingest", "-", "--folder", str(folder), given=json.dumps(FIRST))
    assert code == 1
    assert "no instance is running" in error
    assert "Traceback" not in error


async def test_an_embedded_server_that_dies_ends_the_instance_with_1_and_says_so(tmp_path: Path) -> None:
    async with instance(tmp_path / "instance") as (process, _):
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        _, error = await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 1
        assert "stopped unexpectedly" in error.decode()
        assert "Traceback" not in error.decode()
        assert not runs(second)


async def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    async with instance(folder) as (process, found):
        segments = str(EXAMPLES / "quickstart.yaml")
        code, _, error = await run("up", "-s", segments, "--folder", str(folder), "--http-port", "0")
        assert code == 1
        assert f"in use by process {process.pid}" in error
        assert read_instance(folder) == found


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["up", "--folder", "{folder}"], {}, "no segments file"),
        (["up", "--segments", "missing.yaml"], {}, "missing.yaml"),
        (["up", "--segments", "{quickstart}", "--prefix", "no spaces"], {}, "for the setting prefix"),
        (["up", "--segments", "{quickstart}"], {"RESEGMENT_PARTITIONS": "0"}, "the setting partitions"),
        (
            ["up", "--segments", "{quickstart}", "--fresh"],
            {"RESEGMENT_REDIS": "redis://127.0.0.1:1"},
            "--fresh deletes only the data of embedded servers",
        ),
        (["worker", "--segments", "{quickstart}"], {}, "RESEGMENT_KAFKA and RESEGMENT_REDIS must be set"),
        (["ingest"], {}, "Missing argument"),
    ],
)
async def test_a_wrong_use_is_told_plainly(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    names = {"folder": str(tmp_path / "instance"), "quickstart": str(EXAMPLES / "quickstart.yaml")}
    code, _, error = await run(*(one.format(**names) for one in arguments), **variables)
    assert code == 2, error
    assert said in " ".join(error.replace("│", " ").split())
    assert "Traceback" not in error
