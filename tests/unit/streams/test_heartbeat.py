"""Which workers are at work: what each reports, and what is removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import orjson

from resegment.streams.heartbeat import FORGOTTEN_AFTER, LOOKED_EVERY, Heartbeat, check_stopped, read_workers

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

    async def hdel(self, _: str, *names: str) -> int:
        return sum(self.entries.pop(name.encode(), None) is not None for name in names)


def entry(age: float) -> bytes:
    return orjson.dumps({"at": time.time() - age, "partitions": [], "lag": {}})


async def test_the_entries_of_workers_that_were_killed_long_ago_are_removed() -> None:
    server = Server()
    server.entries = {b"dead": entry(FORGOTTEN_AFTER + 1), b"alive": entry(0)}
    client = cast("Redis", server)
    heartbeat = Heartbeat(client, "p")
    await heartbeat.report([1], {})
    assert set(server.entries) == {b"alive", heartbeat.name.encode()}
    assert set(await read_workers(client, "p")) == {"alive", heartbeat.name}
    server.entries[b"dead too"] = entry(FORGOTTEN_AFTER + 1)
    await report_until_it_looks(heartbeat)
    assert b"dead too" not in server.entries
    assert heartbeat.lost == 0
    await heartbeat.leave()
    assert heartbeat.name.encode() not in server.entries


async def report_until_it_looks(heartbeat: Heartbeat) -> None:
    for _ in range(LOOKED_EVERY):
        await heartbeat.report([1], {})


async def test_a_worker_that_falls_silent_is_lost_until_a_new_one_takes_its_place() -> None:
    server = Server()
    client = cast("Redis", server)
    server.entries[b"before"] = entry(60)
    old = Heartbeat(client, "p")
    await old.report([1], {})
    server.entries[b"killed"] = entry(5)
    await report_until_it_looks(old)
    assert old.lost == 0, "it may still report"
    server.entries[b"killed"] = entry(11)
    await report_until_it_looks(old)
    assert old.lost == 1
    new = Heartbeat(client, "p")
    await report_until_it_looks(new)
    await report_until_it_looks(old)
    assert (old.lost, new.lost) == (0, 0)
    assert set(await read_workers(client, "p")) == {old.name, new.name}


async def test_a_new_worker_takes_one_place_and_that_of_its_own_host_first() -> None:
    server = Server()
    heartbeat = Heartbeat(cast("Redis", server), "p")
    own = heartbeat.name.partition(":")[0]
    server.entries = {b"other:1:a": entry(60), f"{own}:1:b".encode(): entry(30)}
    await report_until_it_looks(heartbeat)
    assert set(server.entries) == {b"other:1:a", heartbeat.name.encode()}
    await report_until_it_looks(heartbeat)
    assert heartbeat.lost == 1


async def test_a_worker_takes_no_place_of_one_that_was_lost_after_it_had_started() -> None:
    server = Server()
    heartbeat = Heartbeat(cast("Redis", server), "p")
    await report_until_it_looks(heartbeat)
    later = {"at": time.time() + 0.001, "partitions": [], "lag": {}, "failed": True}
    server.entries[b"other:1:a"] = orjson.dumps(later)
    await report_until_it_looks(heartbeat)
    assert heartbeat.lost == 1


async def test_two_new_workers_take_two_places() -> None:
    server = Server()
    server.entries = {b"x:1:a": entry(60), b"x:1:b": entry(60), b"x:1:c": entry(60)}
    client = cast("Redis", server)
    both = Heartbeat(client, "p"), Heartbeat(client, "p")
    for one in both:
        await report_until_it_looks(one)
    assert len(server.entries.keys() & {b"x:1:a", b"x:1:b", b"x:1:c"}) == 1


async def test_a_worker_that_an_error_ended_is_lost_at_once_and_runs_no_more() -> None:
    server = Server()
    client = cast("Redis", server)
    failed, other = Heartbeat(client, "p"), Heartbeat(client, "p")
    await failed.report([0], {})
    await failed.leave(failed=True)
    await check_stopped(client, "p")  # a rebuild need not wait
    await report_until_it_looks(other)
    assert other.lost == 1
