"""Switch a running prefix to another version of its segments file."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.agents.deciding.marks import MARK
from resegment.schemas.definitions.records import Prepare
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.times import format_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.versions.comparison import Difference
from resegment.settings import Settings
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.reader import PrefixReader, add_sizes
from resegment.streams.definitions.applying.apply import apply_version, discard_shadow
from resegment.streams.definitions.applying.requests import (
    Applied,
    ApplyConnection,
    ApplyRefused,
    ApplyRequest,
)
from resegment.streams.definitions.log import DefinitionWriter, read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.prefix import viewed_prefix
from resegment.streams.recovery.rebuild import LostPartition, Rebuild
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import verify_partition
from resegment.streams.worker.worker import Worker
from tests.builders import Published, definition_of
from tests.integration.conftest import Stack
from tests.oracle.cases import event

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = count()
PARTITIONS = 4
PATIENCE = 120.0
ACCOUNTS = 40
PLAY: dict[str, Any] = {
    "message": {"pain": "p", "value_prop": "v", "proof_points": ["a"]},
    "channels": {"primary": "email"},
}


def segments(*entries: dict[str, Any], **changed: Any) -> Definition:
    """A version with these segments, each a play and a workflow of its own name."""
    named = [
        {"play": "plain", "route": {"workflow": one["name"], "on_exit": "stop"}, **one} for one in entries
    ]
    return definition_of(
        {
            "version": 1,
            "segments": named,
            "fallback": {"name": "rest", "play": "plain"},
            "plays": {"plain": PLAY},
            **changed,
        }
    )


def large(least: int, name: str = "large", **more: Any) -> dict[str, Any]:
    return {"name": name, "when": {"employees": {"gte": least}}, **more}


@dataclass
class Prefix:
    """A prefix with one worker in this process."""

    stack: Stack
    worker: Worker
    source: KafkaPublisher
    client: Redis
    accounts: list[str] = field(
        default_factory=lambda: [f"company-{number}.com" for number in range(ACCOUNTS)]
    )

    @property
    def topics(self) -> Topics:
        return self.worker.topics

    @property
    def reader(self) -> PrefixReader:
        return PrefixReader(self.client, self.topics.prefix, PARTITIONS)

    async def send(self, *events: tuple[str, dict[str, Any]]) -> None:
        """Send events of these kinds, and wait until all is decided and routed."""
        now = time.time_ns() // 1_000_000
        await self.source.publish(
            [
                Message(
                    self.topics.of_kind(kind).name,
                    None,
                    orjson.dumps(event(kind, now, id=f"e{next(NUMBERS)}", **data)),
                )
                for kind, data in events
            ]
        )
        assert await self.worker.drain(PATIENCE)

    async def fill(self) -> None:
        """Give each account its number of employees, and some a job."""
        await self.send(
            *(
                ("firmographic", {"account": name, "employees": 10 * number, "region": "emea"})
                for number, name in enumerate(self.accounts)
            ),
            *(
                ("hiring", {"account": name, "change": "opened", "function": "sales"})
                for name in self.accounts[::4]
            ),
        )

    def connection(self) -> ApplyConnection:
        return ApplyConnection(
            self.client, self.source, self.stack.bootstrap, self.topics, {}, PARTITIONS, "wall"
        )

    def view(self) -> LiveConnection:
        return LiveConnection(
            self.client, self.stack.bootstrap, self.topics, {}, self.reader, "wall", 60_000, 2_000
        )

    async def apply(self, definition: Definition, **asked: Any) -> Applied:
        done = await apply_version(self.connection(), ApplyRequest(definition, **asked))
        assert await self.worker.drain(PATIENCE)
        return done

    async def sizes(self) -> dict[str, int]:
        return {name: size for name, size in add_sizes(await self.reader.look()).items() if size}

    async def places(self) -> dict[str, tuple[str | None, int, int]]:
        return await places(self.reader)

    async def changes(self) -> list[dict[str, Any]]:
        return [one["data"] for one in await self.read(self.topics.segment_changes.name)]

    async def moved_by(self, version: int) -> list[dict[str, Any]]:
        """Return the changes that a version caused."""
        return [one for one in await self.changes() if one["cause"].get("definition") == version]

    async def commands(self) -> Counter[tuple[str, str]]:
        found = [one["data"] for one in await self.read(self.topics.workflow_commands.name)]
        return Counter((one["action"], one["workflow"]) for one in found)

    async def read(self, topic: str) -> list[Any]:
        async with reading(self.stack.bootstrap, topic) as reader:
            return [orjson.loads(one.value) async for records in reader.to_end() for one in records]

    async def verify(self) -> Sequence[Difference]:
        """Compare all partitions with a replay of the log."""
        definitions = await read_definitions(self.stack.bootstrap, self.topics)
        registry = DefinitionRegistry(definitions, self.topics, facts_per_test=2_000)
        found: list[Difference] = []
        for number in range(PARTITIONS):
            position = await self.reader.position(number)
            assert position is not None
            stored = {name: value async for name, value in self.reader.raw_states(number)}
            timers = await self.reader.timers(number)
            source = LogSource(self.stack.bootstrap, self.topics, {})
            found += await verify_partition(number, registry, stored, timers, position.offset, source)
        return found


@asynccontextmanager
async def running(stack: Stack, definition: Definition, name: str | None = None) -> AsyncIterator[Prefix]:
    prefix = name or f"apply{next(NUMBERS)}{stack.name}"
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(prefix=prefix, partitions=PARTITIONS, route="all", **kafka)  # type: ignore[arg-type]
    worker = Worker(settings, definition, bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    client = Redis.from_url(stack.redis_url)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
        worker.running(),
    ):
        try:
            yield Prefix(stack, worker, source, client)
        finally:
            await client.aclose()


async def test_a_threshold_moves_accounts_at_one_instant_and_enrolls_nobody(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        assert await prefix.sizes() == {"rest": 20, "large": 20}
        enrolled = await prefix.commands()

        done = await prefix.apply(segments(large(300)), message="fewer")

        assert (done.version, done.pending, dict(done.moved)) == (2, False, {"large": -10, "rest": 10})
        moved = await prefix.moved_by(2)
        assert {(one["from"], one["to"]) for one in moved} == {("large", "rest")}
        assert len(moved) == len({one["account"] for one in moved}) == 10
        assert len({one["effective_at"] for one in moved}) == 1
        after = await prefix.commands()
        assert after - enrolled == Counter({("stop", "large"): 10})
        assert await prefix.verify() == []


async def test_new_fields_are_folded_in_from_the_log_before_anybody_is_judged(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        growing = {
            "name": "growing",
            "when": {"event": "hiring", "where": {"function": "sales"}, "within": "30d"},
        }
        done = await prefix.apply(segments(growing, large(200), {"name": "emea", "when": {"region": "emea"}}))
        assert done.warnings == []
        assert await prefix.sizes() == {"growing": 10, "large": 15, "emea": 15}
        assert await prefix.verify() == []
        await prefix.send(
            *(("hiring", {"account": name, "function": "sales"}) for name in prefix.accounts[:8])
        )
        assert (await prefix.sizes())["growing"] == 16
        assert await prefix.verify() == []


async def test_texts_alone_judge_nobody_and_a_rename_moves_the_name_alone(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        before = len(await prefix.changes())
        texts = {"plain": {**PLAY, "message": {**PLAY["message"], "pain": "another"}}}
        assert (await prefix.apply(segments(large(200), plays=texts))).version == 2
        assert len(await prefix.changes()) == before
        assert (await prefix.apply(segments(large(200), plays=texts))).apply is None

        commands = await prefix.commands()
        renamed = segments(large(200, "big"), plays=texts, moved={"big": "large"})
        await prefix.apply(renamed)
        moved = await prefix.moved_by(3)
        assert {(one["from"], one["to"], one["moved"]) for one in moved} == {("large", "big", True)}
        assert len(moved) == 20
        assert await prefix.commands() == commands
        assert await prefix.verify() == []


class Interrupted(Exception):
    """The command that applies a version is gone."""


@pytest.mark.parametrize("step", ["prepare", "mark", "switch"])
async def test_an_apply_that_is_interrupted_is_continued_by_the_next(stack: Stack, step: str) -> None:
    def interrupt(reached: str, done: int, total: int) -> None:
        del done, total
        if reached == step:
            raise Interrupted

    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        wanted = segments(large(300))
        with pytest.raises(Interrupted):
            await apply_version(prefix.connection(), ApplyRequest(wanted), interrupt)
        await prefix.send(("firmographic", {"account": prefix.accounts[0], "employees": 1_000}))
        await prefix.apply(wanted)
        assert await prefix.sizes() == {"rest": 29, "large": 11}
        definitions = await read_definitions(stack.bootstrap, prefix.topics)
        assert (definitions.newest, definitions.current, definitions.open) == (2, 2, None)
        assert len(await prefix.moved_by(2)) == 10
        assert await prefix.verify() == []


async def test_a_version_whose_list_a_worker_cannot_read_is_refused_and_nothing_changes(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        listed = segments(large(200), suppression=[{"name": "partners", "file": "not-there.csv"}])
        with pytest.raises(ApplyRefused, match=r"not-there\.csv"):
            await prefix.apply(listed)
        done = await prefix.apply(segments(large(300)))
        assert (done.version, await prefix.sizes()) == (3, {"rest": 30, "large": 10})
        assert await prefix.verify() == []


async def test_a_switch_that_is_marked_for_later_happens_then_by_itself(stack: Stack) -> None:
    marked = asyncio.Event()

    def note(step: str, done: int, total: int) -> None:
        if step == "mark" and done == total:
            marked.set()

    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        at = time.time_ns() // 1_000_000 + 6_000
        request = ApplyRequest(segments(large(300)), at=at)
        applying = asyncio.create_task(apply_version(prefix.connection(), request, note))
        waiting = asyncio.create_task(marked.wait())
        await asyncio.wait({applying, waiting}, return_when=asyncio.FIRST_COMPLETED)
        before = await prefix.sizes()
        assert before["large"] == 20 or await prefix.reader.now() >= at, (
            "it is marked, and its time has not come"
        )
        done = await applying
        assert await prefix.worker.drain(PATIENCE)
        assert done.at == at
        await until(prefix.sizes, {"rest": 30, "large": 10})
        assert {one["effective_at"] for one in await prefix.moved_by(2)} == {format_instant(at)}


async def test_a_command_that_ends_while_it_waits_for_its_instant_leaves_nothing(stack: Stack) -> None:
    waits = asyncio.Event()

    def note(step: str, done: int, total: int) -> None:
        del done, total
        if step == "wait":
            waits.set()

    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        request = ApplyRequest(segments(large(300)), at=time.time_ns() // 1_000_000 + 600_000)
        applying = asyncio.create_task(apply_version(prefix.connection(), request, note))
        await waits.wait()
        applying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await applying
        definitions = await read_definitions(stack.bootstrap, prefix.topics)
        assert (definitions.open, definitions.current) == (None, 1)
        await prefix.apply(segments(large(250)))
        assert await prefix.sizes() == {"rest": 25, "large": 15}


async def test_a_rebuild_across_switches_comes_to_the_same_and_announces_nothing(stack: Stack) -> None:
    growing = {"name": "growing", "when": {"event": "hiring", "within": "30d"}}
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        await prefix.apply(segments(growing, large(200)))
        await prefix.apply(segments(growing, large(250, "big"), moved={"big": "large"}))
        name, before = prefix.topics.prefix, await prefix.places()
    client = Redis.from_url(stack.redis_url)
    topics, published = Topics(name), Published()
    source = LogSource(stack.bootstrap, topics, {})
    registry = DefinitionRegistry(
        await read_definitions(stack.bootstrap, topics), topics, facts_per_test=2_000
    )
    lost = [LostPartition(number, segmenter=True, router=False) for number in range(PARTITIONS)]
    await client.delete(*(key for number in range(PARTITIONS) for key in PartitionKeys.of(name, number).all))
    await Rebuild(client, source, registry, PARTITIONS).run(
        lost, published.publish, whole=False, follow=lambda _: None
    )
    assert published.messages == []
    assert await places(PrefixReader(client, name, PARTITIONS)) == before
    await client.aclose()


async def test_a_rebuild_across_a_switch_and_texts_after_it_switches_every_account(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        await prefix.apply(segments(large(300)))
        await prefix.apply(segments(large(300, description="In other words")))
        name, before = prefix.topics.prefix, await prefix.places()
    client = Redis.from_url(stack.redis_url)
    topics, published = Topics(name), Published()
    registry = DefinitionRegistry(
        await read_definitions(stack.bootstrap, topics), topics, facts_per_test=2_000
    )
    lost = [LostPartition(number, segmenter=True, router=False) for number in range(PARTITIONS)]
    await client.delete(*(key for number in range(PARTITIONS) for key in PartitionKeys.of(name, number).all))
    await Rebuild(client, LogSource(stack.bootstrap, topics, {}), registry, PARTITIONS).run(
        lost, published.publish, whole=False, follow=lambda _: None
    )
    after = await places(PrefixReader(client, name, PARTITIONS))
    assert {one: where[:2] for one, where in after.items()} == {
        one: where[:2] for one, where in before.items()
    }
    await client.aclose()


async def test_marks_and_records_of_strangers_stop_nobody(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        signals, definitions = prefix.topics.signals.name, prefix.topics.definitions.name
        soon = time.time_ns() // 1_000_000 + 60_000
        marks = [
            b"\xff\x00", b"{}", b"x" * 400_000,
            b'{"apply":"stranger","version":2,"step":"prepare"}',
            b'{"apply":"stranger","version":2,"step":"switch","at":%d}' % soon,
            b'{"apply":"stranger","version":2,"step":"void"}',
        ]  # fmt: skip
        records = [
            b"\xff\x00", b"{}", b"x" * 400_000,
            b'{"type":"version","number":9,"fingerprint":"f","digest":"d","files":[],"at":1}',
            b'{"type":"prepare","apply":"b","version":8,"base":1,"at":1}',
            b'{"type":"apply","id":"b","version":8,"base":1,"at":1}',
            b'{"type":"stands","apply":"b"}',
            b'{"type":"stands","apply":"c"}',
        ]  # fmt: skip
        await prefix.source.publish([Message(definitions, None, one, (), 0) for one in records])
        await prefix.source.publish(
            [
                Message(signals, None, one, [(MARK, b"")], number)
                for number in range(PARTITIONS)
                for one in marks
            ]
        )
        await prefix.send(("firmographic", {"account": prefix.accounts[0], "employees": 1_000}))
        assert await prefix.sizes() == {"rest": 19, "large": 21}
        await prefix.apply(segments(large(300)))
        assert await prefix.sizes() == {"rest": 29, "large": 11}
        assert await prefix.verify() == []


async def test_a_rebuild_passes_over_marks_of_an_apply_without_a_claim(stack: Stack) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        await prefix.apply(segments(large(300)))
        name, before = prefix.topics.prefix, await prefix.places()
    topics, client = Topics(name), Redis.from_url(stack.redis_url)
    registry = DefinitionRegistry(
        await read_definitions(stack.bootstrap, topics), topics, facts_per_test=2_000
    )
    value = b'{"apply":"stranger","version":3,"step":"prepare"}'
    marks = [Message(topics.signals.name, None, value, [(MARK, b"")], number) for number in range(PARTITIONS)]
    await client.delete(*(key for number in range(PARTITIONS) for key in PartitionKeys.of(name, number).all))
    lost = [LostPartition(number, segmenter=True, router=False) for number in range(PARTITIONS)]
    async with KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher:
        await publisher.publish(marks)
        await Rebuild(client, LogSource(stack.bootstrap, topics, {}), registry, PARTITIONS).run(
            lost, publisher.publish, whole=False, follow=lambda _: None
        )
    assert await places(PrefixReader(client, name, PARTITIONS)) == before
    await client.aclose()


@pytest.mark.parametrize(("kind", "other"), [("shadow", "switch"), ("switch", "shadow")])
async def test_a_claim_that_was_interrupted_is_not_taken_over_by_an_apply_of_another_kind(
    stack: Stack, kind: Any, other: Any
) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        wanted, connection = segments(large(300)), prefix.connection()

        async def interrupt() -> None:
            raise Interrupted

        with pytest.raises(Interrupted):
            await apply_version(connection, ApplyRequest(wanted, check=interrupt))
        claim = Prepare(apply="gone", version=2, base=1, at=1, kind=kind)
        await DefinitionWriter(prefix.source, prefix.topics).write(claim)
        done = await prefix.apply(wanted, kind=other)
        assert done.version == 2
        await until(
            prefix.sizes, {"rest": 30, "large": 10} if other == "switch" else {"rest": 20, "large": 20}
        )


async def places(reader: PrefixReader) -> dict[str, tuple[str | None, int, int]]:
    """Where each account is, since when, and by which version."""
    found: dict[str, tuple[str | None, int, int]] = {}
    for number in range(PARTITIONS):
        async for name, value in reader.raw_states(number):
            state = decode_state(value)
            found[name] = state.membership.segment, state.membership.entered, state.version
    return found


async def test_a_shadow_is_judged_beside_the_version_in_force_until_it_is_discarded_or_promoted(
    stack: Stack,
) -> None:
    async with running(stack, segments(large(200))) as prefix:
        await prefix.fill()
        before = await prefix.changes()
        shadow = segments(large(300))
        await prefix.apply(shadow, kind="shadow")
        await prefix.send(("firmographic", {"account": prefix.accounts[0], "employees": 1_000}))

        reader = PrefixReader(prefix.client, prefix.topics.prefix, PARTITIONS, stage="shadow")

        async def sizes() -> dict[str, int]:
            return {name: size for name, size in add_sizes(await reader.look()).items() if size}

        await until(sizes, {"rest": 29, "large": 11})
        assert await prefix.sizes() == {"rest": 19, "large": 21}
        assert len(await prefix.changes()) == len(before) + 1

        async with viewed_prefix(prefix.view()) as viewed:
            look = await viewed.shadow(PATIENCE)
            assert look is not None
            assert look.report is not None
            assert (look.version, look.report.differ, look.report.accounts) == (2, 10, ACCOUNTS)
            moved = look.report.elsewhere[0].account

            async def judged() -> tuple[str | None, bool, int] | None:
                found = await viewed.shadowed_account(moved, await viewed.now())
                return None if found is None else (found.segment, found.moves("large"), found.behind)

            await until(judged, ("rest", True, 0))

        assert await discard_shadow(prefix.connection()) == 2
        await until(sizes, {})
        await prefix.apply(shadow, kind="shadow")
        await until(sizes, {"rest": 29, "large": 11})
        done = await prefix.apply(shadow)
        assert (done.version, await prefix.sizes()) == (2, {"rest": 29, "large": 11})
        await until(sizes, {})
        assert await prefix.verify() == []


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until a look finds what is wanted."""
    found = None
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (found := await look()) != wanted:
                await asyncio.sleep(0.1)
    assert found == wanted
