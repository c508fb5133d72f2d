"""Sinks on real servers: from a signal to a task in HubSpot, and a process that is killed at any time."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.times import format_instant
from resegment.settings import Settings
from resegment.sinks.loading import load_sinks
from resegment.state.sinks.people import PeopleStore
from resegment.state.sinks.states import SinkStates
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import read_dead_letters
from resegment.streams.sending.service import SendingService, group_of, sending
from resegment.streams.tables.writer import TabledPrefix, TablesWriter
from resegment.streams.worker.loops.worker_clock import host_clock
from resegment.streams.worker.worker import Worker
from resegment.tables.postgres import Postgres
from tests.builders import definition_of, raw_event
from tests.integration.conftest import Stack
from tests.servers.postgres import running_postgres
from tests.vendors.http import ServedVendor, chance_faults, serving
from tests.vendors.hubspot import HubSpotServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 4
PATIENCE = 120.0
TOKEN = {"HUBSPOT_TOKEN": "the-token"}

FILE: dict[str, Any] = {
    "version": 1,
    "segments": [
        {
            "name": "new-sales-leader",
            "when": {"event": "leadership", "where": {"change": "joined", "role": "cro"}, "within": "90d"},
            "play": "first-90-days",
            "route": {"workflow": "exec-first-90", "team": "sales"},
        }
    ],
    "fallback": {"name": "not-ready", "play": "first-90-days"},
    "plays": {
        "first-90-days": {
            "message": {
                "pain": "Needs quick wins",
                "value_prop": "Visibility at once",
                "proof_points": ["In weeks"],
            },
            "channels": {"primary": "email"},
            "personas": [{"name": "buyer", "titles": ["CRO", "VP Sales"]}],
        }
    },
    "teams": {"sales": {"members": ["ada"]}},
    "suppression": ["customers"],
}
CONTACTS = """account,email,first_name,last_name,title,opted_out
www.acme.com,dan@acme.com,Dan,Example,Software Engineer,
acme.com,eve@acme.com,Eve,Example,VP of Sales,yes
"""


def sinks_of(url: str, **given: Any) -> dict[str, Any]:
    """The file of sinks: one HubSpot."""
    quick = {
        "first_wait": "20ms",
        "longest_wait": "200ms",
        "pause": "100ms",
        "timeout": "1s",
        "settle": "50ms",
    }
    return {
        "contacts": [{"people": True}, {"table": "contacts.csv"}],
        "owners": {"ada": {"email": "ada@example.com"}},
        "sinks": {
            "crm": {
                "vendor": "hubspot",
                "url": url,
                "credentials": {"token": {"env": "HUBSPOT_TOKEN"}},
                "workflows": {"exec-first-90": {"sequence": "44", "list": "7", "task": True}},
                "owners": {"ada": {"user": "161977243", "owner": "77"}},
                "limits": [{"requests": 100_000, "per": "1s"}],
                "start": "earliest",
                **quick,
                **given,
            }
        },
    }


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.05)


def settings_of(stack: Stack) -> Settings:
    given: dict[str, Any] = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    return Settings(prefix=f"sinks{uuid.uuid4().hex[:8]}", partitions=PARTITIONS, route="all", **given)


@asynccontextmanager
async def sent(
    stack: Stack, settings: Settings, folder: Path, file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SendingService]:
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    (folder / "sinks.yaml").write_text(json.dumps(file))
    loaded = load_sinks(folder / "sinks.yaml", os.environ)
    async with sending(settings, loaded, bootstrap=stack.bootstrap, redis_url=stack.redis_url) as service:
        yield service


async def test_a_new_sales_leader_becomes_a_task_in_hubspot_and_a_row_in_the_warehouse(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # acme.com is a company in HubSpot, and a table says who works there. Eve has opted out.
    client = Redis.from_url(stack.redis_url)
    hubspot = HubSpotServer()
    hubspot.contacts.clear()
    (tmp_path / "contacts.csv").write_text(CONTACTS)
    settings = settings_of(stack)
    names = {"segment": "rs_segment", "play": "rs_play", "owner": "hubspot_owner_id", "why": "rs_why"}
    worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    async with (
        serving(hubspot) as served,
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher,
        worker.running(),
        sent(stack, settings, tmp_path, sinks_of(served.url, fields=names, timeout="30s"), monkeypatch),
        tabled(stack, worker.topics) as warehouse,
    ):
        topics = worker.topics

        # The CRM says that there are Cleo, the CRO, and Eve.
        cleo = {"email": "cleo@acme.com", "person": "Cleo Example", "title": "Chief Revenue Officer"}
        eve = {"email": "eve@acme.com", "person": "Eve Example", "title": "VP of Sales"}
        events = [_event(one["email"], "people", one) for one in (cleo, eve)]
        await publisher.publish([Message(topics.people.name, None, one) for one in events])
        people = PeopleStore(client, settings.prefix)

        async def are_known() -> bool:
            return len(await people.read("acme.com")) == 2

        await until(are_known)

        # A new CRO joins acme.com.
        joined = {"change": "joined", "role": "cro", "person": "Cleo Example"}
        event = _event("e-1", "leadership", joined)
        await publisher.publish([Message(topics.leadership.name, None, event)])

        # The owner, Ada, has a task with the why and the message of the play.
        await until(lambda: len(hubspot.tasks) == 1)
        (task,) = hubspot.tasks.values()
        assert task["hs_task_subject"] == "acme.com entered new-sales-leader: start exec-first-90"
        assert task["hubspot_owner_id"] == "77"
        assert "Why: " in task["hs_task_body"]
        assert "leadership" in task["hs_task_body"]
        assert "Say: Visibility at once" in task["hs_task_body"]
        assert hubspot.links["901"] == [*hubspot.tasks], "it stands at the company"

        # Cleo is the buyer whom the play addresses: she is in the sequence and on the list, and nobody else.
        await until(lambda: bool(hubspot.lists["7"]) and bool(hubspot.enrolled))
        assert hubspot.enrolled == {("cleo@acme.com", "44"): 1}
        assert [hubspot.contacts[one]["email"] for one in hubspot.lists["7"]] == ["cleo@acme.com"]

        # The company's record says in which segment it is, and whose it is.
        company = hubspot.companies["901"]
        await until(lambda: company.get("rs_segment") == "new-sales-leader" and "hubspot_owner_id" in company)
        assert (company["rs_play"], company["hubspot_owner_id"]) == ("first-90-days", "77")
        assert "leadership" in company["rs_why"]
        writes = len(hubspot.writes)

        # The warehouse has the stay, the touch and the command.
        segment = "SELECT account, segment, play, workflow FROM account_segment_current"
        await until(
            lambda: warehouse.holds(
                segment, ("acme.com", "new-sales-leader", "first-90-days", "exec-first-90")
            )
        )
        touch = "SELECT account, segment, owner, arm FROM fct_touch WHERE NOT is_void"
        await until(lambda: warehouse.holds(touch, ("acme.com", "new-sales-leader", "ada", "enrolled")))
        await until(
            lambda: warehouse.holds("SELECT action, workflow FROM command", ("enroll", "exec-first-90"))
        )

        # acme.com becomes a customer: it leaves the workflow. HubSpot can't un-enroll, so Ada is asked to do it.
        await publisher.publish(
            [Message(topics.accounts.name, None, _event("e-2", "firmographic", {"customer": True}))]
        )
        await until(lambda: len(hubspot.tasks) == 2)
        assert "Un-enroll Cleo Example of acme.com from the sequence 44" in {
            one["hs_task_subject"] for one in hubspot.tasks.values()
        }
        await until(lambda: hubspot.lists["7"] == set())

        # Only what changed is written: the account has no owner any more, and is still in its segment.
        await until(lambda: company["hubspot_owner_id"] == "")
        assert hubspot.writes[writes:] == [("901", {"hubspot_owner_id": ""})]
        stopped = ("stop", "exec-first-90")
        await until(
            lambda: warehouse.holds("SELECT action, workflow FROM command WHERE action = 'stop'", stopped)
        )
        assert worker.failure is None
    await client.aclose()


class Warehouse:
    """PostgreSQL, as its own readers see it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def holds(self, query: str, row: tuple[Any, ...]) -> bool:
        with psycopg.connect(self.url, options="-c search_path=resegment") as connection:
            return row in connection.execute(query.encode()).fetchall()


@asynccontextmanager
async def tabled(stack: Stack, topics: Topics) -> AsyncIterator[Warehouse]:
    """Keep tables of a prefix in a PostgreSQL of their own."""
    with running_postgres() as server:
        store = Postgres(server.url)
        store.migrate()
        stop = asyncio.Event()
        writer = TablesWriter(
            store, TabledPrefix(topics, PARTITIONS, stack.bootstrap, {}), timedelta(days=90)
        )
        running = asyncio.create_task(writer.run(stop))
        try:
            yield Warehouse(server.url)
        finally:
            stop.set()
            await running
            store.close()


def _event(identity: str, kind: str, data: dict[str, Any]) -> bytes:
    now = format_instant(host_clock())
    return raw_event(id=identity, type=f"gtm.{kind}.v1", subject="acme.com", time=now, data=data)


# Killed


def command(topics: Topics, number: int, account: str, action: str, sequence: int) -> Message:
    data = {
        "action": action,
        "account": account,
        "workflow": "exec-first-90",
        "owner": "ada",
        "segment": "new-sales-leader",
        "play": "first-90-days",
        "idempotency_key": f"{account}-{action}",
        "cause": {"change": "c", "sequence_number": sequence, "effective_at": "2026-02-01T00:00:00Z"},
    }
    event = {"id": f"{account}-{action}", "type": "gtm.workflow-command.v1", "subject": account, "data": data}
    return Message(topics.workflow_commands.name, account.encode(), orjson.dumps(event))


async def deliver(stack: Stack, settings: Settings, file: Path, log: Path) -> Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from resegment.cli import main; main()"),
            *("deliver", "--sinks", str(file), "--http-port", "0", "--prefix", settings.prefix),
            *("--kafka", stack.bootstrap, "--redis", stack.redis_url),
            stdout=output,
            stderr=output,
            env=environment | TOKEN,
        )


async def kill_and_compare(stack: Stack, folder: Path, seed: int, number: int, kills: int) -> None:
    draw = random.Random(seed)
    accounts = [f"company{one}.com" for one in range(number)]
    rows = [f"{one},ann@{one},Ann,Example,CRO," for one in accounts]
    (folder / "contacts.csv").write_text("\n".join([CONTACTS.splitlines()[0], *rows]))
    settings, log = settings_of(stack), folder / "deliver.log"
    topics = Topics(settings.prefix)
    create_topics(
        stack.bootstrap,
        [topics.workflow_commands, topics.segment_changes, topics.dead_letters],
        partitions=PARTITIONS,
    )
    steps = (("enroll", 1), ("escalate", 1), ("stop", 2))
    hubspot = HubSpotServer()
    async with (
        serving(hubspot, chance_faults(seed)) as served,
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher,
    ):
        file = folder / "sinks.yaml"
        file.write_text(json.dumps(sinks_of(served.url, concurrency=16, open_after=1000)))
        await publisher.publish(
            [
                command(topics, 0, account, action, sequence)
                for action, sequence in steps
                for account in accounts
            ]
        )
        for _ in range(kills):
            process = await deliver(stack, settings, file, log)
            more = len(served.paths) + draw.randrange(5, 8 * number)
            await until(lambda: len(served.paths) >= more or process.returncode is not None)  # noqa: B023
            assert process.returncode is None, log.read_text()[-3000:]
            process.kill()
            await process.wait()
        process = await deliver(stack, settings, file, log)
        client = Redis.from_url(stack.redis_url)
        try:
            states = SinkStates(client, settings.prefix)
            await until(lambda: _is_done(states, process))
            await until(lambda: _are_committed(stack, settings, topics, len(steps) * number))
        finally:
            await client.aclose()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0, log.read_text()[-3000:]
    letters = await read_dead_letters(stack.bootstrap, topics.dead_letters.name)
    assert not letters, [one.about["message"] for one in letters.values()]
    _check_vendor(hubspot, served, accounts)
    assert TOKEN["HUBSPOT_TOKEN"] not in log.read_text()


def _check_vendor(hubspot: HubSpotServer, served: ServedVendor, accounts: list[str]) -> None:
    assert hubspot.enrolled == {(f"ann@{account}", "44"): 1 for account in accounts}, "each once"
    assert max(hubspot.told.values()) == 1
    asked = [
        f"{account}-{step}"
        for account in accounts
        for step in ("enroll.task", "escalate.task", "stop.unenroll")
    ]
    assert sorted(hubspot.told) == sorted(asked), "nothing lost"
    order = [key for key in hubspot.told if key.startswith("company0.com-")]
    assert order == ["company0.com-enroll.task", "company0.com-escalate.task", "company0.com-stop.unenroll"]
    assert hubspot.lists["7"] == set()
    assert len(served.seen) > 5, "faults happened"


async def _is_done(states: SinkStates, process: Process) -> bool:
    assert process.returncode is None
    kept = (await states.read()).get("crm")
    reports = list(kept.reports.values()) if kept is not None else []
    alive = [one for one in reports if one["state"] == "sending"]
    return (
        bool(alive) and bool(kept and kept.begun) and all(one["lag"] == 0 for one in alive) and _fresh(alive)
    )


async def _are_committed(stack: Stack, settings: Settings, topics: Topics, number: int) -> bool:
    """Return whether so many commands are done and committed: a process that has just begun knows no lag yet."""
    asked = [TopicPartition(topics.workflow_commands.name, one) for one in range(PARTITIONS)]
    group = group_of(settings.prefix, "crm")
    offsets = await read_committed_offsets(stack.bootstrap, group, asked, security={})
    return sum(offsets.values()) == number


def _fresh(reports: list[Any]) -> bool:
    return len(reports) == 1


@pytest.mark.timeout(480)
async def test_a_process_that_is_killed_enrolls_everybody_once(stack: Stack, tmp_path: Path) -> None:
    await kill_and_compare(stack, tmp_path, seed=1, number=20, kills=2)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
async def test_processes_that_are_killed_again_and_again_enroll_everybody_once(
    stack: Stack, tmp_path: Path, seed: int
) -> None:
    await kill_and_compare(stack, tmp_path, seed=seed + 10, number=660, kills=8)
