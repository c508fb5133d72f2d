"""Workflow commands on their way to webhooks, over a real broker, a real Redis and real HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiokafka.client import AIOKafkaClient
from redis.asyncio import Redis
from standardwebhooks import Webhook as Verifier

from resegment.agents.batch import Message
from resegment.cli.operations.dead_letters import choose
from resegment.http.delivery import health_of
from resegment.metrics import Metrics
from resegment.settings import Settings
from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.client import HttpWebhook
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.endpoints import LoadedEndpoint
from resegment.sinks.webhook.signing import Secret
from resegment.state.redis.webhooks import WebhookStates
from resegment.streams.delivery.service import DeliveryService, delivering, group_of
from resegment.streams.kafka.admin import count_partitions, create_topics
from resegment.streams.kafka.group_offsets import place
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import DeadLetter, read_dead_letters, retry_dead_letters
from tests.integration.conftest import Stack
from tests.raw_batches import Given, batch_of, produce
from tests.servers.certificates import Authority
from tests.servers.receiver import HANG, RESET, Receiver, receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 4
PATIENCE = 120.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests
NAMES = count()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def publisher(stack: Stack) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher:
        yield publisher


@pytest.fixture
def topics(stack: Stack) -> Topics:
    """Those of a prefix of the test's own."""
    topics = Topics(f"webhooks{next(NAMES)}")
    wanted = [topics.workflow_commands, topics.segment_changes, topics.dead_letters]
    create_topics(stack.bootstrap, wanted, partitions=PARTITIONS)
    return topics


def command(
    topics: Topics, number: int, account: str, workflow: str = "crm", action: str = "enroll"
) -> Message:
    event = {
        "specversion": "1.0",
        "id": f"{account}-{number}",
        "source": "/resegment/router",
        "type": "gtm.workflow-command.v1",
        "subject": account,
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "action": action,
            "account": account,
            "workflow": workflow,
            "idempotency_key": f"{account}-{number}",
        },
    }
    headers = [("content-type", b"application/cloudevents+json"), ("workflow", workflow.encode())]
    return Message(topics.workflow_commands.name, account.encode(), orjson.dumps(event), headers)


def endpoint(receiver: Receiver, **given: Any) -> Endpoint:
    quick = {"first_wait": "20ms", "longest_wait": "200ms", "pause": "100ms", "timeout": "30s"}
    return Endpoint.model_validate(
        {
            "url": f"http://127.0.0.1:{receiver.port}/hook",
            "secrets": [{"env": "SECRET"}],
            "allow_hosts": ["127.0.0.1"],
            **quick,
            **given,
        }
    )


def loaded(name: str, one: Endpoint) -> LoadedEndpoint:
    return LoadedEndpoint(name, one, (Secret.parse(SECRET),), Guard((), one.allow_hosts))


@asynccontextmanager
async def served(stack: Stack, topics: Topics, **endpoints: Endpoint) -> AsyncIterator[DeliveryService]:
    """Endpoints that are served, each with its place in the topic."""
    settings = Settings(
        prefix=topics.prefix, **({} if stack.name == "embedded" else {"kafka": stack.bootstrap})
    )
    every = {name: loaded(name, one) for name, one in endpoints.items()}
    async with delivering(
        settings, every, bootstrap=stack.bootstrap, redis_url=stack.redis_url, metrics=Metrics()
    ) as deliveries:
        await until(
            lambda: all(one["state"] != "starting" for one in deliveries.describe().values()),
        )
        yield deliveries


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)


async def dead_letters_of(stack: Stack, topics: Topics) -> list[DeadLetter]:
    return list((await read_dead_letters(stack.bootstrap, topics.dead_letters.name)).values())


async def dead_lettered(stack: Stack, topics: Topics, number: int) -> list[DeadLetter]:
    """Return the dead letters, once there are `number` of them."""
    async with asyncio.timeout(PATIENCE):
        while len(found := await dead_letters_of(stack, topics)) < number:
            pass
    return found


def orders(receiver: Receiver) -> dict[str, list[str]]:
    """Return the order in which each account's commands were accepted, by id."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for one in receiver.taken:
        found[one.account].setdefault(one.id)
    return {account: list(ids) for account, ids in found.items()}


def sent(accounts: Sequence[str], each: int) -> dict[str, list[str]]:
    return {account: [f"{account}-{number}" for number in range(each)] for account in accounts}


async def test_every_command_arrives_signed_and_as_it_is_in_kafka(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)):
        messages = [command(topics, number, f"a{number % 7}.com") for number in range(70)]
        await publisher.publish(messages)
        await receiver.until(lambda: len(receiver.received) >= 70)
    assert Counter(one.id for one in receiver.received) == Counter(
        orjson.loads(one.value or b"")["id"] for one in messages
    )
    assert {one.body for one in receiver.received} == {one.value for one in messages}
    for one in receiver.received:
        Verifier(SECRET).verify(one.body, dict(one.headers))
        assert one.headers["content-type"] == "application/cloudevents+json"


async def test_a_receiver_in_trouble_gets_everything_in_order_and_delays_no_other(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    accounts = [f"account{number}.com" for number in range(12)]
    rounds = 10
    numbers = count()
    async with (
        receiving() as bad,
        receiving() as good,
        served(
            stack, topics, bad=endpoint(bad, open_after=3, timeout="3s"), good=endpoint(good)
        ) as deliveries,
    ):

        async def measure() -> list[float]:
            """Seconds that each command took to the good one, one round after another."""
            delays: list[float] = []
            for number in islice(numbers, rounds):
                before, since = len(good.taken), time.monotonic()
                await publisher.publish([command(topics, number, account) for account in accounts])
                await good.until(lambda before=before: len(good.taken) >= before + len(accounts))
                delays += [one.at - since for one in good.taken[before:]]
            return delays

        beside_health = await measure()
        await bad.until(lambda: len(bad.taken) == rounds * len(accounts))
        bad.answer = HANG
        beside_hang = await measure()
        assert len(bad.taken) == rounds * len(accounts), "all of the good one's came while the bad one hung"
        p99 = [statistics.quantiles(one, n=100)[98] * 1000 for one in (beside_health, beside_hang)]
        print(f"{stack.name}: p99 {p99[0]:.0f} ms, beside an endpoint that hangs {p99[1]:.0f} ms")
        for trouble, extra in ((500, {}), (RESET, {}), (429, {"retry-after": "1"}), (503, {})):
            bad.answer, bad.extra = trouble, extra
            seen = len(bad.received)
            await bad.until(
                lambda seen=seen, trouble=trouble: any(one.status == trouble for one in bad.received[seen:])
            )
        bad.answer, bad.extra = 200, {}
        everything = 2 * rounds * len(accounts)
        await bad.until(lambda: len({one.id for one in bad.taken}) >= everything)
        await until(lambda: deliveries.describe()["bad"]["lag"] == 0)
        assert deliveries.describe()["bad"]["problem"] is None
    assert orders(bad) == orders(good) == sent(accounts, 2 * rounds)
    assert set(Counter(one.id for one in bad.taken).values()) == {1}
    assert not await dead_letters_of(stack, topics)


async def test_a_new_endpoint_begins_at_the_end_unless_it_asks_for_all(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    await publisher.publish([command(topics, number, f"a{number}.com") for number in range(20)])
    async with (
        receiving() as late,
        receiving() as full,
        served(stack, topics, late=endpoint(late), full=endpoint(full, start="earliest")),
    ):
        await publisher.publish([command(topics, 100, f"b{number}.com") for number in range(20)])
        await full.until(lambda: len(full.received) >= 40)
        await late.until(lambda: len(late.received) >= 20)
    assert {one.account[0] for one in late.received} == {"b"}


async def test_what_is_written_after_the_place_was_taken_is_not_lost_by_a_crash(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    await publisher.publish([command(topics, 1, "before.com")])
    group = group_of(topics.prefix, "crm")
    topic = topics.workflow_commands.name
    assert await place(stack.bootstrap, topic, group, earliest=False, security={})
    await publisher.publish(
        [command(topics, 2, "after.com")]
    )  # and the process that took the place has crashed
    async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)):
        await receiver.until(lambda: len(receiver.received) >= 1)
        await publisher.publish([command(topics, 3, "after.com")])
        await receiver.until(lambda: len(receiver.received) >= 2)
    assert [one.id for one in receiver.received] == ["after.com-2", "after.com-3"]


async def test_a_restart_goes_on_where_delivery_was(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    async with receiving() as receiver:
        for first in (0, 50):
            async with served(stack, topics, crm=endpoint(receiver)):
                await publisher.publish(
                    [command(topics, number, f"a{number % 5}.com") for number in range(first, first + 50)]
                )
                await receiver.until(lambda first=first: len(receiver.received) >= first + 50)
    assert set(Counter(one.id for one in receiver.received).values()) == {1}


async def test_an_endpoint_whose_group_was_forgotten_gets_what_is_still_there(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    client = Redis.from_url(stack.redis_url)
    try:
        await WebhookStates(client, topics.prefix).begin("crm")
    finally:
        await client.aclose()
    await publisher.publish([command(topics, 1, "acme.com")])
    async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)):
        await receiver.until(partial(_has_received, receiver, 1))


async def test_processes_that_come_and_go_share_an_endpoint_and_keep_the_order(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    accounts = [f"account{number}.com" for number in range(20)]
    each = 20
    async with receiving() as receiver:
        receiver.pace = 0.02
        one = endpoint(receiver, concurrency=2, start="earliest")
        await publisher.publish([command(topics, n, account) for n in range(each) for account in accounts])
        async with served(stack, topics, crm=one):
            await receiver.until(partial(_has_received, receiver, 50))
            async with served(stack, topics, crm=one):
                await receiver.until(partial(_has_received, receiver, 150))
            await receiver.until(lambda: len({one.id for one in receiver.taken}) == each * len(accounts))
    assert orders(receiver) == sent(accounts, each)
    print(
        f"{stack.name}: {len(receiver.taken)} requests for {each * len(accounts)} commands, over two rebalances"
    )


async def test_an_endpoint_gets_the_workflows_and_actions_it_asked_for(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    async with (
        receiving() as receiver,
        receiving() as every,
        served(
            stack, topics, some=endpoint(receiver, workflows=["crm"], actions=["stop"]), every=endpoint(every)
        ),
    ):
        given = [("crm", "stop"), ("crm", "enroll"), ("ads", "stop"), ("crm", "reassign"), ("crm", "stop")]
        await publisher.publish([command(topics, n, f"a{n}.com", *one) for n, one in enumerate(given)])
        await every.until(lambda: len(every.received) >= 5)
        await publisher.publish([command(topics, n, f"a{n}.com", "crm", "stop") for n in range(5, 10)])
        await receiver.until(lambda: len(receiver.received) >= 7)
    assert {one.id for one in receiver.received} == {f"a{n}.com-{n}" for n in (0, 4, *range(5, 10))}


async def test_an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    client = Redis.from_url(stack.redis_url)
    states = WebhookStates(client, topics.prefix)
    try:
        async with receiving(410) as receiver:
            async with served(stack, topics, crm=endpoint(receiver, concurrency=1)) as deliveries:
                await publisher.publish([command(topics, number, f"a{number}.com") for number in range(6)])
                await until(lambda: deliveries.describe()["crm"]["state"] == "disabled")
                await until(lambda: _is_disabled(states, disabled=True))
                assert len(receiver.received) == 1
            receiver.answer = 200
            async with served(stack, topics, crm=endpoint(receiver)) as deliveries:
                assert deliveries.describe()["crm"]["state"] == "disabled", "it is kept over a restart"
                assert len(receiver.received) == 1
                await states.enable("crm")
                await receiver.until(lambda: len(receiver.taken) >= 6)
                await states.disable("crm", "2026-01-01T00:00:00Z", "by hand")
                await until(lambda: deliveries.describe()["crm"]["state"] == "disabled")
    finally:
        await client.aclose()
    assert {one.id for one in receiver.taken} == {f"a{number}.com-{number}" for number in range(6)}
    assert not await dead_letters_of(stack, topics)


async def _is_disabled(states: WebhookStates, *, disabled: bool) -> bool:
    held = (await states.read()).get("crm")
    return (held is not None and held.disabled is not None) is disabled


async def test_a_dead_letter_that_is_retried_goes_to_its_endpoint_only(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    async with (
        receiving(422) as refusing,
        receiving() as other,
        served(stack, topics, refusing=endpoint(refusing), other=endpoint(other)),
    ):
        await publisher.publish([command(topics, 1, "acme.com")])
        (dead_letter,) = await dead_lettered(stack, topics, 1)
        assert dead_letter.about["reason"] == "undeliverable"
        assert dead_letter.about["endpoint"] == "refusing"
        assert dead_letter.id.endswith(":refusing")
        refusing.answer = 200
        partitions = await asyncio.to_thread(count_partitions, stack.bootstrap, topics)
        await retry_dead_letters([dead_letter], topics, publisher, 1, partitions=partitions)
        await refusing.until(lambda: len(refusing.taken) == 1)
        await publisher.publish([command(topics, 2, "acme.com")])
        await other.until(lambda: len(other.received) >= 2)
    assert [one.id for one in other.received] == ["acme.com-1", "acme.com-2"]
    assert refusing.taken[0].body == dead_letter.original


async def test_changes_go_to_the_endpoints_that_ask_for_them_and_all_it_missed_is_sent_again_in_order(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    def change(number: int) -> Message:
        event = {
            **orjson.loads(command(topics, number, "a.com").value or b""),
            "type": "gtm.segment-change.v1",
        }
        event |= {"id": f"change-{number}", "data": {"account": "a.com", "to": "in-market"}}
        return Message(topics.segment_changes.name, b"a.com", orjson.dumps(event))

    async with (
        receiving(422) as both,
        receiving() as commands,
        served(
            stack,
            topics,
            both=endpoint(both, topics=["segment-changes", "workflow-commands"]),
            commands=endpoint(commands),
        ),
    ):
        for number in range(3):
            await publisher.publish([change(number), command(topics, number, "a.com")])
            await dead_lettered(stack, topics, 2 * number + 2)
        letters = choose(await read_dead_letters(stack.bootstrap, topics.dead_letters.name), [], None, "both")
        both.answer = 200
        partitions = await asyncio.to_thread(count_partitions, stack.bootstrap, topics)
        assert await retry_dead_letters(letters, topics, publisher, 1, partitions=partitions) == 6
        await both.until(lambda: len(both.taken) == 6)
        held = await read_dead_letters(stack.bootstrap, topics.dead_letters.name)
        assert choose(held, [], None, "both") == []
    ids = [one.id for one in both.taken]
    assert [one for one in ids if one.startswith("change")] == ["change-0", "change-1", "change-2"]
    assert [one for one in ids if one.startswith("a.com")] == ["a.com-0", "a.com-1", "a.com-2"]
    assert [one.id for one in commands.received] == ["a.com-0", "a.com-1", "a.com-2"]
    for one in both.taken:
        Verifier(SECRET).verify(one.body, dict(one.headers))


async def test_a_record_that_is_no_command_is_dead_lettered_and_holds_up_nothing(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)):
        broken = [
            Message(topics.workflow_commands.name, b"a.com", value) for value in (b"nonsense", b"{}", None)
        ]
        await publisher.publish([*broken, command(topics, 1, "a.com")])
        await receiver.until(lambda: len(receiver.received) >= 1)
        dead_letters = await dead_lettered(stack, topics, 3)
    assert [one.about["reason"] for one in dead_letters] == ["not-a-command"] * 3


async def test_hostile_records_and_a_hostile_receiver_hold_up_nothing_and_are_reported(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    name = topics.workflow_commands.name
    other = orjson.loads(command(topics, 9, "a.com").value or b"")
    foreign = [
        Message(name, b"k" * 100_000, command(topics, 1, "a.com").value),
        Message(name, b"\xff\xfe", b"\0\0\0\0\x07avro"),
        Message(name, None, orjson.dumps({**other, "type": "gtm.segment-change.v1"})),
        Message(name, b"a.com", orjson.dumps({**other, "id": "x" * 500_000})),
        Message(name, b"a.com", orjson.dumps({**other, "data": {"workflow": ["crm"], "action": "enroll"}})),
    ]
    plain = command(topics, 2, "b.com")
    unnamed = Message(name, plain.key, plain.value, [("endpoint", None)])  # type: ignore[list-item]  # Kafka takes it
    async with (
        receiving(400) as bad,
        receiving() as good,
        served(stack, topics, bad=endpoint(bad), good=endpoint(good)) as service,
    ):
        await publisher.publish([*foreign, unnamed, command(topics, 3, "b.com"), command(topics, 1, "a.com")])
        await good.until(lambda: len(good.received) >= 3)
        dead_letters = await dead_lettered(stack, topics, 2 * len(foreign) + 3)
        await until(lambda: service.describe()["bad"]["undelivered"] == 3)
        assert service.describe()["bad"]["problem"].startswith("status 400")
        assert health_of(service).in_trouble == ["bad"]
    assert orders(good) == {"a.com": ["a.com-1"], "b.com": ["b.com-2", "b.com-3"]}
    assert Counter((one.about["reason"], one.about["endpoint"]) for one in dead_letters) == {
        ("not-a-command", "bad"): len(foreign),
        ("not-a-command", "good"): len(foreign),
        ("undeliverable", "bad"): 3,
    }
    assert all(
        "does not accept the command" in one.about["message"]
        for one in dead_letters
        if one.about["reason"] == "undeliverable"
    )


async def test_a_batch_that_cannot_be_unpacked_is_dead_lettered_and_holds_up_nothing(
    stack: Stack, publisher: KafkaPublisher, topics: Topics
) -> None:
    one, codecs, now = command(topics, 1, "a.com"), ["none", "gzip", "zstd"], int(time.time() * 1000)
    client = AIOKafkaClient(bootstrap_servers=stack.bootstrap)
    await client.bootstrap()
    try:
        async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)):
            for codec in codecs:
                records = [Given(one.value, b"\xff\xfe", b"a.com"), Given(one.value)]
                bad = batch_of(records, codec=codec, timestamp=now)
                await produce(client, topics.workflow_commands.name, 0, bad)
            await receiver.until(lambda: len(receiver.received) >= len(codecs))
            letters = await dead_lettered(stack, topics, len(codecs))
    finally:
        await client.close()
    assert [one.about["reason"] for one in letters] == ["unreadable"] * len(codecs)


@pytest.mark.parametrize("name", ["localhost", "wrong.example"])
async def test_tls_checks_the_host_by_its_name_though_the_address_is_pinned(
    tmp_path: Path, name: str
) -> None:
    authority = Authority(tmp_path)
    shown = authority.issue("receiver")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.cert, shown.key)
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with receiving(tls=context) as receiver:
        one = Endpoint.model_validate(
            {
                "url": f"https://{name}:{receiver.port}/hook",
                "secrets": [{"env": "SECRET"}],
                "allow_hosts": [name],
                "ca": str(authority.cert),
            }
        )
        guard = Guard((), one.allow_hosts, resolve)
        async with HttpWebhook(one, [Secret.parse(SECRET)], guard) as webhook:
            answer = await webhook.send("1", b"{}")
        assert receiver.served_names == [name]
    assert asked == [name]
    if name == "localhost":
        assert answer.status == 200
    else:
        assert answer.status is None
        assert "certificate verify failed" in (answer.problem or "")


def _has_received(receiver: Receiver, number: int) -> bool:
    return len(receiver.received) >= number


# As a process


def write_file(folder: Path, **endpoints: Mapping[str, Any]) -> Path:
    path = folder / "webhooks.yaml"
    path.write_bytes(orjson.dumps({"endpoints": endpoints, "allow_networks": ["127.0.0.0/8"]}))
    return path


def variables(stack: Stack, topics: Topics, file: Path) -> dict[str, str]:
    given = {
        "RESEGMENT_KAFKA": stack.bootstrap,
        "RESEGMENT_REDIS": stack.redis_url,
        "RESEGMENT_PREFIX": topics.prefix,
        "RESEGMENT_WEBHOOKS": str(file),
        "RESEGMENT_SESSION_TIMEOUT": "6",
        "HOOK_SECRET": SECRET,
    }
    return dict(os.environ) | given


async def start(stack: Stack, topics: Topics, file: Path, log: Path) -> asyncio.subprocess.Process:
    program = (sys.executable, "-c", "from resegment.cli import main; main()")
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            *program,
            "deliver",
            "--http-port",
            "0",
            stdout=out,
            stderr=out,
            env=variables(stack, topics, file),
        )


async def during(process: asyncio.subprocess.Process, log: Path, work: Awaitable[None]) -> None:
    """Do the work, and fail at once where the process ends first."""
    ended = asyncio.create_task(process.wait())
    task = asyncio.ensure_future(work)
    await asyncio.wait((ended, task), return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        said = await asyncio.to_thread(log.read_text)
        pytest.fail(f"it ended by itself:\n{said[-3000:]}")
    ended.cancel()
    await task


async def test_a_delivery_that_is_killed_in_the_middle_loses_nothing(
    stack: Stack, publisher: KafkaPublisher, topics: Topics, tmp_path: Path
) -> None:
    accounts = [f"account{number}.com" for number in range(25)]
    each = 16
    log = tmp_path / "deliver.log"
    everything, kills = each * len(accounts), (60, 200)
    async with receiving() as receiver:
        receiver.pace = 0.01
        file = write_file(
            tmp_path,
            crm={
                "url": f"http://127.0.0.1:{receiver.port}/",
                "secrets": [{"env": "HOOK_SECRET"}],
                "concurrency": 2,
                "start": "earliest",
            },
        )
        await publisher.publish([command(topics, n, account) for n in range(each) for account in accounts])
        for killed_after in kills:
            process = await start(stack, topics, file, log)
            wanted = partial(_has_received, receiver, killed_after)
            await during(process, log, receiver.until(wanted))
            process.kill()
            await process.wait()
        process = await start(stack, topics, file, log)
        await during(
            process, log, receiver.until(lambda: len({one.id for one in receiver.taken}) >= everything)
        )
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60.0) == 0, log.read_text()[-3000:]
    assert orders(receiver) == sent(accounts, each)
    print(f"{stack.name}: {len(receiver.taken)} requests for {everything} commands, over two kills")
    assert len(receiver.taken) < everything + kills[-1], "what was committed before a kill did not come again"
    assert SECRET.removeprefix("whsec_") not in log.read_text()


async def test_a_stop_is_clean_though_an_endpoint_hangs(
    stack: Stack, publisher: KafkaPublisher, topics: Topics, tmp_path: Path
) -> None:
    log = tmp_path / "deliver.log"
    async with receiving(HANG) as receiver:
        file = write_file(
            tmp_path,
            crm={
                "url": f"http://127.0.0.1:{receiver.port}/",
                "secrets": [{"env": "HOOK_SECRET"}],
                "timeout": "2m",
                "start": "earliest",
            },
        )
        await publisher.publish([command(topics, 1, "acme.com")])
        process = await start(stack, topics, file, log)
        await during(process, log, receiver.until(lambda: len(receiver.received) >= 1))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60.0) == 0, log.read_text()[-3000:]
        receiver.answer = 200
        process = await start(stack, topics, file, log)
        await during(process, log, receiver.until(lambda: len(receiver.taken) >= 1))
        process.kill()
        await process.wait()
    assert "Traceback" not in log.read_text()


async def test_an_operator_sees_tests_and_stops_an_endpoint_by_commands(
    stack: Stack, publisher: KafkaPublisher, topics: Topics, tmp_path: Path
) -> None:
    async with receiving() as receiver, served(stack, topics, crm=endpoint(receiver)) as deliveries:
        file = write_file(
            tmp_path,
            crm={"url": f"http://127.0.0.1:{receiver.port}/hunter2", "secrets": [{"env": "HOOK_SECRET"}]},
        )

        async def run(*words: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", "from resegment.cli import main; main()", "webhooks", *words),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=variables(stack, topics, file),
            )
            out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
            return f"{process.returncode} {out.decode()}"

        await run("test", "crm")
        (ping,) = receiver.received
        Verifier(SECRET).verify(ping.body, dict(ping.headers))
        assert orjson.loads(ping.body)["type"] == "gtm.ping.v1"
        async with asyncio.timeout(PATIENCE):  # the state is reported each second
            while '"state":"delivering"' not in (listed := await run("list", "--json")).replace(" ", ""):
                pass
        assert "hunter2" not in listed
        assert "crm is disabled" in await run("disable", "crm")
        await until(lambda: deliveries.describe()["crm"]["state"] == "disabled")
        await publisher.publish([command(topics, 1, "acme.com")])
        assert "disabled by hand" in await run("list", "--json")
        assert "crm is enabled" in await run("enable", "crm")
        await receiver.until(lambda: len(receiver.received) == 2)
        receiver.answer = 500
        assert (await run("test", "crm")).startswith("1 ")
        assert (await run("test", "nobody")).startswith("2 ")
