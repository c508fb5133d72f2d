"""The embedded servers: they answer, keep or forget as promised, report their death, and end with their parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from resegment.benchmarks.servers.apache import free_port
from resegment.embedded import server
from resegment.embedded.folder import FolderInUse, held
from resegment.embedded.server import PortTaken, ServerDied, ServerNotReady
from resegment.embedded.servers import Broker, RedisServer, embedded

DEADLINE = 120.0

PARENT = """
import asyncio, json, os, sys
from pathlib import Path
from resegment.embedded.servers import embedded

async def main():
    async with embedded(Path(sys.argv[1])) as both:
        print(json.dumps([both.broker.pid, both.redis.pid, both.redis_url]), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

FOLLOWER = """
import os, signal, subprocess, sys
guard = "import sys; from resegment.embedded.guard import follow; sys.exit(follow(int(sys.argv[1]), 15, sys.argv[2:]))"
server = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", guard, str(os.getpid()), sys.executable, "-c", server])
signal.pause()
"""


def redis(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True)


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(FileNotFoundError):  # a zombie has ended, though nobody has collected it yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def seen(pid: int, what: str) -> str:
    """What the system shows of a process."""
    return Path(f"/proc/{pid}/{what}").read_text()


async def start_and_stop(folder: Path, **ports: int) -> None:
    async with embedded(folder, **ports):
        pass


async def gone(*pids: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def program(text: str, *arguments: str) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    """A Python program in another process, and the first line that it prints."""
    command = [sys.executable, "-P", "-c", text, *arguments]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | paths) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        try:
            yield process, await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), DEADLINE)
        finally:
            process.kill()


async def test_both_servers_answer(tmp_path: Path) -> None:
    async with embedded(tmp_path) as both:
        async with admin(both.bootstrap) as kafka:
            await kafka.create_topics([NewTopic("signals", 8, 1)])
            assert await kafka.list_topics() == ["signals"]
        async with redis(both.redis_url) as client:
            assert await client.set("a", "1")
            config = await client.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind")
        assert config == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }
        assert not both.failed.done()


async def test_other_users_of_the_machine_reach_neither_the_data_nor_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEGMENT_REDIS_PASSWORD", "secret-of-another-server")
    folder = tmp_path / "instance"
    async with embedded(folder) as both:
        async with redis(both.redis_url) as client:
            await client.set("a", "1")
        async with redis("redis://" + both.redis_url.rpartition("@")[2]) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.get("a")
        modes = {one: one.stat().st_mode & 0o777 for one in (folder, *folder.rglob("*"))}
        assert {mode for one, mode in modes.items() if one.is_dir()} == {0o700}
        assert {mode for one, mode in modes.items() if one.is_file()} == {0o600}
        assert any("aof" in one.name for one in modes)
        for pid in (both.broker.pid, both.redis.pid):
            assert "secret-of-another-server" not in seen(pid, "environ")
            assert both.redis_url.partition("@")[0][-20:] not in seen(pid, "cmdline")


async def test_both_servers_are_gone_after_the_block(tmp_path: Path) -> None:
    async with embedded(tmp_path) as both:
        pids = both.broker.pid, both.redis.pid
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    assert not both.failed.done()


async def test_redis_keeps_over_a_restart_what_the_broker_forgets(tmp_path: Path) -> None:
    async with embedded(tmp_path) as first:
        async with admin(first.bootstrap) as kafka:
            await kafka.create_topics([NewTopic("signals", 8, 1)])
        async with redis(first.redis_url) as client:
            await client.set("position", "42")
        first_cluster = first.broker.cluster_id
    async with embedded(tmp_path) as second:
        async with admin(second.bootstrap) as kafka:
            assert await kafka.list_topics() == []
            described = await kafka.describe_cluster()
        async with redis(second.redis_url) as client:
            assert await client.get("position") == "42"
    assert described["cluster_id"] == second.broker.cluster_id != first_cluster


async def test_a_killed_parent_leaves_no_orphan_and_its_redis_has_kept_all(tmp_path: Path) -> None:
    async with program(PARENT, str(tmp_path)) as (parent, line):
        broker, store, url = json.loads(line)
        async with redis(url) as client:
            await client.set("position", "42")
        parent.kill()
        await gone(broker, store)
    async with embedded(tmp_path) as again, redis(again.redis_url) as client:
        assert await client.get("position") == "42"


async def test_a_folder_stays_held_until_the_servers_of_a_killed_parent_have_ended(tmp_path: Path) -> None:
    async with program(PARENT, str(tmp_path)) as (parent, line):
        broker, store, _ = json.loads(line)
        os.kill(store, signal.SIGSTOP)  # it cannot end yet
        parent.kill()
        parent.wait()
        await gone(broker)
    with pytest.raises(FolderInUse) as refused:
        async with held(tmp_path, patience=0.1):
            pass
    assert refused.value.pid is None
    again = asyncio.create_task(start_and_stop(tmp_path))
    os.kill(store, signal.SIGCONT)
    await again
    assert not alive(store)


async def test_the_portable_guard_ends_the_server_of_a_killed_parent() -> None:
    async with program(FOLLOWER) as (parent, line):
        followed = int(line)
        assert alive(followed)
        parent.kill()
        await gone(followed)


async def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(tmp_path: Path) -> None:
    async with embedded(tmp_path) as both:
        assert os.getsid(both.broker.pid) != os.getsid(0) != os.getsid(both.redis.pid)


@pytest.mark.parametrize("name", ["broker", "redis"])
async def test_a_server_that_is_killed_is_reported(tmp_path: Path, name: str) -> None:
    async with embedded(tmp_path) as both:
        os.kill(getattr(both, name).pid, signal.SIGKILL)
        died = await asyncio.wait_for(both.failed, DEADLINE)
        other = both.redis.pid if name == "broker" else both.broker.pid
        assert alive(other)
    assert (died.server, died.exit_code) == (name, -signal.SIGKILL)
    assert died.log_tail
    assert died.log_tail in str(died)
    assert died.log == tmp_path / "logs" / f"{name}.log"
    assert not alive(other)


async def test_the_same_folder_twice_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    async with embedded(tmp_path) as first:
        with pytest.raises(FolderInUse) as refused:
            await start_and_stop(tmp_path)
        assert refused.value.pid == os.getpid()
        assert str(os.getpid()) in str(refused.value)
        async with redis(first.redis_url) as client:
            assert await client.ping()


async def test_a_folder_held_by_another_process_is_refused_and_names_it(tmp_path: Path) -> None:
    async with program(PARENT, str(tmp_path)) as (parent, _):
        with pytest.raises(FolderInUse) as refused:
            await start_and_stop(tmp_path)
        assert refused.value.pid == parent.pid


@pytest.mark.parametrize("option", ["kafka_port", "redis_port"])
async def test_a_port_that_is_taken_is_refused_by_name_and_nothing_is_left(
    tmp_path: Path, option: str
) -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(PortTaken) as refused:
            await start_and_stop(tmp_path, **{option: port})
    assert refused.value.port == port
    await start_and_stop(tmp_path, **{option: port})


async def test_ports_lost_to_a_faster_program_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = server._free_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = iter([taken, taken])
        monkeypatch.setattr(server, "_free_port", lambda: next(offered, None) or find())
        store = RedisServer(tmp_path)
        await store.start()
        try:
            assert store.port != taken
        finally:
            await store.stop()


async def test_a_server_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    class Mute(RedisServer):
        async def answers(self, port: int) -> bool:
            await super().answers(port)
            return False

        async def _spawn(self, command: list[str]) -> asyncio.subprocess.Process:
            process = await super()._spawn(command)
            async with asyncio.timeout(DEADLINE):
                while "Valkey is starting" not in self.log.read_text():
                    await asyncio.sleep(0.02)
            return process

    store = Mute(tmp_path, patience=0.3)
    with pytest.raises(ServerNotReady) as late:
        await store.start()
    assert "Valkey is starting" in late.value.log_tail
    await gone(int(late.value.log_tail.partition(":")[0]))


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ServerDied) as died:
        await start_and_stop(tmp_path)
    assert died.value.server == "redis"
    assert "manifest" in str(died.value)


async def test_a_server_restarts_on_its_port_and_stops_twice_in_peace(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    first = broker.bootstrap, broker.cluster_id
    os.kill(broker.pid, signal.SIGKILL)
    assert await broker.wait() == -signal.SIGKILL
    await broker.start()
    assert broker.bootstrap == first[0]
    assert broker.cluster_id != first[1]
    pid = broker.pid
    await broker.stop()
    await broker.stop()
    assert not alive(pid)
    assert (tmp_path / "logs" / "broker.log.1").exists()


async def test_a_server_deaf_to_the_wish_to_stop_is_killed(tmp_path: Path) -> None:
    store = RedisServer(tmp_path)
    await store.start()
    pid = store.pid
    os.kill(pid, signal.SIGSTOP)
    await store.stop(deadline=0.1)
    assert not alive(pid)
