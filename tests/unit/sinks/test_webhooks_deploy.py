"""A receiver that is being deployed answers 401, 404 and worse for a while, over real HTTP: nothing is lost by it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import orjson
import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.delivery import EndpointSender, Job, Timing, read_command, wants
from resegment.agents.keyed_queue import KeyedQueue
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.client import HttpWebhook
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.signing import Secret
from tests.servers.receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  # of tests
NOW = 1_700_000_000.0


class DeadLetters:
    """A publisher in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


def event(number: int, account: str, kind: str = COMMAND_TYPE) -> RecordedMessage:
    data = {"workflow": "crm", "action": "enroll"} if kind == COMMAND_TYPE else {"to": "in-market"}
    value = orjson.dumps({"id": f"{account}-{number}", "type": kind, "subject": account, "data": data})
    return RecordedMessage(number, int(NOW * 1000), account.encode(), value, [])


async def deliver(
    receiver: Receiver,
    records: Sequence[tuple[RecordedMessage, str]],
    headers: Mapping[str, str] | None = None,
) -> DeadLetters:
    """Deliver the records, each with the type that its topic has; pauses take no time."""
    dead_letters = DeadLetters()
    endpoint = Endpoint.model_validate(
        {"url": f"http://127.0.0.1:{receiver.port}/hook", "secrets": [{"env": "A"}], "open_after": 1000}
    )

    async def rest(_: float) -> None:
        await asyncio.sleep(0)

    done: list[Job] = []
    guard = Guard((), frozenset({"127.0.0.1"}))
    async with HttpWebhook(endpoint, [Secret.parse(SECRET)], guard, headers=headers) as webhook:
        sender = EndpointSender(
            "crm",
            endpoint,
            webhook,
            publisher=dead_letters,
            dead_letters="dead-letters",
            report=lambda *_: None,
            timing=Timing(lambda: NOW, rest, lambda: 0.0),
        )
        queue = KeyedQueue(sender.attempt, done.append, concurrency=8, sleep=rest)
        for one, kind in records:
            queue.put(Job(read_command(one, kind), Batch("commands", 0, [one]), one, NOW))
        async with asyncio.timeout(120):
            await receiver.until(lambda: len(receiver.taken) + len(dead_letters.messages) >= len(records))
        await queue.close(5)
    return dead_letters


async def test_a_deploy_that_answers_401_and_404_for_a_while_loses_nothing_and_keeps_the_order() -> None:
    """60 commands of 6 accounts; each gets a 404, a 401, a 503 and a 302 before it is taken."""
    asked: dict[str, int] = defaultdict(int)
    answers = (404, 401, 503, 302)

    def choose(headers: Mapping[str, str], _: bytes) -> int:
        number = asked[headers["webhook-id"]]
        asked[headers["webhook-id"]] += 1
        return answers[number] if number < len(answers) else 200

    async with receiving() as receiver:
        receiver.choose = choose
        records = [(event(number, f"a{number % 6}.com"), COMMAND_TYPE) for number in range(60)]
        dead_letters = await deliver(receiver, records)
    assert dead_letters.messages == []
    orders: dict[str, list[int]] = defaultdict(list)
    for one in receiver.taken:
        orders[one.account].append(int(one.id.rpartition("-")[2]))
    assert orders == {f"a{first}.com": list(range(first, 60, 6)) for first in range(6)}


async def test_a_receiver_that_refuses_a_command_for_good_does_not_hold_up_the_next() -> None:
    async with receiving() as receiver:
        receiver.choose = lambda headers, _: 422 if headers["webhook-id"] == "a.com-0" else 200
        dead_letters = await deliver(
            receiver, [(event(number, "a.com"), COMMAND_TYPE) for number in range(3)]
        )
    assert [one.id for one in receiver.taken] == ["a.com-1", "a.com-2"]
    assert len(dead_letters.messages) == 1


async def test_changes_and_commands_of_an_account_arrive_signed_and_one_after_another() -> None:
    asked: dict[str, int] = defaultdict(int)

    def choose(headers: Mapping[str, str], _: bytes) -> int:
        asked[headers["webhook-id"]] += 1
        return 200 if asked[headers["webhook-id"]] > 1 else 500

    async with receiving() as receiver:
        receiver.choose = choose
        kinds = [CHANGE_TYPE, COMMAND_TYPE, CHANGE_TYPE]
        dead_letters = await deliver(
            receiver, [(event(n, "a.com", kind), kind) for n, kind in enumerate(kinds)]
        )
    assert dead_letters.messages == []
    assert [one.id for one in receiver.taken] == ["a.com-0", "a.com-1", "a.com-2"]
    assert [orjson.loads(one.body)["type"] for one in receiver.taken] == kinds
    assert all(one.headers["webhook-signature"].startswith("v1,") for one in receiver.taken)


async def test_a_receiver_gets_the_headers_that_it_asks_for_beside_the_signed_ones() -> None:
    async with receiving() as receiver:
        await deliver(
            receiver,
            [(event(0, "a.com"), COMMAND_TYPE)],
            {"authorization": "Bearer t0ken", "x-tenant": "acme", "accept": "application/json"},
        )
    (request,) = receiver.taken
    assert (request.headers["authorization"], request.headers["x-tenant"]) == ("Bearer t0ken", "acme")
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("topics", [["segment-changes"], ["workflow-commands", "segment-changes"]])
def test_filters_of_commands_keep_no_change_back(topics: list[str]) -> None:
    endpoint = Endpoint.model_validate(
        {"url": "https://example.com/", "secrets": [{"env": "A"}], "topics": topics, "workflows": ["ads"]}
    )
    assert wants("crm", endpoint, read_command(event(0, "a.com", CHANGE_TYPE), CHANGE_TYPE))
    assert not wants("crm", endpoint, read_command(event(0, "a.com")))
