"""From a signal to a webhook: the whole way, on both stacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from standardwebhooks import Webhook as Verifier

from resegment.agents.batch import Message
from resegment.schemas.routing import RoutedState
from resegment.settings import Settings
from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.endpoints import LoadedEndpoint
from resegment.sinks.webhook.signing import Secret
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.state.sources.arrivals import ArrivalStore
from resegment.streams.delivery.service import delivering
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.worker.loops import source_watcher
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of
from tests.integration.conftest import Stack
from tests.oracle.cases import event
from tests.servers.receiver import Received, Receiver, receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests
NUMBERS = count()
PATIENCE = 120.0
PLAY: dict[str, Any] = {
    "message": {
        "pain": "{{ employees }} people and no playbook",
        "value_prop": "A playbook",
        "proof_points": [
            "After the {{ evidence.leadership.role | default('change') }} came",
            "Live in a week",
        ],
    },
    "channels": {"primary": "email"},
}
FILE: dict[str, Any] = {
    "version": 1,
    "segments": [
        {
            "name": "new-leader",
            "when": {
                "all": [
                    {"event": "leadership", "where": {"change": "joined"}, "within": "90d"},
                    {"employees": {"gte": 50}},
                ]
            },
            "play": "lead",
            "route": {"workflow": "exec", "team": "enterprise", "qualification": "fast"},
        },
        {
            "name": "growing",
            "when": {"event": "hiring", "within": "90d"},
            "play": "plain",
            "route": {"workflow": "grow", "team": "startups", "on_exit": "stop"},
        },
    ],
    "fallback": {"name": "rest", "play": "plain", "route": {"workflow": "nurture"}},
    "plays": {"lead": PLAY, "plain": {**PLAY, "message": {**PLAY["message"], "pain": "p", "proof_points": ["x"]}}},
    "teams": {
        "enterprise": {"members": [{"name": "ann", "territory": {"region": "emea"}}, {"name": "bob", "capacity": 1}]},
        "startups": {"members": ["kim"]},
    },
    "qualifications": {"fast": {"sla": "4h", "escalate_to": "boss"}},
    "suppression": ["customers"],
}  # fmt: skip


async def test_a_signal_ends_the_old_workflow_and_begins_the_new_one_at_a_webhook(stack: Stack) -> None:
    prefix = f"way{next(NUMBERS)}{stack.name}"
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(prefix=prefix, partitions=4, route="all", **kafka)  # type: ignore[arg-type]
    worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    async with receiving() as receiver, worker.running():
        one = Endpoint.model_validate(
            {
                "url": f"http://127.0.0.1:{receiver.port}/",
                "secrets": [{"env": "SECRET"}],
                "allow_hosts": ["127.0.0.1"],
                "start": "earliest",
            }
        )
        loaded = LoadedEndpoint("crm", one, (Secret.parse(SECRET),), Guard((), one.allow_hosts))
        async with (
            delivering(settings, {"crm": loaded}, bootstrap=stack.bootstrap, redis_url=stack.redis_url),
            KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
        ):
            now = time.time_ns() // 1_000_000

            async def send(kind: str, **data: Any) -> None:
                topic = worker.topics.of_kind(kind).name
                await source.publish(
                    [
                        Message(
                            topic, b"k", orjson.dumps(event(kind, now, id=f"{kind}-{next(NUMBERS)}", **data))
                        )
                    ]
                )

            await send("firmographic", employees=300, region="emea", name="Acme")
            await send("hiring", change="opened", function="sales")
            grow = await of(receiver, lambda data: data["workflow"] == "grow")
            assert (grow["action"], grow["owner"], grow["team"]) == ("enroll", "kim", "startups")

            await send("leadership", change="joined", role="cro")
            stop = await of(receiver, lambda data: data["action"] == "stop" and data["workflow"] == "grow")
            enroll = await of(receiver, lambda data: data["workflow"] == "exec")
            assert (enroll["action"], enroll["owner"], enroll["qualification"]) == ("enroll", "ann", "fast")
            assert stop["cause"] == enroll["cause"]
            assert enroll["accept_by"] is not None
            assert enroll["message"]["message"]["pain"] == "300 people and no playbook"
            assert enroll["message"]["message"]["proof_points"][0] == "After the cro came"

            await send("outcome", action="accepted", idempotency_key=enroll["idempotency_key"])
            await send("outcome", action="won")
            over = await of(receiver, lambda data: data["action"] == "stop" and data["workflow"] == "exec")
            assert over["reason"] == "suppressed: customers"
            (state,) = await reader(stack, prefix)
            assert state is not None
            assert (state.decision, state.why) == ("suppressed", "customers")

    keys = [one.id for one in receiver.taken]
    first_seen = list(dict.fromkeys(keys))
    data = {one.id: orjson.loads(one.body)["data"] for one in receiver.taken}
    assert [data[key]["action"] for key in first_seen[-4:]] == ["enroll", "stop", "enroll", "stop"]
    for one_received in receiver.taken:
        Verifier(SECRET).verify(one_received.body, dict(one_received.headers))


async def test_a_customer_keeps_a_sibling_in_another_partition_out(stack: Stack) -> None:
    prefix = f"kin{next(NUMBERS)}{stack.name}"
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(prefix=prefix, partitions=4, route="all", **kafka)  # type: ignore[arg-type]
    file = {**FILE, "suppression": [{"customers": {"family": True}}]}
    worker = Worker(settings, definition_of(file), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    accounts = ("acme.de", "acme.fr", "acme.it", "acme.es")
    async with (
        worker.running(),
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
    ):

        async def send(kind: str, account: str, **data: Any) -> None:
            now = time.time_ns() // 1_000_000  # facts of one time are ordered by their ids
            made = event(kind, now, id=f"{kind}-{next(NUMBERS)}", account=account, **data)
            await source.publish([Message(worker.topics.of_kind(kind).name, b"k", orjson.dumps(made))])

        for account in accounts:
            await send("firmographic", account, parent="https://www.acme.com")
            await send("hiring", account, change="opened")
        await until_decided(stack, prefix, accounts, "enrolled", "kim")
        await send("outcome", "acme.de", action="won")
        await until_decided(stack, prefix, accounts[:1], "suppressed", "customers")
        await until_decided(stack, prefix, accounts[1:], "suppressed", "customers (family)")
        await send("outcome", "acme.de", action="churned")
        await until_decided(stack, prefix, accounts, "enrolled", "kim")


async def test_an_account_that_rests_on_silence_is_held_until_the_source_is_back(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_watcher, "LOOKED_AT", 0.2)
    prefix = f"hush{next(NUMBERS)}{stack.name}"
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(prefix=prefix, partitions=4, route="all", **kafka)  # type: ignore[arg-type]
    quiet = {
        "name": "quiet",
        "when": {"not": {"event": "hiring"}},
        "play": "plain",
        "route": {"workflow": "q"},
    }
    file = {**FILE, "segments": [quiet], "sources": {"board": {"every": "3s"}}, "suppression": []}
    worker = Worker(settings, definition_of(file), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    async with (
        worker.running(),
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
    ):

        async def send(kind: str, account: str, **data: Any) -> None:
            now = time.time_ns() // 1_000_000
            given = {"source": "/board"} if kind == "hiring" else {}
            made = {**event(kind, now, id=f"{kind}-{next(NUMBERS)}", account=account, **data), **given}
            await source.publish([Message(worker.topics.of_kind(kind).name, b"k", orjson.dumps(made))])

        await send("hiring", "first.com", change="opened")
        store = ArrivalStore(connect_redis(settings, stack.redis_url), prefix)
        async with asyncio.timeout(PATIENCE):
            while not (await store.read_latest()).silent:  # it is Redis that knows
                await asyncio.sleep(0.1)
        accounts = ("acme.com", "zeta.io", "mole.de")
        for account in accounts:
            await send("firmographic", account, employees=7)
        await until_decided(stack, prefix, accounts, "held", None)
        (state, *_) = await reader(stack, prefix, accounts)
        assert state is not None
        assert state.why.startswith("it rests on the absence of hiring events, and /board is silent since ")

        async def keep_sending() -> None:
            while True:
                await send("hiring", "first.com", change="closed")
                await asyncio.sleep(1)

        back = asyncio.create_task(keep_sending())
        await until_decided(stack, prefix, accounts, "enrolled", "")
        back.cancel()


async def until_decided(
    stack: Stack, prefix: str, accounts: Sequence[str], decision: str, why: str | None
) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            states = await reader(stack, prefix, accounts)
            if all(one is not None and one.decision == decision and why in (None, one.why) for one in states):
                return
            await asyncio.sleep(0.1)


async def reader(
    stack: Stack, prefix: str, accounts: Sequence[str] = ("acme.com",)
) -> Sequence[RoutedState | None]:
    client = Redis.from_url(stack.redis_url)
    try:
        return await PrefixReader(client, prefix, 4).routed(list(accounts))
    finally:
        await client.aclose()


async def of(receiver: Receiver, wanted: Callable[[Any], bool]) -> Any:
    """The data of the first command received that is wanted."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = [data for one in receiver.taken if wanted(data := told(one))]
        return bool(found)

    async with asyncio.timeout(PATIENCE):
        await receiver.until(there, PATIENCE)
    return found[0]


def told(one: Received) -> Any:
    return orjson.loads(one.body)["data"]
