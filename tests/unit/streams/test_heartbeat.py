"""Which workers are at work: what each reports, and what is removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import orjson

from resegment.streams.heartbeat import CLEANED_EVERY, Heartbeat, read_workers

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Server:
    """One hash of a Redis."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    async def hset(self, _: str, name: str, value: bytes) -> None:
        self.entries[name.encode()] = value

    async def hgetall(self, _: str) -> dict[bytes, bytes]:
        return dict(self.entries)

    async def hdel(self, _: str, *names: bytes | str) -> None:
        for name in names:
            self.entries.pop(name if isinstance(name, bytes) else name.encode(), None)


def entry(age: float) -> bytes:
    return orjson.dumps({"at": time.time() - age, "partitions": [], "lag": {}})


async def test_the_entries_of_workers_that_were_killed_are_removed() -> None:
    server = Server()
    server.entries = {b"dead": entry(3_600), b"silent": entry(60), b"alive": entry(0)}
    client = cast("Redis", server)
    heartbeat = Heartbeat(client, "p")
    await heartbeat.report([1], {})
    assert set(server.entries) == {b"silent", b"alive", heartbeat.name.encode()}
    assert set(await read_workers(client, "p")) == {"alive", heartbeat.name}
    server.entries[b"dead too"] = entry(3_600)
    for _ in range(CLEANED_EVERY):
        await heartbeat.report([1], {})
    assert b"dead too" not in server.entries
    await heartbeat.leave()
    assert heartbeat.name.encode() not in server.entries
