"""Workers and commands where Kafka and Redis ask who is there: TLS, passwords, certificates, and the least of rights."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import re
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from redis.exceptions import NoPermissionError

from resegment.benchmarks.servers import apache
from resegment.cli.connection import INSTANCE_FILE
from resegment.schemas.times import format_instant
from resegment.settings import Settings
from resegment.state.redis.client import connect_redis
from resegment.streams.consumer.credentials import credentials_of
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.worker.loops.worker_clock import host_clock
from tests.integration.conftest import require_apache, require_redis
from tests.servers import acls
from tests.servers.certificates import Authority
from tests.servers.secured import SecuredKafka, SecuredRedis
from tests.servers.workers import PROGRAM, workers

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations"
QUICKSTART = ROOT / "examples" / "quickstart.yaml"
PATIENCE = 120.0
PARTITIONS = 2
ACTIVE = {"type": "gtm.firmographic.v1", "data": {"name": "Acme", "status": "active", "employees": 60}}
OPENED = {
    "type": "gtm.hiring.v1",
    "data": {"change": "opened", "title": "Account Executive", "function": "sales"},
}
MOVES = [(None, "established"), ("established", "hiring-now")]

USERS = ("worker", "producer", "consumer", "look", "operator")
PASSWORDS = {f"resegment-{user}": f"kafka-secret-of-{user}" for user in USERS}
REDIS_PASSWORDS = {user: f"redis-secret-of-{user}" for user in ("worker", "look", "both")}
SECRETS = [*PASSWORDS.values(), *REDIS_PASSWORDS.values()]

Given = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """Secured servers, and the folder in which secrets and certificates are."""

    kafka: SecuredKafka
    redis: SecuredRedis
    authority: Authority
    stranger: Authority
    folder: Path

    @property
    def tls(self) -> Given:
        """TLS to both, and nobody is asked who he is."""
        return {
            "kafka": self.kafka.at("tls"),
            "kafka_tls": True,
            "kafka_ca": self.authority.cert,
            "redis": self.redis.tls_url,
            "redis_ca": self.authority.cert,
        }

    def user(self, name: str, *, mechanism: str = "SCRAM-SHA-512") -> Given:
        """A user of Kafka, and of Redis the one whose rights it needs; passwords from files."""
        of_redis = "worker" if name in ("worker", "operator") else "look"
        return {
            **self.tls,
            "kafka": self.kafka.at("sasl"),
            "kafka_sasl": mechanism,
            "kafka_username": f"resegment-{name}",
            "kafka_password_file": self._file(f"kafka-{name}", PASSWORDS[f"resegment-{name}"]),
            "redis_username": f"resegment-{of_redis}",
            "redis_password_file": self._file(f"redis-{of_redis}", REDIS_PASSWORDS[of_redis]),
        }

    def bearer(self, name: str) -> Given:
        """The bearer of a client certificate, to both."""
        shown = self.authority.issue(name)
        return {
            **self.tls,
            "kafka": self.kafka.at("mutual"),
            "kafka_cert": shown.cert,
            "kafka_key": shown.key,
            "redis_cert": shown.cert,
            "redis_key": shown.key,
        }

    def _file(self, name: str, secret: str) -> Path:
        file = self.folder / f"{name}.txt"
        file.write_text(f"{secret}\n")
        return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    require_apache()
    require_redis()
    folder = tmp_path_factory.mktemp("secured")
    authority, stranger = Authority(folder / "ours"), Authority(folder / "theirs", "stranger")
    rights = (OPERATIONS / "redis.acl").read_text() + "user resegment-both on >BOTH_PASSWORD ~* +@all\n"
    for user, password in REDIS_PASSWORDS.items():
        rights = rights.replace(f"{user.upper()}_PASSWORD", password)
    async with AsyncExitStack() as exits:
        await asyncio.to_thread(apache.fetch_jars)
        kafka = SecuredKafka(folder, authority, PASSWORDS)
        redis = SecuredRedis(folder, authority, rights)
        for server in (kafka, redis):
            await server.start()
            exits.push_async_callback(server.stop)
        await asyncio.to_thread(kafka.add_users, PASSWORDS)
        await allow(folder, kafka.bootstrap)
        yield Place(kafka, redis, authority, stranger, folder)


async def allow(folder: Path, bootstrap: str, **names: str) -> None:
    """Apply the documented rights to the broker."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    tool = tools / "kafka-acls.sh"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{acls.__file__}" "$@"\n')
    tool.chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "sh",
        str(OPERATIONS / "kafka-acls.sh"),
        env={**os.environ, "PATH": path, "BOOTSTRAP": bootstrap, **names},
    )
    assert await process.wait() == 0


async def command(*arguments: str, given: Given, text: str = "") -> tuple[int, str, str]:
    """Run a command; whatever it is, no secret comes out of it."""
    settings = {f"RESEGMENT_{name.upper()}": str(value) for name, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "COLUMNS": "300", **settings},
    )
    async with asyncio.timeout(PATIENCE):
        out, error = (each.decode() for each in await process.communicate(text.encode()))
    assert process.returncode is not None
    tell_no_secret(out + error)
    return process.returncode, out, error


def tell_no_secret(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


def event(number: int, about: Mapping[str, Any]) -> str:
    base = {"specversion": "1.0", "id": str(number), "source": "/test", "subject": "acme.com"}
    return json.dumps({**base, "time": format_instant(host_clock()), **about}) + "\n"


@asynccontextmanager
async def consuming(given: Given, topic: str, group: str | None) -> AsyncIterator[AIOKafkaConsumer]:
    security = secure_kafka(Settings(**given)).clients()
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=str(given["kafka"]), group_id=group, auto_offset_reset="earliest", **security
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def moves(given: Given, prefix: str, number: int) -> list[tuple[str | None, str]]:
    """The first so many changes, as a consumer of the topic gets them."""
    group = f"{prefix}-consumer-{uuid.uuid4().hex}"
    async with asyncio.timeout(PATIENCE), consuming(given, f"{prefix}.segment-changes", group) as topic:
        data = [json.loads((await topic.getone()).value)["data"] for _ in range(number)]
    return [(one["from"], one["to"]) for one in data]


async def produce(given: Given, topic: str, value: bytes) -> None:
    security = secure_kafka(Settings(**given)).clients()
    async with AIOKafkaProducer(bootstrap_servers=str(given["kafka"]), **security) as producer:
        await producer.send_and_wait(topic, value)


async def go_the_whole_way(
    folder: Path, prefix: str, *, worker: Given, producer: Given, consumer: Given, look: Given
) -> None:
    """Events go in, changes come out, the status is healthy; each with the rights of its own."""
    one = {"prefix": prefix}
    settings = {**worker, **one, "segments": QUICKSTART, "partitions": PARTITIONS, "log_level": "debug"}
    async with workers(folder, **settings) as group:
        running = await group.start()
        for number, about in enumerate((ACTIVE, OPENED)):
            code, _, error = await command(
                "ingest", "-", given={**producer, **one}, text=event(number, about)
            )
            assert code == 0, error
            assert await moves(consumer, prefix, number + 1) == MOVES[: number + 1]
        await become_healthy({**look, **one})
        await group.stop(running)
        tell_no_secret(group.said())


async def become_healthy(given: Given) -> None:
    """Wait until the status tells of no problem, by what the worker reports each second."""
    told = (-1, "", "")
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (told := await command("status", "--json", given=given))[0] != 0:
                pass
    code, out, error = told
    assert (code, json.loads(out)["problems"]) == (0, []), error


# The whole way


async def test_all_goes_over_tls(place: Place, tmp_path: Path) -> None:
    given = place.tls
    await go_the_whole_way(tmp_path, "over-tls", worker=given, producer=given, consumer=given, look=given)


async def test_all_goes_with_client_certificates(place: Place, tmp_path: Path) -> None:
    prefix, given = "by-certificate", place.bearer("bearer")
    names = dict.fromkeys(("WORKER", "PRODUCER", "CONSUMER", "LOOK", "OPERATOR"), "User:bearer")
    await allow(place.folder, place.kafka.bootstrap, PREFIX=prefix, **names)
    await go_the_whole_way(tmp_path, prefix, worker=given, producer=given, consumer=given, look=given)


async def test_all_goes_with_passwords_and_no_more_rights_than_documented(
    place: Place, tmp_path: Path
) -> None:
    look = place.user("look", mechanism="PLAIN")
    await go_the_whole_way(
        tmp_path,
        "resegment",
        worker=place.user("worker"),
        producer=place.user("producer"),
        consumer=place.user("consumer"),
        look=look,
    )
    await refuse_what_is_not_granted(place)
    segments = ("--segments", str(QUICKSTART))
    for arguments in (
        ("changes", "--json"),
        ("accounts", "--json"),
        ("dead-letters", "list", "--json"),
        ("explain", "acme.com", *segments),
        ("verify", *segments),
    ):
        code, out, error = await command(*arguments, given=look)
        assert code == 0, f"{arguments}: {out}{error}"
    await retry_a_dead_letter(place)
    client = connect_redis(Settings(redis=place.redis.url), place.redis.url)
    await client.flushall()
    await client.aclose()
    worker = {**place.user("worker"), "partitions": PARTITIONS}
    code, out, error = await command("rebuild", *segments, given=worker)
    assert code == 0, out + error
    code, out, error = await command("verify", *segments, given=look)
    assert code == 0, out + error


async def refuse_what_is_not_granted(place: Place) -> None:
    for user, topic in (
        ("worker", "resegment.triggers.replay"),
        ("producer", "resegment.signals"),
        ("consumer", "resegment.segment-changes"),
        ("look", "resegment.dead-letters"),
    ):
        with pytest.raises(KafkaError) as refused:
            await produce(place.user(user), topic, b"{}")
        assert "Authorization" in type(refused.value).__name__
    for user, topic, group in (
        ("producer", "resegment.segment-changes", None),
        ("consumer", "resegment.signals", None),
        ("consumer", "resegment.segment-changes", "resegment"),
    ):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises((TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
                async with consuming(place.user(user), topic, group) as records:
                    await records.getone()
    for user, *words in (
        ("worker", "FLUSHALL"),
        ("worker", "KEYS", "*"),
        ("worker", "HGETALL", "rs:{another}:prefix"),
        ("worker", "HGETALL", "rs:{resegment2.0}:meta"),
        ("look", "HSET", "rs:{resegment}:prefix", "clock", "facts"),
        ("look", "EVAL", "return 1", "0"),
    ):
        client = connect_redis(Settings(**place.user(user)), place.redis.tls_url)
        with pytest.raises(NoPermissionError):
            await client.execute_command(*words)  # type: ignore[no-untyped-call]
        await client.aclose()


async def retry_a_dead_letter(place: Place) -> None:
    await produce(place.user("producer"), "resegment.triggers.hiring", b"no event")
    worker = {**place.user("worker"), "segments": QUICKSTART, "partitions": PARTITIONS}
    async with workers(place.folder, **worker) as group:
        running = await group.start()
        look = place.user("look")
        async with asyncio.timeout(PATIENCE), consuming(look, "resegment.dead-letters", None) as letters:
            await letters.getone()
        code, out, error = await command(
            "dead-letters", "retry", "--reason", "not-json", given=place.user("operator")
        )
        assert code == 0, out + error
        await group.stop(running)
        tell_no_secret(group.said())


# What is refused, and how it is told


def refusals(place: Place) -> dict[str, tuple[Given, str]]:
    """Settings that are wrong in one thing, and what is said."""
    user, stranger = place.user("worker"), place.stranger.cert
    wrong = place.folder / "wrong.txt"
    wrong.write_text("not-the-password")
    no_tls = {name: value for name, value in user.items() if name not in ("kafka_tls", "kafka_ca")}
    return {
        "a wrong password": ({**user, "kafka_password_file": wrong}, "the user resegment-worker is refused"),
        "an unknown user": ({**user, "kafka_username": "nobody"}, "the user nobody is refused"),
        "an unknown authority": (
            {**user, "kafka_ca": stranger},
            "certificate is not accepted: unable to get",
        ),
        "an expired certificate": (
            {**place.tls, "kafka": place.kafka.at("expired")},
            "certificate is not accepted: certificate has expired",
        ),
        "no client certificate": ({**place.tls, "kafka": place.kafka.at("mutual")}, "RESEGMENT_KAFKA_CERT"),
        "a mechanism that is off": (
            {**user, "kafka_sasl": "SCRAM-SHA-256"},
            "does not support SASL SCRAM-SHA-256",
        ),
        "users where nobody is asked": ({**user, "kafka": place.kafka.at("tls")}, "does not support SASL"),
        "no TLS where it is spoken": (
            {"kafka": place.kafka.at("tls"), "redis": place.redis.url},
            "this client opened it with PLAINTEXT",
        ),
        "a password in plain text": (
            {**no_tls, "kafka": place.kafka.at("plain")},
            "SASL without TLS would send the password in plain text",
        ),
        "a file that is not there": (
            {**user, "kafka_password_file": place.folder / "none"},
            "cannot read the file of kafka_password",
        ),
        "a wrong password of Redis": (
            {**user, "redis_password_file": wrong},
            "the user or password is refused: invalid username-password pair",
        ),
        "no password of Redis": (
            {**place.tls, "redis_username": "resegment-worker"},
            "the user or password is refused",
        ),
        "an unknown authority of Redis": (
            {**user, "redis_ca": stranger},
            ": the server's certificate is not accepted",
        ),
        "no TLS where Redis speaks it": (
            {"kafka": place.kafka.at("tls"), "redis": place.redis.tls_url.replace("rediss://", "redis://")},
            "Redis: cannot ",
        ),
        "rights that do not suffice": (
            {**user, "redis_username": "resegment-look", "redis_password": REDIS_PASSWORDS["look"]}
            | {"redis_password_file": place.user("look")["redis_password_file"]},
            "Redis: cannot set up the prefix: this user has no permissions to run the 'hsetnx' command",
        ),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "a wrong password",
        "an unknown user",
        "an unknown authority",
        "an expired certificate",
        "no client certificate",
        "a mechanism that is off",
        "users where nobody is asked",
        "no TLS where it is spoken",
        "a password in plain text",
        "a file that is not there",
        "a wrong password of Redis",
        "no password of Redis",
        "an unknown authority of Redis",
        "no TLS where Redis speaks it",
        "rights that do not suffice",
    ],
)
async def test_a_worker_says_at_once_what_is_wrong_and_ends(place: Place, wrong: str) -> None:
    given, said = refusals(place)[wrong]
    code, _, error = await command(
        "worker", "--segments", str(QUICKSTART), "--http-port", "0", given={"prefix": "resegment", **given}
    )
    assert code == 1
    assert said in error
    assert "Traceback" not in error


async def test_a_password_in_plain_text_is_sent_where_that_is_asked_for(place: Place) -> None:
    user = {
        name: value for name, value in place.user("look").items() if name not in ("kafka_tls", "kafka_ca")
    }
    given = {**user, "kafka": place.kafka.at("plain"), "kafka_allow_plaintext_sasl": True}
    async with consuming(given, "resegment.signals", None) as topic:
        assert "resegment.refresh-requests" not in await topic.topics()


@pytest.mark.parametrize("arguments", [("changes",), ("dead-letters", "list"), ("ingest", "-")])
async def test_commands_say_at_once_what_is_wrong(
    place: Place, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    given = {**place.tls, "prefix": "asked"}
    settings = {**given, "segments": QUICKSTART, "partitions": PARTITIONS}
    async with workers(tmp_path, **settings) as group:
        await group.stop(await group.start())
    code, _, error = await command(
        *arguments, given={**given, "kafka_ca": place.stranger.cert}, text=event(1, OPENED)
    )
    assert code == 1
    assert "the broker's certificate is not accepted: unable to get local issuer certificate" in error


# Secrets


async def test_an_instance_on_servers_of_others_keeps_and_shows_no_password(
    place: Place, tmp_path: Path
) -> None:
    password = REDIS_PASSWORDS["both"]
    user = {
        name: value
        for name, value in place.user("worker").items()
        if name not in ("redis_username", "redis_password_file")
    }
    given = {
        **user,
        "redis": place.redis.tls_url.replace("rediss://", f"rediss://resegment-both:{password}@"),
        "kafka_password": PASSWORDS["resegment-worker"],
        "segments": QUICKSTART,
        "partitions": PARTITIONS,
        "folder": tmp_path,
        "http_port": 0,
    }
    del given["kafka_password_file"]
    settings = {f"RESEGMENT_{name.upper()}": str(value) for name, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), "up"), stdout=PIPE, stderr=PIPE, env={**os.environ, **settings}
    )
    async with asyncio.timeout(PATIENCE):
        while not (tmp_path / INSTANCE_FILE).exists():
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.05)
    kept = (tmp_path / INSTANCE_FILE).read_text()
    process.terminate()
    out, error = (each.decode() for each in await asyncio.wait_for(process.communicate(), PATIENCE))
    assert process.returncode == 0, error
    assert "rediss://resegment-both@" in kept
    tell_no_secret(kept + out + error)


@pytest.mark.parametrize("arguments", [("--help",), ("worker", "--help"), ("schema", "settings")])
async def test_help_and_settings_are_shown_without_their_values(arguments: tuple[str, ...]) -> None:
    given = {
        "kafka_password": SECRETS[0],
        "redis_password": SECRETS[-1],
        "redis": f"redis://:{SECRETS[-1]}@host",
    }
    code, _, error = await command(*arguments, given=given)
    assert code == 0, error


def test_what_holds_a_secret_does_not_show_it(place: Place) -> None:
    settings = Settings(
        **{**place.user("worker"), "kafka_password": SECRETS[0], "redis_password": REDIS_PASSWORDS["worker"]}
    )
    client = connect_redis(settings, place.redis.tls_url)
    shown = [settings, secure_kafka(settings), credentials_of(secure_kafka(settings))]
    tell_no_secret(" ".join(repr(one) for one in shown))
    tell_no_secret(settings.model_dump_json())
    del client


# What is open


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports at which a process listens, TCP over IPv4 and IPv6."""
    mine = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in mine:
                address, _, port = local.partition(":")
                found.add((address, int(port, 16)))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens where")
async def test_a_worker_listens_on_loopback_only_and_takes_no_pickles(place: Place, tmp_path: Path) -> None:
    prefix, trace = "open", tmp_path / "unpickled"
    settings = {**place.tls, "prefix": prefix, "segments": QUICKSTART, "partitions": PARTITIONS}
    async with workers(tmp_path, **settings) as group:
        worker = await group.start()
        served = re.search(r"http://127\.0\.0\.1:(\d+)/healthz", group.said())
        assert served is not None
        await produce(settings, f"{prefix}.triggers.hiring", pickle.dumps(_Bomb(trace)))
        async with asyncio.timeout(PATIENCE), consuming(settings, f"{prefix}.dead-letters", None) as letters:
            letter = await letters.getone()
        assert dict(letter.headers)["dl_reason"] == b"not-json"
        assert not trace.exists()
        assert listening(worker.pid) == {("0100007F", int(served[1]))}
        await group.stop(worker)


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._trace,)
