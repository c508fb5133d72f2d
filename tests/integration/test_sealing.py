"""With keys, a planted person is nowhere readable outside Redis, and everybody who may read gets the full text."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from resegment.agents.batch import Message
from resegment.cli.logging import set_up_logging
from resegment.metrics import Metrics
from resegment.schemas.times import format_instant
from resegment.settings import Settings
from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.endpoints import LoadedEndpoint
from resegment.sinks.webhook.signing import Secret
from resegment.state.keys.keyring import make_keys
from resegment.state.keys.opening import open_key_store, read_operator_key
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.state.sinks.people import PeopleStore
from resegment.streams.delivery.service import delivering
from resegment.streams.exporting.person import Person
from resegment.streams.exporting.personal import ExportedPrefix, Wanted, export_personal
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.tables.writer import TabledPrefix, TablesWriter
from resegment.streams.worker.loops.worker_clock import host_clock
from resegment.streams.worker.worker import Worker
from resegment.tables.duck import Duck
from tests.builders import definition_of, raw_event
from tests.integration.conftest import Stack
from tests.planted import ADDRESS, EVENTS, FILE, PERSON, names_person
from tests.servers.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 2
PATIENCE = 120.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.05)


def event(kind: str, data: dict[str, Any], **given: Any) -> bytes:
    now = format_instant(host_clock())
    return raw_event(
        **{
            "id": f"{kind}-{PERSON}",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": now,
            "data": data,
            **given,
        }
    )


async def values_of(stack: Stack, topic: str) -> list[tuple[Any, ...]]:
    """Return the parts of all records of a topic."""
    async with reading(stack.bootstrap, topic) as reader:
        return [
            (one.key, one.value, *(part for pair in one.headers for part in pair))
            async for records in reader.to_end()
            for one in records
        ]


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Everything is logged as a process does it, with debug lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging(Settings(log_level="debug", log_format="json"))
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@asynccontextmanager
async def keys_made(stack: Stack) -> AsyncIterator[Settings]:
    given: dict[str, Any] = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(
        prefix=f"sealed{uuid.uuid4().hex[:8]}",
        partitions=PARTITIONS,
        route="all",
        keys=stack.redis_url,
        keys_allow_loss=True,
        key=urlsafe_b64encode(b"k" * 32).decode(),
        **given,
    )
    store = open_key_store(settings)
    await make_keys(store, read_operator_key(settings))
    await store.aclose()
    yield settings


async def publish(publisher: KafkaPublisher, topics: Topics) -> None:
    """Plant the person in every kind and personal field, and in records that are refused or wait."""
    await publisher.publish(
        [
            *(
                Message(topics.of_kind(kind).name, ADDRESS.encode(), event(kind, data))
                for kind, data in EVENTS.items()
            ),
            Message(
                topics.people.name, ADDRESS.encode(), event("people", {"person": [PERSON]}), [(PERSON, b"1")]
            ),
            Message(topics.people.name, None, b"{ " + PERSON.encode()),
            Message(topics.people.name, None, event("people", EVENTS["people"], subject=f"{PERSON} Ltd")),
        ]
    )


async def test_a_planted_person_is_in_no_record_table_or_log_line_and_webhooks_get_the_full_text(
    stack: Stack, logged: Callable[[], str]
) -> None:
    async with (
        keys_made(stack) as settings,
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher,
        receiving() as receiver,
    ):
        worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
        topics = worker.topics
        hook = Endpoint.model_validate(
            {
                "url": f"http://127.0.0.1:{receiver.port}/hook",
                "secrets": [{"env": "SECRET"}],
                "allow_hosts": ["127.0.0.1"],
                "topics": ["workflow-commands", "segment-changes"],
                "start": "earliest",
            }
        )
        loaded = {"crm": LoadedEndpoint("crm", hook, (Secret.parse(SECRET),), Guard((), hook.allow_hosts))}
        async with (
            worker.running(),
            delivering(
                settings, loaded, bootstrap=stack.bootstrap, redis_url=stack.redis_url, metrics=Metrics()
            ),
        ):
            await publish(publisher, topics)

            # Webhooks get the full text: the message, the evidence, and who is not to be contacted.
            def arrived() -> bool:
                bodies = [orjson.loads(one.body)["data"] for one in receiver.taken]
                return any(PERSON in str(one.get("message")) for one in bodies if "action" in one) and any(
                    PERSON in str(one.get("reason")) for one in bodies if "sequence_number" in one
                )

            await until(arrived)
            assert not any(b'"sealed"' in one.body for one in receiver.taken)

            async def are_refused() -> bool:
                waiting = await values_of(stack, topics.unresolved.name)
                return bool(waiting) and len(await values_of(stack, topics.dead_letters.name)) >= 2

            await until(are_refused)
            assert await worker.drain(PATIENCE)

            # No record names the person, but those of sources do: the search would find it.
            found = {
                one.name: [names_person(*parts) for parts in await values_of(stack, one.name)]
                for one in topics
            }
            sources = {one.name for one in topics.triggers}
            assert {name for name, named in found.items() if any(named)} == {
                topics.of_kind(kind).name for kind in EVENTS
            }
            for topic in (
                *(topics.signals, topics.segment_changes, topics.workflow_commands, topics.routing_events),
                *(topics.dead_letters, topics.unresolved, topics.touches),
            ):
                assert found[topic.name], f"{topic.name} has no records: the search says nothing"
                assert topic.name not in sources

            # No cell of a table does, but each outcome has its person's pseudonym.
            keys = ProcessKeys(settings)
            store = Duck()
            store.migrate()
            await TablesWriter(
                store, TabledPrefix(topics, PARTITIONS, stack.bootstrap, {}, None, keys), timedelta(days=90)
            ).run(None)
            with store.transaction() as transaction:
                tables = ("segment_event", "command", "fct_touch", "outcome", "sync_log")
                cells = {name: transaction.read(f"select * from {name}") for name in tables}  # ours
                (person,) = transaction.read("select person from outcome")[0]
            store.close()
            assert all(cells[name] for name in tables[:-1])
            assert not names_person(cells)
            ring = await keys.ring()
            assert ring is not None
            assert person == ring.names.person("acme.com", PERSON.lower())

            # Who may read everything gets it: an export of the person, from all places.
            client = connect_redis(settings, stack.redis_url)
            prefix = ExportedPrefix(
                stack.bootstrap,
                topics,
                {},
                PrefixReader(client, settings.prefix, PARTITIONS),
                PeopleStore(client, settings.prefix),
                ring,
                keys.record_opener(),
            )
            exported = await export_personal(prefix, Wanted(person=Person([ADDRESS])), host_clock())
            assert {one["kind"] for one in exported["facts"]} == set(EVENTS)
            assert {fact["data"].get("person") for fact in exported["facts"]} == {PERSON}
            for place in ("changes", "commands", "state", "dead_letters", "waiting"):
                assert names_person(exported[place]), place
            whole = await export_personal(prefix, Wanted(frozenset({"acme.com"})), host_clock())
            assert len(whole["facts"]) == len(EVENTS)
            await client.aclose()
            await keys.aclose()
            assert worker.failure is None
    lines = logged()
    assert "refused" in lines
    assert "acme.com" in lines
    assert not names_person(lines)


# A prefix that ran without keys


async def run_command(stack: Stack, settings: Settings, *words: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", *words),
        *("--kafka", stack.bootstrap, "--redis", stack.redis_url, "--prefix", settings.prefix),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("stack", ["apache"], indirect=True)
async def test_a_prefix_without_keys_is_copied_into_one_whose_log_names_nobody(
    stack: Stack, tmp_path: Path
) -> None:
    old = Settings(
        prefix=f"plain{uuid.uuid4().hex[:8]}", partitions=PARTITIONS, route="all", kafka=stack.bootstrap
    )
    worker = Worker(old, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    async with KafkaPublisher(stack.bootstrap) as publisher, worker.running():
        await publish(publisher, worker.topics)

        async def are_taken_in() -> bool:
            return len(await values_of(stack, worker.topics.signals.name)) >= len(EVENTS)

        await until(are_taken_in)
        assert await worker.drain(PATIENCE)
    assert any(names_person(*one) for one in await values_of(stack, worker.topics.signals.name))
    segments = tmp_path / "segments.yaml"
    segments.write_text(json.dumps(FILE))
    name = f"{old.prefix}-sealed"
    given = {
        "RESEGMENT_KEYS": stack.redis_url,
        "RESEGMENT_KEY": urlsafe_b64encode(b"k" * 32).decode(),
        "RESEGMENT_KEYS_ALLOW_LOSS": "true",
        "RESEGMENT_SEGMENTS": str(segments),
    }
    code, output = await run_command(stack, old, "privacy", "encrypt", "--to", name, **given)
    assert code == 0, output
    topics = Topics(name)
    signals = await values_of(stack, topics.signals.name)
    assert len([one for one in signals if one[0] is not None]) == len(EVENTS)
    for topic in topics:
        with suppress(TopicUnreadable):
            assert not any(names_person(*one) for one in await values_of(stack, topic.name)), topic.name

    # The copy has the same facts and states, and works on with its keys.
    new = old.model_copy(update={"prefix": name})
    code, output = await run_command(stack, new, "verify", **given)
    assert code == 0, output
    code, output = await run_command(stack, new, "privacy", "export", "acme.com", **given)
    assert code == 0, output
    exported = json.loads(output[output.index("{") :])
    assert {fact["data"].get("person") for fact in exported["facts"]} == {PERSON}
    assert {fact["kind"] for fact in exported["facts"]} == set(EVENTS)
