"""How fast the console is, on embedded servers with many accounts; and whether its feed leaves anything out.

    python -P tests/benchmarks/console.py pages [--accounts 50000] [--changes 100000]
    python -P tests/benchmarks/console.py feed [--rate 200] [--seconds 300]
    python -P tests/benchmarks/console.py workers [--rounds 5] [--copies 2]
    python -P tests/benchmarks/console.py up [--rounds 5] [--seconds 15]

Accounts have the states of real companies (examples/yc). `pages` starts `resegment console` and asks it. `feed` writes
changes at a rate and counts what a browser gets, which loses its connection every minute. `workers` replays the
demo's events into a worker, with and without an open console beside it, in turns. `up` does the same
with `resegment up`, which serves the console itself, and measures it at rest, too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import msgspec
import orjson
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[2]))

from resegment.agents.batch import Message
from resegment.benchmarks.loading import make_prefix
from resegment.cli.connection import INSTANCE_FILE, Instance
from resegment.cli.demo.data import UNTIL, Dataset, Reading
from resegment.cli.runtime.examples import FOLDER
from resegment.embedded.servers import Embedded, embedded
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import encode_state
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.settings import Settings
from resegment.state.redis.client import connect_redis
from resegment.state.redis.keys import PartitionKeys
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from resegment.streams.operations.ingest import send_replay

PREFIX, PARTITIONS, AT_ONCE = "try", 8, 5_000
TEMPLATES = 2_000
END = parse_instant(UNTIL[Dataset.YC])


@dataclass(frozen=True)
class Templates:
    """States and changes of real companies, to be given to accounts of any name."""

    definition: Definition
    states: Sequence[tuple[bytes, str]]
    changes: Sequence[tuple[str, bytes]]


def read_templates() -> Templates:
    data = Reading(Dataset.YC).read()
    names = set(sorted({fact.account for fact, _ in data.events})[:TEMPLATES])
    facts = [fact for fact, _ in data.events if fact.account in names]
    factory = MessageFactory(data.definition, Topics(PREFIX))
    engine = Engine(Program(data.definition))
    states, changes = [], []
    for account, made in backtest(engine.program, facts, END):
        state = engine.close(account)
        states.append((encode_state(state), state.membership.segment or ""))
        changes += [(one.account, factory.change(one).value or b"") for one in made]
    return Templates(data.definition, states, changes)


async def fill(servers: Embedded, templates: Templates, accounts: int, changes: int) -> None:
    """Write accounts to Redis and changes to Kafka, as workers leave them."""
    client = connect_redis(Settings(), servers.redis.url)
    try:
        await make_prefix(servers.broker.bootstrap, client, PREFIX, partitions=PARTITIONS, clock="facts")
        sizes = [Counter[str]() for _ in range(PARTITIONS)]
        for start in range(0, accounts, AT_ONCE):
            pipe = client.pipeline(transaction=False)
            some: list[dict[str, bytes]] = [{} for _ in range(PARTITIONS)]
            for number in range(start, min(accounts, start + AT_ONCE)):
                name = name_of(number, accounts)
                part = partition_of(name.encode(), PARTITIONS)
                some[part][name], segment = templates.states[number % len(templates.states)]
                sizes[part][segment] += 1
            for part, found in enumerate(some):
                if found:
                    pipe.hset(PartitionKeys.of(PREFIX, part).accounts, mapping=found)  # type: ignore[arg-type]
            await pipe.execute()
        for part, counts in enumerate(sizes):
            keys = PartitionKeys.of(PREFIX, part)
            await client.hset(keys.meta, mapping={"commit": 1, "clock": END, "offset": 1})  # type: ignore[misc]
            await client.hset(keys.sizes, mapping=dict(counts))  # type: ignore[misc]
    finally:
        await client.aclose()
    topics = Topics(PREFIX)
    async with KafkaPublisher(servers.broker.bootstrap, client_id="try", idempotent=False) as publisher:
        chunks, version = to_records(templates.definition, 1, at=1)
        await DefinitionWriter(publisher, topics).write(*chunks, version)
        for start in range(0, changes, AT_ONCE):
            await publisher.publish(
                [
                    make_change(templates, topics, number, accounts)
                    for number in range(start, min(changes, start + AT_ONCE))
                ]
            )


def make_change(templates: Templates, topics: Topics, number: int, accounts: int) -> Message:
    """Return a change of an account; of each one they are numbered in order."""
    old, value = templates.changes[number % len(templates.changes)]
    name = name_of(number, accounts)
    value = value.replace(f'"account":"{old}"'.encode(), f'"account":"{name}"'.encode())
    value = re.sub(rb'"sequence_number":\d+', b'"sequence_number":%d' % (1 + number // accounts), value)
    return Message(topics.segment_changes.name, name.encode(), value)


def name_of(number: int, accounts: int) -> str:
    return f"company-{number % accounts}.com"


@asynccontextmanager
async def console_process(bootstrap: str, redis: str) -> AsyncIterator[tuple[str, int]]:
    """Run `resegment console`; give its address and its process."""
    options = ("--kafka", bootstrap, "--redis", redis, "--prefix", PREFIX)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "resegment", "console", *options, "--http-port", "0"),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"RESEGMENT_LOG_LEVEL": "warning"},
    )
    assert process.stderr is not None
    try:
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise SystemExit("the console ended")
            if (match := re.search(r"http://\S+?/console", line)) is not None:
                url = match[0]
        yield url, process.pid
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def timed(http: httpx.AsyncClient, path: str) -> float:
    """Return how long a page takes, ms."""
    begin = time.perf_counter()
    response = await http.get(path, follow_redirects=True)
    response.raise_for_status()
    return (time.perf_counter() - begin) * 1000


def tell(name: str, times: Sequence[float]) -> None:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    print(
        f"{name:<44} p50 {ordered[len(ordered) // 2]:7.0f} ms   p95 {p95:7.0f} ms   ({len(ordered)})",
        flush=True,
    )


async def measure_pages(accounts: int, changes: int) -> None:
    templates = read_templates()
    with tempfile.TemporaryDirectory() as folder:
        async with embedded(Path(folder)) as servers:
            await fill(servers, templates, accounts, changes)
            print(f"{accounts:,} accounts, {changes:,} changes", flush=True)
            async with (
                console_process(servers.broker.bootstrap, servers.redis.url) as (url, pid),
                httpx.AsyncClient(base_url=url, timeout=60) as http,
            ):
                begin = time.perf_counter()
                print(f"first view of a new console: {await timed(http, '/'):.0f} ms")
                names = [f"company-{random.randrange(accounts)}.com" for _ in range(300)]
                tell(
                    "account, while the index is filled",
                    [await timed(http, f"/accounts/{one}") for one in names[:100]],
                )
                while "still reading" in (await http.get("/accounts")).text:
                    await asyncio.sleep(0.25)
                print(f"everything was read after {time.perf_counter() - begin:.1f} s")
                tell("account", [await timed(http, f"/accounts/{one}") for one in names])
                tell("overview", [await timed(http, "/") for _ in range(20)])
                tell("health", [await timed(http, "/health") for _ in range(20)])
                tell("segments", [await timed(http, "/segments") for _ in range(10)])
                tell("a segment", [await timed(http, "/segments/not-now") for _ in range(10)])
                tell(
                    "its last page, by name",
                    [
                        await timed(http, "/segments/not-now?members.sort=name&members.page=1000000")
                        for _ in range(5)
                    ],
                )
                tell(
                    "search for a part of a name",
                    [await timed(http, f"/accounts?q=ny-{random.randrange(accounts)}") for _ in range(10)],
                )
                tell("changes", [await timed(http, "/changes") for _ in range(10)])
                status = Path(f"/proc/{pid}/status").read_text()  # noqa: ASYNC240  # no disk behind it
                resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0])
                print(f"memory of the console: {resident / 1024:.0f} MB")


async def measure_feed(rate: int, seconds: int) -> None:
    templates = read_templates()
    accounts, before = 50_000, 1_000
    with tempfile.TemporaryDirectory() as folder:
        async with embedded(Path(folder)) as servers:
            await fill(servers, templates, accounts, before)
            async with (
                console_process(servers.broker.bootstrap, servers.redis.url) as (url, _),
                httpx.AsyncClient(base_url=url, timeout=60) as http,
            ):
                await wait_read(http, before)
                page = await http.get("/")
                place = re.findall(r'data-place="([^"]+)"', page.text)[0]
                written = asyncio.Event()
                counting = asyncio.create_task(count_rows(url, place, written))
                late = await publish(
                    servers, templates, accounts, range(before, before + rate * seconds), rate
                )
                written.set()
                seen, breaks = await asyncio.wait_for(counting, 60)
                sent = Counter(name_of(number, accounts) for number in range(before, before + rate * seconds))
                print(
                    f"{sent.total():,} changes in {seconds} s at {rate} a second, {breaks} interruptions: "
                    f"{seen.total():,} rows, {(sent - seen).total():,} left out, {(seen - sent).total():,} too many "
                    f"(written at most {late:.2f} s late)"
                )


async def wait_read(http: httpx.AsyncClient, changes: int) -> None:
    """Wait until the console has read so many changes."""
    async with asyncio.timeout(120):
        while (
            found := (await http.get("/changes?void=1&format=json")).json()["tables"]["changes"]["total"]
        ) < changes:
            await asyncio.sleep(0.1)
    if found > changes:
        raise SystemExit(f"the console has {found:,} changes where {changes:,} were written")


async def publish(
    servers: Embedded, templates: Templates, accounts: int, numbers: Sequence[int], rate: int
) -> float:
    """Write changes at a rate; return how far it fell behind, s."""
    topics, late, size = Topics(PREFIX), 0.0, rate // 10
    begin = time.perf_counter()
    async with KafkaPublisher(servers.broker.bootstrap, client_id="try", idempotent=False) as publisher:
        for tenth, start in enumerate(range(0, len(numbers), size)):
            some = numbers[start : start + size]
            await publisher.publish([make_change(templates, topics, one, accounts) for one in some])
            due = begin + (tenth + 1) / 10
            late = max(late, time.perf_counter() - due)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return late


async def count_rows(url: str, place: str, written: asyncio.Event) -> tuple[Counter[str], int]:
    """Read the feed as a browser does, and break the connection every minute; return the rows of each account.

    It ends when all changes are written and the feed then says that it has no more.
    """
    seen, breaks = Counter[str](), 0
    while True:
        headers = {"accept": "text/event-stream", "last-event-id": place}
        async with (
            httpx.AsyncClient(timeout=60) as http,
            http.stream("GET", f"{url}/feed", headers=headers) as response,
        ):
            begun, rows = time.perf_counter(), list[str]()
            async for line in response.aiter_lines():
                if line == ": still here" and written.is_set():
                    return seen, breaks
                if line.startswith("id: "):
                    place = line[4:]
                rows += re.findall(r'<li data-seq="\d+">.*?/accounts/([^"?]+)', line)
                if not line:  # a message counts when all of it is there
                    seen.update(rows)
                    rows = []
                    if time.perf_counter() - begun > 60 and not written.is_set():
                        breaks += 1
                        break


async def measure_workers(rounds: int, copies: int) -> None:
    """Replay the demo's events into `resegment worker`, alone and with an open `resegment console` beside it, in turns.

    Each is a process of its own, as the servers are; what counts is the CPU time of the worker's process, which other work
    on the machine does not change much.
    """
    data = Reading(Dataset.YC).read()
    events = [*data.events]
    for number in range(1, copies):
        events += [copy_event(fact, value, number) for fact, value in data.events]
    found: dict[str, list[float]] = {"alone": [], "beside": []}
    for number in range(rounds):
        for way in list(found) if number % 2 == 0 else list(found)[::-1]:
            found[way].append(await replay(events, with_console=way == "beside"))
            print(f"{way}: {found[way][-1]:.2f} s of CPU in the worker", flush=True)
    medians = {way: median(some) for way, some in found.items()}
    pairs = [beside / alone - 1 for alone, beside in zip(*found.values(), strict=True)]
    print(
        f"{len(events):,} events; median CPU of the worker: {medians}; in pairs {', '.join(f'{one:+.1%}' for one in pairs)}"
    )
    print(
        f"beside an open console {medians['beside'] / medians['alone'] - 1:+.1%}, median of pairs {median(pairs):+.1%}"
    )


def copy_event(fact: Fact, value: bytes, number: int) -> tuple[Fact, bytes]:
    """Return the event of another account."""
    name = f"{number}-{fact.account}"
    raw = orjson.loads(value)
    raw["subject"], raw["id"] = name, f"{number}-{raw['id']}"
    return replace(fact, account=name, id=raw["id"]), orjson.dumps(raw)


async def replay(events: Sequence[tuple[Fact, bytes]], *, with_console: bool) -> float:
    """Return the CPU seconds of a worker that takes the events in."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as exits:
            servers = await exits.enter_async_context(embedded(Path(folder)))
            bootstrap, redis = servers.broker.bootstrap, servers.redis.url
            url, pid = await exits.enter_async_context(worker_process(bootstrap, redis))
            if with_console:
                console, _ = await exits.enter_async_context(console_process(bootstrap, redis))
                await exits.enter_async_context(viewer(console))
                await asyncio.sleep(3.0)  # the page is open
            begin = cpu_of(pid)
            async with KafkaPublisher(bootstrap, client_id="try", idempotent=False) as publisher:
                await send_replay(events, publisher, Topics(PREFIX), partitions=PARTITIONS, until=END)
            await wait_quiet(url)
            return cpu_of(pid) - begin


async def measure_up(rounds: int, seconds: int) -> None:
    """Replay the demo's events into `resegment up`, without and with its first page open, in turns; then let it rest."""
    events = Reading(Dataset.YC).read().events
    found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    for number in range(rounds):
        for way in list(found) if number % 2 == 0 else list(found)[::-1]:
            found[way].append(await replay_up(events, seconds, with_page=way == "with"))
            used, rest = found[way][-1]
            print(f"{way} a page: {used:.2f} s of CPU, at rest {rest:.1%} of a core", flush=True)
    for what, place in (("replay, s of CPU", 0), ("at rest, of a core", 1)):
        without, beside = (median(one[place] for one in found[way]) for way in ("without", "with"))
        print(f"{what}: {without:.3f} without a page, {beside:.3f} with it: {beside - without:+.3f}")


async def replay_up(
    events: Sequence[tuple[Fact, bytes]], seconds: int, *, with_page: bool
) -> tuple[float, float]:
    """Return the CPU seconds that the process takes for the events, and the part of a core that it takes after them."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as exits:
            instance = await exits.enter_async_context(up_process(Path(folder)))
            if with_page:
                await exits.enter_async_context(viewer(f"{instance.http_url}/console"))
                await asyncio.sleep(3.0)  # the page is open
            begin = cpu_of(instance.pid)
            async with KafkaPublisher(instance.bootstrap, client_id="try", idempotent=False) as publisher:
                await send_replay(
                    events, publisher, Topics(instance.prefix), partitions=PARTITIONS, until=END
                )
            await wait_quiet(instance.http_url or "")
            used = cpu_of(instance.pid) - begin
            await asyncio.sleep(10.0)  # what was last shown is shown
            begin = cpu_of(instance.pid)
            await asyncio.sleep(seconds)
            return used, (cpu_of(instance.pid) - begin) / seconds


async def wait_quiet(url: str) -> None:
    """Wait until a worker has had no lag for three looks."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http, asyncio.timeout(240):
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(1.0)
            quiet = quiet + 1 if (await http.get("/healthz")).json()["lag"] == 0 else 0


@asynccontextmanager
async def up_process(folder: Path) -> AsyncIterator[Instance]:
    """Run `resegment up` with the demo's segments until it takes events."""
    given = {"folder": str(folder / "data"), "segments": str(FOLDER / "segments.yaml"), "http_port": "0"}
    given |= {"clock": "facts", "route": "all", "log_level": "warning", "prefix": PREFIX}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", "up"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {f"RESEGMENT_{name.upper()}": value for name, value in given.items()},
    )
    try:
        async with asyncio.timeout(60):
            while not (folder / "data" / INSTANCE_FILE).exists():
                if process.returncode is not None:
                    raise SystemExit("`resegment up` ended")
                await asyncio.sleep(0.2)
        yield msgspec.json.decode((folder / "data" / INSTANCE_FILE).read_bytes(), type=Instance)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def worker_process(bootstrap: str, redis: str) -> AsyncIterator[tuple[str, int]]:
    """Run `resegment worker` until it owns all partitions; give its address and its process."""
    given = {"kafka": bootstrap, "redis": redis, "prefix": PREFIX, "clock": "facts", "route": "all"}
    given |= {"http_port": "0", "log_level": "warning", "partitions": str(PARTITIONS)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", "worker", "--segments", str(FOLDER / "segments.yaml")),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {f"RESEGMENT_{name.upper()}": value for name, value in given.items()},
    )
    assert process.stderr is not None
    try:
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise SystemExit("the worker ended")
            if (match := re.search(r"http://[^/\s]+", line)) is not None:
                url = match[0]
        async with httpx.AsyncClient(base_url=url) as http, asyncio.timeout(60):
            while len((await http.get("/healthz")).json()["partitions"]) < PARTITIONS:
                await asyncio.sleep(0.2)
        yield url, process.pid
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def viewer(url: str) -> AsyncIterator[None]:
    """Have the first page open in another process: its feed, and its health every five seconds."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", __file__, "look", "--url", url)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def look(url: str) -> None:
    """Read what a browser reads."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await http.get("/")

        async def health() -> None:
            while True:
                await asyncio.sleep(5)
                await http.get("/health")

        task = asyncio.create_task(health())
        try:
            async with http.stream("GET", "/feed", headers={"accept": "text/event-stream"}) as response:
                async for _ in response.aiter_bytes():
                    pass
        finally:
            task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["pages", "feed", "workers", "up", "look"])
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=None)
    parser.add_argument("--seconds", type=int, default=None)
    parser.add_argument("--url", default="", help="for `look`, which `workers` starts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=2)
    given = parser.parse_args()
    if given.what == "pages":
        asyncio.run(measure_pages(given.accounts, given.changes))
    elif given.what == "feed":
        asyncio.run(measure_feed(given.rate or 200, given.seconds or 300))
    elif given.what == "up":
        asyncio.run(measure_up(given.rounds, given.seconds or 15))
    elif given.what == "look":
        asyncio.run(look(given.url))
    else:
        asyncio.run(measure_workers(given.rounds, given.copies))


if __name__ == "__main__":
    main()
