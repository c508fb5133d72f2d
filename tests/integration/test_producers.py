"""Events from other people's programs: the examples of docs/contracts, run as they stand, come out as segment changes."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from resegment.benchmarks.servers import apache
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from tests.integration.conftest import Stack, require_apache
from tests.servers.workers import Workers, workers

EXAMPLES = Path(__file__).parents[2] / "docs" / "contracts" / "examples"
PATIENCE = 200.0
SEGMENTS = """
version: 1
segments:
  - {name: hiring, when: {event: hiring, where: {function: {in: [sales, sales_ops]}}, within: 30d}, play: talk, route: {workflow: a}}
  - {name: funded, when: {event: funding, where: {round: {in: [seed, series_a]}}, within: 30d}, play: talk, route: {workflow: b}}
fallback: {name: others, play: talk, route: {workflow: nurture}}
plays:
  talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}
"""


@asynccontextmanager
async def running(stack: Stack, folder: Path) -> AsyncIterator[tuple[Workers, Topics]]:
    """A worker in a prefix of its own."""
    segments = folder / "segments.yaml"
    segments.write_text(SEGMENTS)
    prefix = f"p{uuid.uuid4().hex[:8]}"
    settings = {
        "kafka": stack.bootstrap,
        "redis": stack.redis_url,
        "prefix": prefix,
        "segments": segments,
        "partitions": 2,
    }
    async with workers(folder, **settings) as group:
        await group.start()
        yield group, Topics(prefix)


async def run(*command: str | Path) -> None:
    """Run a program to its end; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, said.decode()


async def moves(stack: Stack, topics: Topics) -> dict[str, tuple[str | None, str]]:
    """Where each account went, once."""
    async with reading(stack.bootstrap, topics.segment_changes.name) as topic:
        events = [orjson.loads(record.value) async for records in topic.to_end() for record in records]
    assert len({one["id"] for one in events}) == len({one["subject"] for one in events})
    return {one["data"]["account"]: (one["data"]["from"], one["data"]["to"]) for one in events}


async def become(
    stack: Stack, group: Workers, topics: Topics, wanted: dict[str, tuple[str | None, str]]
) -> None:
    """Wait for exactly these moves."""
    found: dict[str, tuple[str | None, str]] = {}
    async with asyncio.timeout(PATIENCE):
        while len(found) < len(wanted):
            group.check()
            found = await moves(stack, topics)
            await asyncio.sleep(0.1)
    assert found == wanted


async def refused(stack: Stack, topics: Topics) -> list[bytes]:
    async with reading(stack.bootstrap, topics.dead_letters.name) as topic:
        return [record.value async for records in topic.to_end() for record in records]


# librdkafka before 2.1, as in Debian 12, cannot read how the embedded broker says which versions it speaks
@pytest.mark.parametrize("stack", ["apache"], indirect=True)
async def test_what_kcat_sends_in_both_modes_arrives(stack: Stack, tmp_path: Path) -> None:
    if shutil.which("kcat") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("kcat is not here: apt-get install kcat")
        pytest.skip("kcat is not here: apt-get install kcat")
    async with running(stack, tmp_path) as (group, topics):
        for _ in range(2):  # a second delivery changes nothing
            await run(EXAMPLES / "produce.sh", stack.bootstrap, topics.prefix)
        await become(stack, group, topics, {"acme.com": (None, "funded"), "globex.com": (None, "hiring")})
        assert not await refused(stack, topics)


async def test_what_java_sends_in_both_modes_arrives(stack: Stack, tmp_path: Path) -> None:
    require_apache()
    jars = await asyncio.to_thread(apache.fetch_jars)
    needed = [str(jar) for name in ("kafka-clients", "slf4j-api") for jar in jars.glob(f"{name}-*.jar")]
    async with running(stack, tmp_path) as (group, topics):
        await run("java", "-cp", ":".join(needed), EXAMPLES / "Produce.java", stack.bootstrap, topics.prefix)
        await become(stack, group, topics, {"initech.com": (None, "funded"), "hooli.com": (None, "hiring")})
        assert not await refused(stack, topics)
