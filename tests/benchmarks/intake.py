"""Measure the HTTP intake: single posts at a rate, on connections that stay open, with the time until each answer.

Run `python -m tests.benchmarks.intake [--rate 2000] [--seconds 60] [--kafka HOST:PORT | --apache]`. The intake is a process of its own on
one core; this process, which sends, and the broker have the others. Without --kafka or --apache, the embedded broker is started.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import orjson

from resegment.benchmarks.servers import apache
from resegment.embedded.servers import embedded
from resegment.http.intake.keys import make_key
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.topics import Topics

CONNECTIONS = 64
EVENT = {
    "specversion": "1.0", "source": "/bench", "type": "gtm.hiring.v1", "time": "2026-01-31T09:00:00Z",
    "data": {"change": "opened", "title": "Account Executive", "function": "sales", "url": "https://jobs.example.com/" + "x" * 100},
}  # fmt: skip


class Measured(NamedTuple):
    """The answers, the seconds that all took, and the time of each from when it was due."""

    accepted: int
    other: int
    seconds: float
    waits: list[float]


async def send(port: int, key: str, rate: int, seconds: float) -> Measured:
    """Send single events at a rate; a post that is due waits for a connection that is free."""
    due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    waits: list[float] = []
    counts = {"accepted": 0, "other": 0}
    head = (
        f"POST /events HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        "content-type: application/cloudevents+json\r\ncontent-length: "
    )

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            number, at = await due.get()
            body = orjson.dumps(EVENT | {"id": str(number), "subject": f"company-{number % 20_000}.com"})
            writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            waits.append(time.perf_counter() - at)
            counts["accepted" if answer.startswith(b"HTTP/1.1 202") else "other"] += 1

    tasks = [asyncio.create_task(work()) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    total = int(rate * seconds)
    number = 0
    while number < total:
        now = time.perf_counter() - begun
        while number < total and number / rate <= now:
            due.put_nowait((number, begun + number / rate))
            number += 1
        await asyncio.sleep(0.001)
    while len(waits) < total:  # the last answers
        await asyncio.sleep(0.01)
    took = time.perf_counter() - begun
    for task in tasks:
        task.cancel()
    return Measured(counts["accepted"], counts["other"], took, waits)


async def start_intake(
    folder: Path, bootstrap: str, redis: str, core: int | None, prefix: str = "bench"
) -> tuple[Process, int, str]:
    """Start the intake on one core; return it with its port and a key."""
    key, digest = make_key()
    keys = folder / "keys.yaml"
    keys.write_text(f"keys:\n  - {{name: bench, sha256: {digest}}}\n")
    environment = os.environ | {
        "RESEGMENT_KAFKA": bootstrap,
        "RESEGMENT_REDIS": redis,
        "RESEGMENT_PREFIX": prefix,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "resegment", "intake", "--keys", str(keys), "--http-port", "0",
        stdout=DEVNULL, stderr=PIPE, env=environment,
    )  # fmt: skip
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    assert process.stderr is not None
    while b"The intake is running" not in (line := await process.stderr.readline()):
        if not line:
            raise SystemExit("the intake did not start")
    url = line.decode() + (await process.stderr.readline()).decode()
    port = int(url.split("http://127.0.0.1:")[1].split("/")[0])
    asyncio.get_running_loop().create_task(_drain(process))
    return process, port, key


async def _drain(process: Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main(rate: int, seconds: float, kafka: str | None, *, own: bool) -> None:
    """Measure, and print one line."""
    cores = sorted(os.sched_getaffinity(0))
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores[1:]))
        servers = await exits.enter_async_context(embedded(folder / "servers"))
        bootstrap = kafka or servers.bootstrap
        if own:
            (node,) = await exits.enter_async_context(apache.cluster(folder / "kafka"))
            bootstrap = node.bootstrap
        await asyncio.to_thread(create_topics, bootstrap, Topics("bench"), partitions=8, replication=1)
        process, port, key = await start_intake(folder, bootstrap, servers.redis_url, cores[0])
        try:
            await send(port, key, rate, 2)
            before = cpu_of(process.pid)
            found = await send(port, key, rate, seconds)
            used = cpu_of(process.pid) - before
        finally:
            process.terminate()
            await process.wait()
    ordered = sorted(found.waits)
    shown = {
        name: round(ordered[int(len(ordered) * share)] * 1000, 1)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    print(
        f"{found.accepted / found.seconds:,.0f} accepted a second, {found.other} other answers, "
        f"p50 {shown['p50']} ms, p99 {shown['p99']} ms, worst {ordered[-1] * 1000:.0f} ms, "
        f"{used / found.seconds:.0%} of a core"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kafka")
    parser.add_argument("--apache", action="store_true", help="start Apache Kafka: needs Java 17 and Maven")
    given = parser.parse_args()
    asyncio.run(main(given.rate, given.seconds, given.kafka, own=given.apache))
