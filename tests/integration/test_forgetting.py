"""Forget accounts and persons of a running prefix, and undo it."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.embedded.servers import embedded
from resegment.schemas.identities.records import Forget, Lift, Merge
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.schemas.routing import RoutedState
from resegment.settings import Settings
from resegment.state.keys.keyring import make_keys
from resegment.state.keys.opening import open_key_store, read_operator_key
from resegment.state.sinks.people import PeopleStore, Person
from resegment.streams.archiving.archiver import ArchivedPrefix, Archiver
from resegment.streams.exporting.personal import ExportedPrefix, Wanted, export_personal
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.forgetting.purging import PurgeFailed, purge_triggers
from resegment.streams.forgetting.requests import (
    ForgetRefused,
    name_persons,
    request_forget,
    request_lift,
)
from resegment.streams.forgetting.spellings import find_spellings
from resegment.streams.forgetting.surveying import survey
from resegment.streams.identities.log import read_identities
from resegment.streams.identities.requests import Connection, request
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import hold_ledgers, verify_ledgers
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.sealing.opener import PLAIN
from resegment.streams.tables.writer import TabledPrefix, TablesWriter
from resegment.streams.worker.worker import Worker
from resegment.tables.duck import Duck
from tests.forgetting import (
    Text,
    places_of,
    read_files,
    read_journal,
    read_redis,
    read_snapshot,
    read_tables,
    read_topics,
)
from tests.integration.conftest import Stack
from tests.integration.test_applying import PARTITIONS, Prefix
from tests.integration.test_merging import NUMBERS, definition, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


def connection_of(prefix: Prefix) -> Connection:
    return Connection(prefix.source, prefix.stack.bootstrap, prefix.topics, {})


def now() -> int:
    return time.time_ns() // 1_000_000


async def forget(prefix: Prefix, account: str) -> str:
    asked = await request_forget(
        connection_of(prefix), None, Forget(account=account, at=now()), patience=120.0
    )
    assert await prefix.worker.drain(120.0)
    return asked.outcome


async def export(prefix: Prefix, account: str) -> dict[str, Any]:
    known = await read_identities(prefix.stack.bootstrap, prefix.topics)
    people = PeopleStore(prefix.client, prefix.topics.prefix)
    place = prefix.stack.bootstrap, prefix.topics, {}, prefix.reader, people
    exported = ExportedPrefix(*place, None, PLAIN, known.absent_by_hosts())
    return await export_personal(exported, Wanted(frozenset({account})), now())


async def differences(prefix: Prefix) -> list[Any]:
    """Return where states or ledgers differ from the log."""
    found: list[Any] = [*await prefix.verify()]
    source = LogSource(prefix.stack.bootstrap, prefix.topics, {})
    for number in range(PARTITIONS):
        held = await hold_ledgers(number, prefix.reader, source)
        assert held is not None
        found += await verify_ledgers(number, held, source)
    return found


async def test_a_forgotten_account_is_nowhere_and_stays_away_until_that_is_lifted(stack: Stack) -> None:
    async with running(stack, "forget") as prefix:
        outcome = {"account": "acme.com", "action": "positive_reply", "person": "Ann Lee", "deal": "d-1"}
        await prefix.send(
            ("funding", {"account": "acme.com"}),
            ("outcome", outcome),
            ("hiring", {"account": "b.com", "change": "opened"}),
        )
        people = PeopleStore(prefix.client, prefix.topics.prefix)
        await people.keep("acme.com", "ann@acme.com", Person(at=1, email="ann@acme.com", last_name="Lee"))
        places = AccountPlaces(prefix.client, prefix.topics.prefix, PARTITIONS)
        listed = await survey("acme.com", prefix.reader, places, stack.bootstrap, prefix.topics, {})
        assert {
            "facts in the state",
            "workflows",
            "owners",
            "touches and outcomes",
            "persons",
        } <= listed.keys()

        assert await forget(prefix, "acme.com") == "done"
        assert await forget(prefix, "acme.com") == "nothing"
        (state, other), (routed,) = (
            await prefix.reader.states(["acme.com", "b.com"]),
            await prefix.reader.routed(["acme.com"]),
        )
        assert state is not None
        assert other is not None
        assert routed is not None
        assert (state.entries, state.membership.segment, other.membership.segment) == ([], None, "hiring")
        assert routed == RoutedState(forgotten=routed.forgotten, forgets=routed.forgets)
        (ledger,) = await prefix.reader.ledgers_of(["acme.com"])
        assert ledger is not None
        assert decode_ledger(ledger) == []
        assert await people.read("acme.com") == []
        left = await survey("acme.com", prefix.reader, places, stack.bootstrap, prefix.topics, {})
        assert all(name.startswith("records of ") for name in left)
        ended = [one for one in await prefix.changes() if one["account"] == "acme.com"][-1]
        assert (ended["to"], ended["cause"]["forgotten"]) == (None, "account")
        assert (await prefix.commands())["stop", "calls"] == 1
        assert await differences(prefix) == []

        await prefix.send(("funding", {"account": "acme.com"}), ("outcome", outcome))
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert (state.entries, state.membership.segment) == ([], None)
        assert await differences(prefix) == []

        asked = await request_lift(connection_of(prefix), Lift(account="acme.com", at=now()), patience=120.0)
        assert asked.outcome == "done"
        await prefix.send(("hiring", {"account": "acme.com", "change": "opened"}))
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert (len(state.entries), state.membership.segment) == (1, "hiring")
        assert (await prefix.commands())["enroll", "mails"] == 2
        assert await differences(prefix) == []
        exported = await export(prefix, "acme.com")
        assert [one["kind"] for one in exported["facts"]] == ["hiring"]
        assert [one["data"]["to"] for one in exported["changes"]] == ["hiring"]
        assert [one["data"]["action"] for one in exported["commands"]] == ["enroll"]


async def test_events_that_intake_has_read_are_deleted_from_their_topics_and_others_are_decided(
    stack: Stack,
) -> None:
    async with running(stack, "forget") as prefix:
        await prefix.send(
            ("funding", {"account": "acme.com"}), ("hiring", {"account": "b.com", "change": "opened"})
        )

        async def purge() -> int:
            return await purge_triggers(stack.bootstrap, prefix.topics.prefix, prefix.topics, {})

        async def purge_two() -> int:
            deadline, purged = time.monotonic() + 120, 0
            while purged < 2 and time.monotonic() < deadline:  # a worker commits what it read a moment later
                purged += await purge()
            return purged

        if stack.name == "embedded":
            with pytest.raises(PurgeFailed, match="were not deleted"):
                await purge_two()
            return
        assert await purge_two() == 2
        assert await purge() == 0
        assert [one for topic in prefix.topics.triggers for one in await prefix.read(topic.name)] == []
        await prefix.send(("hiring", {"account": "c.com", "change": "opened"}))
        states = await prefix.reader.states(["b.com", "c.com"])
        assert [one and one.membership.segment for one in states] == ["hiring", "hiring"]
        assert await prefix.verify() == []


async def test_aliases_are_forgotten_with_their_account_and_not_alone(stack: Stack) -> None:
    async with running(stack, "forget") as prefix:
        await prefix.send(
            ("funding", {"account": "acme.io"}), ("hiring", {"account": "acme.com", "change": "opened"})
        )
        await request(
            connection_of(prefix), Merge(alias="acme.io", account="acme.com", at=now()), patience=120.0
        )
        with pytest.raises(ForgetRefused, match="merged into acme"):
            await forget(prefix, "acme.io")
        assert await forget(prefix, "acme.com") == "done"
        await prefix.send(("funding", {"account": "acme.io"}))
        states = await prefix.reader.states(["acme.io", "acme.com"])
        assert [one is not None and one.entries for one in states] == [[], []]
        assert await differences(prefix) == []


KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


@asynccontextmanager
async def sealed(stack: Stack) -> AsyncIterator[tuple[Prefix, ProcessKeys]]:
    """Run a prefix whose personal fields are sealed, with its keys in the same Redis."""
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(
        prefix=f"sealed{next(NUMBERS)}{stack.name}", partitions=PARTITIONS, route="all", keys=stack.redis_url,
        key=KEY, keys_allow_loss=True, **kafka,
    )  # fmt: skip
    await make_keys(open_key_store(settings), read_operator_key(settings))
    worker = Worker(settings, definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    client, keys = Redis.from_url(stack.redis_url), ProcessKeys(settings)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
        worker.running(),
    ):
        try:
            yield Prefix(stack, worker, source, client), keys
        finally:
            await keys.aclose()
            await client.aclose()


@asynccontextmanager
async def keeping(stack: Stack, folder: Path) -> AsyncIterator[Stack]:
    """Return an embedded instance that keeps its log on disk, or the other servers as they are."""
    if stack.name != "embedded":
        yield stack
        return
    async with embedded(folder / "instance", keeps=True) as both:
        yield Stack("embedded", both.bootstrap, both.redis_url)


async def keep_outside(prefix: Prefix, keys: ProcessKeys, folder: Path) -> None:
    """Archive the prefix, and write it to tables."""
    bootstrap, topics = prefix.stack.bootstrap, prefix.topics
    archived = ArchivedPrefix(topics, PARTITIONS, "wall", bootstrap, {}, sealed=True)
    await Archiver(Storage(str(folder / "archive")), archived, timedelta(minutes=1)).run(None)
    store = Duck(str(folder / "tables.duckdb"))
    store.migrate()
    tabled = TabledPrefix(topics, PARTITIONS, bootstrap, {}, keys=keys)
    try:
        await TablesWriter(store, tabled, timedelta(days=90)).run(None)
    finally:
        store.close()


async def kept_by(prefix: Prefix, keys: ProcessKeys) -> list[Text]:
    """Return what Kafka and Redis keep, but the events as they were sent: their topics keep these until their retention."""
    sent = {one.name for one in prefix.topics.triggers}
    found = await read_topics(LogSource(prefix.stack.bootstrap, prefix.topics, {}), keys)
    found += await read_redis(prefix.client, prefix.topics.prefix)
    return [one for one in found if one[0] not in sent]


async def everything(prefix: Prefix, keys: ProcessKeys, folder: Path) -> list[Text]:
    """Return that, and what an archive, tables, the journal and a snapshot keep."""
    topics = prefix.topics
    await keep_outside(prefix, keys, folder)
    sent = {f"journal of {one.name}" for one in topics.triggers}
    found = await kept_by(prefix, keys)
    archive = Archive.open(Storage(str(folder / "archive")))
    found += await read_topics(LogSource("", topics, {}, archive=archive), keys)
    found += read_files(folder / "archive") + read_tables(folder / "tables.duckdb")
    if prefix.stack.name == "embedded":
        found += await read_snapshot(prefix.client)
    found += await read_journal(folder / "instance" / "journal", keys)
    return [one for one in found if one[0] not in sent]


def of(account: str, person: str) -> list[tuple[str, dict[str, Any]]]:
    """Return events that name a person in personal fields, one of them refused."""
    about = {"account": account, "person": person}
    return [
        ("funding", {"account": account}),
        ("leadership", {**about, "title": f"Deputy of {person}", "change": "joined"}),
        ("leadership", {**about, "change": 7}),  # a dead letter
        ("hiring", {**about, "change": "opened"}),
        ("outcome", {**about, "action": "positive_reply"}),
        ("engagement", {**about, "url": f"https://x.com/{person}", "action": "visit"}),
    ]


async def test_after_a_forget_the_person_is_nowhere_readable_and_the_control_is_everywhere(
    stack: Stack, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone, control = "Zebedee Quill", "Ottoline Marsh"
    async with keeping(stack, tmp_path) as kept, sealed(kept) as (prefix, keys):
        await prefix.send(*of("acme.com", gone), *of("b.com", control))
        before = await everything(prefix, keys, tmp_path)
        places = places_of(before, control)
        topics = prefix.topics
        assert {
            *(topics.signals.name, topics.dead_letters.name, topics.routing_events.name),
            *(f"archived {topics.signals.name}", "redis ledgers"),
            *({f"journal of {topics.signals.name}", "snapshot"} if stack.name == "embedded" else ()),
        } <= places
        assert places_of(before, gone) == places
        ring = await keys.ring()
        asked = await request_forget(
            connection_of(prefix), ring, Forget(account="acme.com", at=now()), patience=120.0
        )
        assert asked.outcome == "done"
        ring.drop()  # type: ignore[union-attr]
        assert await prefix.worker.drain(120.0)
        after = await everything(prefix, keys, tmp_path)
        assert places_of(after, gone) == set()
        assert places_of(after, control) == places
        logged = capfd.readouterr()
        assert gone not in logged.out + logged.err
        assert control not in logged.out + logged.err
        await prefix.send(*of("acme.com", gone))  # late
        assert places_of(await kept_by(prefix, keys), gone) == set()


async def test_after_a_person_is_forgotten_only_that_person_is_nowhere_readable(
    stack: Stack, tmp_path: Path
) -> None:
    gone, control = "Zebedee Quill", "Ottoline Marsh"
    async with sealed(stack) as (prefix, keys):
        await prefix.send(*of("acme.com", gone), *of("acme.com", control))
        before = await everything(prefix, keys, tmp_path)
        assert places_of(before, gone) == places_of(before, control)
        ring = await keys.ring()
        assert ring is not None
        contacts = await PeopleStore(prefix.client, prefix.topics.prefix).read("acme.com")
        spellings = find_spellings(gone, contacts, [])
        wish = Forget(account="acme.com", at=now(), persons=name_persons(ring, ["acme.com"], spellings))
        asked = await request_forget(connection_of(prefix), ring, wish, spellings, patience=120.0)
        assert asked.outcome == "done"
        ring.drop()
        assert await prefix.worker.drain(120.0)
        after = await everything(prefix, keys, tmp_path)
        assert places_of(after, gone) == set()
        assert {prefix.topics.signals.name, "redis ledgers"} <= places_of(after, control)
        await prefix.send(*of("acme.com", gone))  # late
        assert places_of(await kept_by(prefix, keys), gone) == set()
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert state.membership.segment == "both"
