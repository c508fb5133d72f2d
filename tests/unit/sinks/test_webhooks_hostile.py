"""A receiver that answers with hostile bytes: every attempt ends in time, as a short result, and no command stays."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import orjson
import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.delivery import EndpointSender, Job, read_command
from resegment.agents.keyed_queue import KeyedQueue
from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.client import MAX_RECEIVED, HttpWebhook
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.port import MAX_PROBLEM, SendResult
from resegment.sinks.webhook.signing import Secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests
TIMEOUT = 0.25
SLACK = 4.0
"""Seconds by which a loaded machine may be late."""

CLOSE, RESET, HOLD = "close", "reset", "hold"


@dataclass(frozen=True, slots=True)
class Script:
    """What the server sends for a request: parts, `pause` seconds apart, and how it ends."""

    parts: Sequence[bytes]
    end: str = CLOSE
    pause: float = 0.0


@dataclass(slots=True)
class HostileServer:
    """Answers each request with the bytes of a script, which `choose` gives for the request's body."""

    choose: Callable[[bytes], Script]
    port: int = 0
    sent: int = 0
    """Bytes that clients took, or their buffers."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            script = self.choose(await reader.readexactly(length))
            for part in script.parts:
                writer.write(part)
                await writer.drain()
                self.sent += len(part)
                await asyncio.sleep(script.pause)
            if script.end == HOLD:
                await reader.read()
            elif script.end == RESET:
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                writer.transport.abort()
        writer.close()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def hostile(choose: Callable[[bytes], Script]) -> AsyncIterator[HostileServer]:
    server = HostileServer(choose)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        server.stop()


def endpoint_at(port: int, timeout: float = TIMEOUT) -> Endpoint:
    return Endpoint.model_validate(
        {
            "url": f"http://127.0.0.1:{port}/",
            "secrets": [{"env": "A"}],
            "timeout": f"{int(timeout * 1000)}ms",
            "concurrency": 16,
            "first_wait": "1ms",
            "longest_wait": "5ms",
            "pause": "5ms",
            "give_up_after": "600ms",
            "allow_hosts": ["127.0.0.1"],
        }
    )


def webhook_at(port: int, timeout: float = TIMEOUT) -> HttpWebhook:
    return HttpWebhook(
        endpoint_at(port, timeout), [Secret.parse(SECRET)], Guard((), frozenset({"127.0.0.1"}))
    )


def is_harmless(result: SendResult) -> bool:
    if result.problem is None:
        return result.status is not None
    short = len(result.problem) <= MAX_PROBLEM and result.problem.isprintable() and bool(result.problem)
    return result.status is None and short


def redirect(location: bytes) -> Script:
    return Script([b"HTTP/1.1 302 Found\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n"])


LOCATIONS = [
    *(b"https://xn--/", b"https://a..b/", b"https://[::1", b"https://[::1]:99999/", b"//", b"http://", b""),
    *(b"https://xn--a.com/", b"https://\xff\xfe/", b"https://h:port/", b"\t", b"https://" + b"a" * 60_000),
    *(b"https://" + b"a." * 20_000, b"javascript:alert(1)", b"https://\xc3\xbc..de/", b"https://user:p@x/#f"),
]


@pytest.mark.parametrize("location", LOCATIONS, ids=lambda one: repr(one[:24]))
async def test_a_redirect_is_its_status_whatever_its_location(location: bytes) -> None:
    async with hostile(lambda _: redirect(location)) as server, webhook_at(server.port) as webhook:
        assert (await webhook.send("1", b"{}")).status == 302


@pytest.mark.parametrize("host", ["a..b", "xn--", "xn--a", "a" * 64 + ".com", "."])
async def test_a_host_that_cannot_be_looked_up_is_a_result_with_a_problem(host: str) -> None:
    endpoint = endpoint_at(1).model_copy(update={"url": f"https://{host}/"})
    async with HttpWebhook(endpoint, [Secret.parse(SECRET)], Guard()) as webhook:
        result = await webhook.send("1", b"{}")
    assert result.problem
    assert is_harmless(result)


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", bytes(100_000), b""]
)
@pytest.mark.parametrize("end", [CLOSE, RESET, HOLD])
async def test_a_broken_tls_handshake_is_a_result_with_a_problem(reply: bytes, end: str) -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(100)
            writer.write(reply)
            if end == HOLD:
                await reader.read()
            elif end == RESET:
                writer.transport.abort()
        writer.close()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = endpoint_at(port).model_copy(update={"url": f"https://127.0.0.1:{port}/"})
    async with (
        server,
        HttpWebhook(endpoint, [Secret.parse(SECRET)], Guard((), frozenset({"127.0.0.1"}))) as webhook,
    ):
        result = await webhook.send("1", b"{}")
        async with asyncio.timeout(TIMEOUT + SLACK):
            await closed.wait()  # no attempt leaves its connection open
    assert result.problem
    assert is_harmless(result)
    assert result.took < TIMEOUT + SLACK


async def test_a_name_server_that_hangs_is_asked_once_at_a_time_and_delays_no_attempt() -> None:
    asked = 0
    answers = asyncio.Event()

    async def resolve(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        await answers.wait()
        return ["127.0.0.1"]

    async with hostile(lambda _: Script([OK + b"content-length: 0\r\n\r\n"])) as server:
        endpoint = endpoint_at(server.port).model_copy(update={"url": f"http://slow.example:{server.port}/"})
        guard = Guard((), frozenset({"slow.example"}), resolve)
        async with HttpWebhook(endpoint, [Secret.parse(SECRET)], guard) as webhook:
            for _ in range(2):
                results = await asyncio.gather(*(webhook.send("1", b"{}") for _ in range(16)))
                assert {one.problem for one in results} == {"no answer within 0.25 s"}
                assert max(one.took for one in results) < TIMEOUT + SLACK
            assert asked == 1
            answers.set()
            assert (await webhook.send("1", b"{}")).status == 200
            assert (await webhook.send("1", b"{}")).status == 200
    assert asked in (1, 2), "a result is not kept for later connections"


OK = b"HTTP/1.1 200 OK\r\n"
SCRIPTS = {
    "nothing": Script([]),
    "nothing, held": Script([], HOLD),
    "reset": Script([], RESET),
    "long status line": Script([b"HTTP/1.1 200 " + b"x" * 90_000 + b"\r\n\r\n"]),
    "longer status line": Script([b"HTTP/1.1 200 " + b"x" * 200_000 + b"\r\n\r\n"]),
    "long garbage": Script([b"\xff" * 90_000 + b"\r\n\r\n"]),
    "endless line": Script([b"x" * 65_536] * 1_000),
    "no status": Script([b"HTTP/1.1\r\n\r\n"]),
    "status 0": Script([b"HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n"]),
    "status 1000": Script([b"HTTP/1.1 1000 X\r\ncontent-length: 0\r\n\r\n"]),
    "status words": Script([b"HTTP/1.1 abc X\r\n\r\n"]),
    "switching protocols": Script([b"HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n"], HOLD),
    "other protocol": Script([b"SSH-2.0-OpenSSH_9.6\r\n"], HOLD),
    "a TLS alert": Script([b"\x15\x03\x01\x00\x02\x02\x46"]),
    "HTTP/2": Script([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)]),
    "HTTP/9.9": Script([b"HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n"]),
    "informational without end": Script([b"HTTP/1.1 100 Continue\r\n\r\n" * 2_600] * 1_000),
    "a header without a colon": Script([OK + b"nonsense\r\n\r\n"]),
    "a header with NUL": Script([OK + b"a: \x00\x01\r\n\r\n"]),
    "many headers": Script([OK, *(b"a%d: b\r\n" % number for number in range(50_000))]),
    "negative length": Script([OK + b"content-length: -1\r\n\r\n"]),
    "two lengths": Script([OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"]),
    "length that never comes": Script([OK + b"content-length: 999999999999\r\n\r\n"], HOLD),
    "length beyond numbers": Script([OK + b"content-length: " + b"9" * 5_000 + b"\r\n\r\n"]),
    "huge body": Script([OK + b"content-length: 99999999999\r\n\r\n", *[bytes(65_536)] * 1_000]),
    "body until close": Script([OK + b"\r\n", *[bytes(65_536)] * 1_000]),
    "bad chunk size": Script([OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\n"]),
    "huge chunk size": Script([OK + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n"]),
    "tiny chunks": Script([OK + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n" * 10_000] * 1_000]),
    "chunk extension without end": Script(
        [OK + b"transfer-encoding: chunked\r\n\r\n1;", *[b"x" * 65_536] * 100]
    ),
    "trailers without end": Script(
        [OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", *[b"a: b\r\n" * 1_000] * 100]
    ),
    "unknown encodings": Script(
        [OK + b"transfer-encoding: gzip\r\ncontent-encoding: br\r\ncontent-length: 3\r\n\r\nabc"]
    ),
    "cut short in the head": Script([OK + b"content-le"]),
    "cut short in the body": Script([OK + b"content-length: 10\r\n\r\nabc"], RESET),
    "slow head": Script([bytes([one]) for one in OK], HOLD, 0.05),
    "slow body": Script([OK + b"content-length: 100\r\n\r\n", *[b"x"] * 100], HOLD, 0.05),
    "two responses": Script([(OK + b"content-length: 0\r\n\r\n") * 2], HOLD),
    "retry-after of year 0": Script(
        [b"HTTP/1.1 503 X\r\nretry-after: Mon, 01 Jan 0000 00:00:00 +9999\r\ncontent-length: 0\r\n\r\n"]
    ),
    "retry-after without end": Script(
        [b"HTTP/1.1 503 X\r\nretry-after: " + b"9" * 50_000 + b"\r\ncontent-length: 0\r\n\r\n"]
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_hostile_bytes_end_in_time_as_a_short_result(name: str) -> None:
    async with hostile(lambda _: SCRIPTS[name]) as server, webhook_at(server.port) as webhook:
        for _ in range(2):  # the second may use the connection of the first
            result = await webhook.send("1", b"{}")
            assert is_harmless(result), result
            assert result.took < TIMEOUT + SLACK
        assert server.sent < 32 * MAX_RECEIVED, "more is not read than buffers hold"


async def test_informational_responses_without_end_are_cut_off_long_before_the_timeout() -> None:
    script = SCRIPTS["informational without end"]
    async with hostile(lambda _: script) as server, webhook_at(server.port, timeout=20.0) as webhook:
        result = await webhook.send("1", b"{}")
    assert result.problem is not None
    assert "longer than" in result.problem
    assert result.took < 5


def mutate(chance: random.Random, script: Script) -> Script:
    """Return a script with random damage: bytes changed, parts cut, repeated, swapped or delayed."""
    joined = bytearray(b"".join(script.parts)[:5_000])
    for _ in range(chance.randrange(8)):
        if not joined:
            break
        place = chance.randrange(len(joined))
        damage = chance.randrange(4)
        if damage == 0:
            joined[place] = chance.randrange(256)
        elif damage == 1:
            del joined[place : place + chance.randrange(1, 20)]
        elif damage == 2:
            joined[place:place] = chance.randbytes(chance.randrange(1, 20))
        else:
            joined[place:place] = joined[: chance.randrange(200)]
    cuts = sorted(chance.randrange(len(joined) + 1) for _ in range(chance.randrange(5)))
    parts = [bytes(joined[a:b]) for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
    return Script(parts, chance.choice((CLOSE, CLOSE, CLOSE, RESET, HOLD)), chance.choice((0.0, 0.0, 0.02)))


def random_script(seed: str) -> Script:
    chance = random.Random(seed)
    seeds = [*SCRIPTS.values(), *map(redirect, LOCATIONS), Script([OK + b"content-length: 2\r\n\r\nok"])]
    return mutate(chance, chance.choice(seeds))


async def test_random_bytes_end_in_time_as_a_short_result() -> None:
    numbers = iter(range(600))
    slots = asyncio.Semaphore(16)
    async with (
        hostile(lambda body: random_script(body.decode())) as server,
        webhook_at(server.port) as webhook,
    ):

        async def attempt(number: int) -> SendResult:
            async with slots:
                return await webhook.send(str(number), str(number).encode())

        since = time.perf_counter()
        results = await asyncio.gather(*map(attempt, numbers))
        took = time.perf_counter() - since
        server.choose = lambda _: Script([OK + b"content-length: 2\r\n\r\nok"])
        answered = 0
        # some may meet a connection that the server is closing, and a busy machine may be late;
        # a pool without free connections would time out for all, each time
        for _ in range(20):
            afterwards = await asyncio.gather(*(webhook.send("1", b"{}") for _ in range(16)))
            answered = [one.status for one in afterwards].count(200)
            if answered >= 8:
                break
    assert all(map(is_harmless, results)), [one for one in results if not is_harmless(one)]
    assert max(one.took for one in results) < TIMEOUT + SLACK
    assert took < 600 / 16 * (TIMEOUT + SLACK)
    assert {one.status is None for one in results} == {True, False}
    assert answered >= 8


class DeadLetters:
    """A publisher in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


async def test_every_command_for_a_hostile_receiver_is_delivered_or_dead_lettered() -> None:
    total = 150
    dead_letters, settled, done = DeadLetters(), [], asyncio.Event()

    def settle(job: Job) -> None:
        settled.append(job)
        if len(settled) == total:
            done.set()

    attempts = iter(range(1_000_000))
    results = []
    async with (
        hostile(lambda _: random_script(f"delivery {next(attempts)}")) as server,
        webhook_at(server.port, timeout=0.1) as webhook,
    ):
        sender = EndpointSender(
            "crm",
            endpoint_at(server.port, 0.1),
            webhook,
            publisher=dead_letters,
            dead_letters="dead-letters",
            report=lambda _job, result, _sent: results.append(result),
        )
        queue = KeyedQueue(sender.attempt, settle, concurrency=16, sleep=asyncio.sleep)
        for number in range(total):
            value = {
                "id": str(number),
                "subject": "a.com",
                "data": {"workflow": "w", "action": "enroll"},
            }
            record = RecordedMessage(number, int(time.time() * 1000), b"%d" % number, orjson.dumps(value))
            queue.put(Job(read_command(record), Batch("commands", 0, [record]), record, time.time()))
        async with asyncio.timeout(60):
            await done.wait()
        await queue.close(0)
        assert queue.failure is None
    assert len(dead_letters.messages) == results.count("buried")
    assert results.count("buried") + results.count("delivered") == total


class Broken:
    """A sink that breaks the promise of its port."""

    async def send(self, message: str, body: bytes) -> SendResult:
        raise RuntimeError("x" * 1_000_000 + "\x1b]52;c;aGk=\x07")


async def test_an_exception_of_a_sink_is_a_problem_and_the_command_ends_in_the_dead_letters() -> None:
    dead_letters, results = DeadLetters(), []
    now = time.time()
    sender = EndpointSender(
        "crm",
        endpoint_at(1).model_copy(update={"give_up_after": 0.05}),
        Broken(),
        publisher=dead_letters,
        dead_letters="dead-letters",
        report=lambda _job, result, sent: results.append((result, sent)),
    )
    value = orjson.dumps({"id": "1", "subject": "a.com", "data": {"workflow": "w", "action": "enroll"}})
    record = RecordedMessage(0, int(now * 1000), b"a.com", value)
    job = Job(read_command(record), Batch("commands", 0, [record]), record, now)
    async with asyncio.timeout(20):
        while (wait := await sender.attempt(job)) is not None:
            await asyncio.sleep(wait)
    assert len(dead_letters.messages) == 1
    assert results[-1][0] == "buried"
    problems = [str(sent) for _, sent in results if sent is not None]  # none if it was given up in a pause
    assert problems
    assert all(one.startswith("RuntimeError: xx") and len(one) <= MAX_PROBLEM for one in problems)


@pytest.mark.parametrize("text", ["", "a", "x" * 299, "x" * 300, "x" * 301, "\x1b]52;c;aGk=\x07" * 10_000])
def test_a_problem_is_one_short_line(text: str) -> None:
    result = SendResult(problem=text)
    assert result.problem is not None
    assert len(result.problem) <= MAX_PROBLEM
    assert result.problem.isprintable()
    assert len(text) > MAX_PROBLEM or result.problem == text.strip()
