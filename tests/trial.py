"""An embedded instance that is killed again and again while events are sent, and what must hold of it then."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from resegment.agents.batch import Message, PublishFailed
from resegment.cli.connection import Instance, read_instance
from resegment.schemas.outgoing import CONTENT_TYPE
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

PREFIX = "resegment"
ACCOUNTS = 150
AT_ONCE = 25
PATIENCE = 180.0
SEGMENTS = Path(__file__).parents[1] / "examples" / "quickstart.yaml"
Log = dict[tuple[str, int], list[tuple[int, bytes | None, bytes | None]]]
"""Offset, key and value of each record, by topic and partition."""


def descendants(pid: int) -> Iterator[int]:
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


def message(number: int) -> tuple[str, Message]:
    """Return an event's id, and the event."""
    event = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "/trial",
        "type": "gtm.firmographic.v1" if number % 10 == 0 else "gtm.hiring.v1",
        "subject": f"acme{number % ACCOUNTS}.com",
        "time": "2026-01-31T09:00:00Z",
        "data": {"status": "active", "employees": 20 + number % 90}
        if number % 10 == 0
        else {"change": "opened", "title": f"Account Executive {number}", "function": "sales"},
    }
    topics = Topics(PREFIX)
    topic = topics.accounts if number % 10 == 0 else topics.hiring
    headers = [("content-type", CONTENT_TYPE)]
    return str(event["id"]), Message(topic.name, str(event["subject"]).encode(), orjson.dumps(event), headers)


class Trial:
    """An instance in a folder: start, feed and kill it, then look at what it has."""

    def __init__(
        self, folder: Path, events: int, *, partitions: int, seed: int = 1, log: Path | None = None
    ) -> None:
        """`log` is where the instance's own output goes."""
        self.folder, self.partitions = folder, partitions
        self.log = log or folder / "up.log"
        self.accepted: set[str] = set()
        self.seen: Log = {}
        self.randomness = random.Random(seed)
        self._events = [message(number) for number in range(events)]
        self._next = 0
        self._process: Process | None = None

    @property
    def fed(self) -> bool:
        return self._next >= len(self._events)

    def limit(self, events: int) -> None:
        """Send no more than so many events in all."""
        del self._events[events:]

    def write_rest(self, path: Path) -> Path:
        """Write the events that were not sent yet to a file, for `resegment ingest`."""
        path.write_bytes(b"\n".join(one.value or b"" for _, one in self._events[self._next :]))
        return path

    @property
    def instance(self) -> Instance:
        found = read_instance(self.folder)
        assert found is not None
        return found

    async def start(self) -> None:
        """Start it, and return when it is up. Whatever readers saw before must be there at the same offsets."""
        self._process = await self._spawn(
            "up", "--segments", str(SEGMENTS), "--http-port", "0", RESEGMENT_PARTITIONS=str(self.partitions)
        )
        await until(lambda: read_instance(self.folder) is not None or self._process.returncode is not None)  # type: ignore[union-attr]
        assert self._process.returncode is None, self.log.read_text()
        self.check_same(await self.read_log())

    def kill(self) -> None:
        """Kill every process of it."""
        assert self._process is not None
        for pid in [self._process.pid, *descendants(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Wait until its processes are gone."""
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        """Stop it cleanly."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), PATIENCE)

    async def feed(self, upto: int, *, patience: float = 5.0) -> None:
        """Send events until so many were tried or the instance is gone. What is acknowledged counts as accepted.

        An instance that acknowledges nothing for `patience` seconds is gone.
        """
        publisher = KafkaPublisher(self.instance.bootstrap, idempotent=False, timeout=patience)
        try:
            await publisher.start()
            while self._next < min(upto, len(self._events)):
                part = self._events[self._next : self._next + AT_ONCE]
                await publisher.publish([one for _, one in part])
                self.accepted.update(name for name, _ in part)
                self._next += len(part)
                if len(self.accepted) % 500 == 0:
                    await self._read_some()
        except PublishFailed:
            pass  # killed: the rest is sent again, as a source would
        finally:
            await publisher.stop()

    async def _read_some(self) -> None:
        """See what a consumer sees: it must never be taken back. The instance may die in the middle of it."""
        looking = asyncio.create_task(self.read_log())
        await asyncio.wait({looking}, timeout=10)
        if not looking.done():
            looking.cancel()
        elif not looking.cancelled() and looking.exception() is None:
            self.check_same(looking.result())

    def check_same(self, log: Log) -> None:
        for place, before in self.seen.items():
            assert log.get(place, [])[: len(before)] == before, f"{place} is not the log that it was"
        self.seen = log

    async def read_log(self) -> Log:
        """Return all records of the topics that matter."""
        topics = Topics(PREFIX)
        log: Log = {}
        for topic in (
            topics.hiring,
            topics.accounts,
            topics.signals,
            topics.segment_changes,
            topics.definitions,
        ):
            async with reading(self.instance.bootstrap, topic.name, patience=PATIENCE) as reader:
                async for records in reader.to_end():
                    found = log.setdefault((topic.name, records[0].partition), [])
                    found += [(one.offset, one.key, one.value) for one in records]
        return log

    async def settled(self) -> None:
        """Wait until everything is decided and published, by what workers report from now on: so look twice."""
        quiet, begun = 0, time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while quiet < 2:
                self.check_same(await self.read_log())
                since = time.monotonic() - begun
                status = orjson.loads((await self.run("status", "--json"))[1])
                left = sum(status["lag"].values()) + sum(one["outbox"] for one in status["partitions"])
                old = not status["workers"] or any(one["silent_seconds"] > since for one in status["workers"])
                quiet = 0 if left or old or self.accepted - self.facts_in_log() else quiet + 1
                await asyncio.sleep(1.0)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command on it."""
        process = await self._spawn(*arguments, piped=True)
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode, output.decode(), error.decode()

    async def accounts(self) -> list[dict[str, Any]]:
        code, output, error = await self.run("accounts", "--json")
        assert code == 0, error
        return sorted(
            (orjson.loads(line) for line in output.splitlines()), key=lambda one: str(one["account"])
        )

    async def lose_accounts(self) -> None:
        """Delete from Redis what it has of every partition."""
        client: Redis = Redis.from_url(self.instance.redis_url)
        try:
            for partition in range(self.partitions):
                async for key in client.scan_iter(match=f"rs:{{{PREFIX}.{partition}}}:*", count=1000):
                    await client.delete(key)
        finally:
            await client.aclose()

    async def rebuild(self) -> None:
        for partition in range(self.partitions):
            async with asyncio.timeout(PATIENCE):
                while True:  # the worker has to notice first
                    code, _, error = await self.run("rebuild", "--partition", str(partition))
                    if code == 0:
                        break
                    assert "lost" in error or "nothing" in error.lower(), error

    def facts_in_log(self) -> set[str]:
        """Return the ids of the events that became signals."""
        signals = Topics(PREFIX).signals.name
        return {
            name
            for (topic, _), records in self.seen.items()
            if topic == signals
            for _, key, value in records
            if value is not None and key is not None
            for name in _ids(value)
        }

    async def _spawn(self, *arguments: str, piped: bool = False, **variables: str) -> Process:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", "from resegment.cli import main; main()", *arguments),
                *("--folder", str(self.folder)),
                stdin=DEVNULL,
                stdout=asyncio.subprocess.PIPE if piped else log,
                stderr=asyncio.subprocess.PIPE if piped else log,
                env=environment | variables,
            )


def _ids(value: bytes) -> Sequence[str]:
    from resegment.schemas.fact import decode_fact  # noqa: PLC0415  # only where a log is looked into

    return [decode_fact(value).id]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # another process
            await asyncio.sleep(0.02)


async def check_all(trial: Trial) -> None:
    """Check what must hold once all is sent and settled."""
    await trial.settled()
    assert trial.accepted - trial.facts_in_log() == set()
    code, output, error = await trial.run("verify")
    assert code == 0, output + error
    before = await trial.accounts()
    assert len(before) == ACCOUNTS
    await trial.lose_accounts()
    await trial.rebuild()
    assert await trial.accounts() == before
