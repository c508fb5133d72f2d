"""How commands are brought to an endpoint: in order, again and again, and not forever. The clock is a made-up one."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import Batch, Message, PublishFailed, RecordedMessage
from resegment.agents.circuit_breaker import PEEK, CircuitBreaker
from resegment.agents.dead_letters import read_dead_letter, to_retry
from resegment.agents.delivery import (
    DEAD_LETTER_WAIT,
    GRACE,
    MAX_RETRY_AFTER,
    Command,
    EndpointGone,
    EndpointSender,
    Job,
    SendResult,
    Timing,
    backoff,
    classify,
    read_command,
    wants,
)
from resegment.agents.keyed_queue import KeyedQueue
from resegment.errors import RefusedEvent
from resegment.schemas.outgoing import COMMAND_TYPE
from resegment.sinks.webhook.endpoint import Endpoint

START = 1_700_000_000.0
HOUR = 3600.0


class Clock:
    """Time that passes only where somebody sleeps, and nobody has anything else to do."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._number), wake))
        await wake

    async def run(self, holds: Callable[[], bool]) -> None:
        """Let time pass until it holds."""
        for _ in range(20_000):
            for _ in range(20):
                await asyncio.sleep(0)
            if holds():
                return
            assert self._sleepers, "nobody sleeps, and nothing happens"
            at, _, wake = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            if not wake.done():
                wake.set_result(None)
        raise AssertionError("it never holds")


class Sink:
    """An endpoint in memory: `answer` says what it answers to the n-th request for an id."""

    def __init__(self, answer: Callable[[str, int], SendResult]) -> None:
        self.answer = answer
        self.asked: dict[str, int] = defaultdict(int)
        self.taken: list[str] = []
        self.at_once = self.most_at_once = 0

    async def send(self, message: str, body: bytes) -> SendResult:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.asked[message] += 1
        answer = self.answer(message, self.asked[message])
        if answer.status == 200:
            self.taken.append(message)
        return answer


class DeadLetters:
    """A publisher in memory that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.messages: list[Message] = []
        self.failures = failures
        self.largest = 1_048_588

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise PublishFailed(["dead-letters"], TimeoutError())
        if any(len(one.value or b"") > self.largest for one in messages):
            raise PublishFailed(["dead-letters"], ValueError(), too_large=True)
        self.messages += messages


def record(
    offset: int = 0, account: str = "acme.com", *, only: str | None = None, age: float = 0.0, **data: Any
) -> RecordedMessage:
    message = f"{account}-{offset}"
    told = {"workflow": "crm", "action": "enroll", **data}
    value = orjson.dumps({"id": message, "subject": account, "data": told})
    headers = [] if only is None else [("endpoint", only.encode())]
    return RecordedMessage(offset, int((START - age) * 1000), account.encode(), value, headers)


def job(one: RecordedMessage, entered: float = START) -> Job:
    return Job(read_command(one), Batch("commands", 3, [one]), one, entered)


def endpoint(**given: Any) -> Endpoint:
    return Endpoint.model_validate({"url": "https://example.com/", "secrets": [{"env": "A"}], **given})


class Setting:
    """A sender and what is around it."""

    def __init__(self, answer: Callable[[str, int], SendResult], *, failures: int = 0, **given: Any) -> None:
        self.clock, self.sink, self.dead_letters = Clock(), Sink(answer), DeadLetters(failures)
        self.endpoint = endpoint(**given)
        self.results: list[str] = []
        self.sender = EndpointSender(
            "crm",
            self.endpoint,
            self.sink,
            publisher=self.dead_letters,
            dead_letters="dead-letters",
            report=lambda _job, result, _sent: self.results.append(result),
            timing=Timing(self.clock.time, self.clock.sleep, lambda: 1.0),
        )

    async def work(self, records: Sequence[RecordedMessage]) -> list[Job]:
        """Have all of them settled, and return them as they were."""
        settled: list[Job] = []
        queue = KeyedQueue(
            self.sender.attempt,
            settled.append,
            concurrency=self.endpoint.concurrency,
            sleep=self.clock.sleep,
        )
        for one in records:
            queue.put(job(one, self.clock.now))
        await self.clock.run(lambda: queue.failure is not None or len(settled) == len(records))
        await queue.close(0)
        if queue.failure is not None:
            raise queue.failure
        return settled

    def dead_letter(self) -> dict[str, Any]:
        (message,) = self.dead_letters.messages
        return dict(read_dead_letter(message.headers, message.key, message.value))


def always(status: int | None, retry_after: float | None = None) -> Callable[[str, int], SendResult]:
    return lambda _message, _number: SendResult(status, None if status else "it hung up", retry_after)


# What an answer means


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, "delivered") for status in (200, 201, 202, 204, 299)),
        *((status, "retry") for status in (None, 301, 302, 307, 308, 401, 403, 404, 405, 406, 407, 408, 409)),
        *((status, "retry") for status in (411, 425, 429, 451, 499, 500, 502, 503, 504, 599)),
        *((status, "refused") for status in (400, 413, 415, 422)),
        (410, "gone"),
    ],
)
def test_an_answer_means(status: int | None, verdict: str) -> None:
    assert classify(SendResult(status)) == verdict


def test_the_wait_doubles_up_to_the_longest_and_chance_has_a_say() -> None:
    one = endpoint(first_wait="2s", longest_wait="1m")
    assert [backoff(attempt, one, lambda: 1.0) for attempt in (1, 2, 3, 6, 7, 10_000)] == [
        2,
        4,
        8,
        60,
        60,
        60,
    ]
    assert backoff(5, one, lambda: 0.25) == 8
    assert backoff(5, one, lambda: 0.0) == 0


# One command


async def test_a_command_is_tried_until_it_is_taken() -> None:
    setting = Setting(lambda _, number: SendResult(200 if number == 4 else 500))
    await setting.work([record()])
    assert setting.results == ["retried", "retried", "retried", "delivered"]
    assert setting.clock.now - START == 1 + 2 + 4
    assert not setting.dead_letters.messages


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_refusal_is_a_dead_letter_at_once(status: int) -> None:
    setting = Setting(always(status))
    await setting.work([record(17)])
    dead_letter = setting.dead_letter()
    assert (dead_letter["reason"], dead_letter["endpoint"], dead_letter["id"]) == (
        "undeliverable",
        "crm",
        "commands:3:17:crm",
    )
    assert f"status {status}" in dead_letter["message"]
    assert setting.clock.now == START


async def test_what_cannot_be_delivered_in_time_is_a_dead_letter() -> None:
    setting = Setting(always(None), give_up_after="2h", open_after=1000)
    await setting.work([record()])
    assert setting.clock.now - START == 2 * HOUR
    assert "it hung up" in setting.dead_letter()["message"]


async def test_an_old_command_is_tried_for_a_while_where_the_endpoint_fails_only_now() -> None:
    setting = Setting(always(500))
    await setting.work([record(age=72 * HOUR)])
    assert setting.clock.now - START == GRACE
    assert setting.sink.asked["acme.com-0"] > 3


async def test_the_backlog_of_an_endpoint_that_has_long_been_failing_is_dead_lettered_quickly() -> None:
    setting = Setting(always(500), concurrency=1)
    await setting.work([record(number, f"a{number}.com", age=72 * HOUR) for number in range(50)])
    assert len(setting.dead_letters.messages) == 50
    assert setting.clock.now - START < 2 * GRACE


async def test_a_dead_letter_that_cannot_be_published_is_published_later_and_nothing_is_sent_again() -> None:
    setting = Setting(always(422), failures=3)
    await setting.work([record()])
    assert setting.sink.asked["acme.com-0"] == 1
    assert setting.clock.slept == [DEAD_LETTER_WAIT] * 3
    assert len(setting.dead_letters.messages) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_an_endpoint_gets_the_time_it_asks_for(status: int) -> None:
    setting = Setting(
        lambda _, number: SendResult(200) if number > 1 else SendResult(status, retry_after=90.0)
    )
    await setting.work([record()])
    assert setting.clock.now - START == 90


async def test_while_an_endpoint_asks_for_patience_nothing_is_sent_to_it() -> None:
    setting = Setting(
        lambda message, number: (
            SendResult(429, retry_after=60.0) if message == "a.com-0" and number == 1 else SendResult(200)
        ),
        concurrency=1,
    )
    await setting.work([record(0, "a.com"), record(1, "b.com")])
    assert setting.clock.now - START == 60
    assert setting.sink.taken == ["b.com-1", "a.com-0"]


async def test_it_does_not_get_any_time_it_asks_for() -> None:
    setting = Setting(lambda _, number: SendResult(200) if number > 1 else SendResult(429, retry_after=1e9))
    await setting.work([record()])
    assert setting.clock.now - START == MAX_RETRY_AFTER


async def test_a_dead_letter_that_is_too_large_for_its_topic_is_cut_harder() -> None:
    setting = Setting(always(422))
    setting.dead_letters.largest = 50_000
    await setting.work([record(note="x" * 200_000), record(1)])
    large, small = (dict(one.headers) for one in setting.dead_letters.messages)
    assert int(large["dl_truncated"]) > 200_000
    assert "dl_truncated" not in small


async def test_an_endpoint_that_is_gone_ends_it_and_nothing_is_dead_lettered() -> None:
    setting = Setting(always(410))
    with pytest.raises(EndpointGone, match="crm"):
        await setting.work([record()])
    assert not setting.dead_letters.messages


# Order


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(0, 2**32),
)
async def test_commands_of_an_account_are_taken_in_their_order_whatever_fails(
    accounts: list[int], concurrency: int, seed: int
) -> None:
    def answer(message: str, number: int) -> SendResult:
        fate = hash((message, number, seed)) % 5
        return SendResult((200, 200, 500, 422, None)[fate], problem="it hung up")

    setting = Setting(answer, concurrency=concurrency)
    records = [record(number, f"a{account}.com") for number, account in enumerate(accounts)]
    settled = await setting.work(records)
    for account in set(accounts):
        name = f"a{account}.com"
        assert [one.record.offset for one in settled if one.command.account == name] == [
            number for number, other in enumerate(accounts) if other == account
        ]
    assert setting.sink.most_at_once <= concurrency
    assert len(setting.sink.taken) + len(setting.dead_letters.messages) == len(records)
    assert len(setting.sink.taken) == len(set(setting.sink.taken))


async def test_a_command_that_fails_keeps_those_of_its_account_waiting_and_no_others() -> None:
    setting = Setting(
        lambda message, number: SendResult(500 if message == "a.com-0" and number < 4 else 200), concurrency=1
    )
    await setting.work([record(0, "a.com"), record(1, "a.com"), record(2, "b.com"), record(3, "c.com")])
    assert setting.sink.taken == ["b.com-2", "c.com-3", "a.com-0", "a.com-1"]


# The breaker


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    breaker = CircuitBreaker(3, pause=30, longest=100)
    breaker.fail(0)
    breaker.fail(1)
    breaker.succeed()
    breaker.fail(2)
    breaker.fail(3)
    assert breaker.ask(3) == 0
    breaker.fail(4)
    assert (breaker.state, breaker.ask(4), breaker.ask(24)) == ("open", 30, 10)
    assert breaker.ask(34) == 0
    assert breaker.state == "half-open"
    assert breaker.ask(34) == PEEK, "one probe at a time"
    breaker.succeed()
    assert (breaker.state, breaker.ask(35)) == ("closed", 0)


def test_a_breaker_whose_probes_fail_waits_ever_longer_up_to_a_limit() -> None:
    breaker = CircuitBreaker(1, pause=30, longest=100)
    breaker.fail(0)
    now, pauses = 0.0, []
    for _ in range(4):
        pauses.append(breaker.ask(now))
        now += pauses[-1]
        assert breaker.ask(now) == 0
        breaker.fail(now)
    assert pauses == [30, 60, 100, 100]


def test_a_probe_that_is_broken_off_leaves_room_for_another() -> None:
    breaker = CircuitBreaker(1, pause=30, longest=100)
    breaker.fail(0)
    assert breaker.ask(30) == 0
    breaker.abandon()
    assert breaker.ask(30) == 0


async def test_an_endpoint_that_is_down_is_asked_by_one_probe_at_a_time() -> None:
    down_until = START + 600
    setting = Setting(lambda *_: SendResult(500 if setting.clock.now < down_until else 200), concurrency=8)
    records = [record(number, f"a{number}.com") for number in range(100)]
    await setting.work(records)
    assert len(setting.sink.taken) == 100
    assert setting.results.count("retried") < 5 + 8 + 10


# Which commands


def test_an_endpoint_wants_its_workflows_and_actions() -> None:
    picky = endpoint(workflows=["crm"], actions=["stop"])
    assert wants("a", picky, read_command(record(workflow="crm", action="stop")))
    assert not wants("a", picky, read_command(record(workflow="crm", action="enroll")))
    assert not wants("a", picky, read_command(record(workflow="ads", action="stop")))
    assert wants("a", endpoint(), read_command(record(workflow="new", action="escalate")))


def test_a_command_for_one_endpoint_is_for_no_other() -> None:
    assert wants("crm", endpoint(), read_command(record(only="crm")))
    assert not wants("ads", endpoint(), read_command(record(only="crm")))


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"[]", b"1", b"{}", b'{"id": "1", "subject": "a", "data": 1}'),
        *(
            orjson.dumps({"id": message, "subject": "a", "data": {"workflow": "w", "action": "a"}})
            for message in (1, "", "a b", "a\r\nx: y", "ü", "x" * 300)
        ),
    ],
)
def test_what_is_no_command_is_refused(value: bytes | None) -> None:
    with pytest.raises(RefusedEvent) as caught:
        read_command(RecordedMessage(0, 0, b"a", value))
    assert caught.value.reason == "not-a-command"


async def test_a_dead_letter_comes_back_for_its_endpoint_only_even_the_second_time() -> None:
    setting = Setting(always(422))
    await setting.work([record(5)])
    for _ in range(2):
        (dead_letter,) = setting.dead_letters.messages
        again = to_retry(
            RecordedMessage(0, 0, dead_letter.key, dead_letter.value, dead_letter.headers), "signals"
        )
        assert (again.topic, again.partition, again.key) == ("commands", 3, b"acme.com")
        assert [one for one in again.headers if one[0] == "endpoint"] == [("endpoint", b"crm")]
        setting.dead_letters.messages.clear()
        await setting.work([RecordedMessage(9, int(START * 1000), again.key, again.value, again.headers)])


# What a dead letter says


NO_COMMANDS: list[tuple[bytes | None, str | None, str]] = [
    (None, None, "no value (a tombstone)"),
    (b"", None, "the value is empty"),
    (b"nonsense", None, "not JSON in UTF-8"),
    (b'{"id": "\xff"}', None, "not JSON in UTF-8"),
    (b"\0\0\0\0\x07\x02abc", None, "5 bytes of a schema registry (magic byte 0, schema id 7)"),
    (b"\x1f\x8b\x08abcdef", None, "gzip-compressed data"),
    ('{"id": 1}'.encode("utf-16"), None, "UTF-16"),
    (b'{"schema": {"type": "struct"}, "payload": {}}', None, "a Kafka Connect envelope"),
    (b"[]", None, "an object, not a list"),
    (b"7", None, "an object, not a value"),
    (b"[" * 100_000, None, "not JSON"),
    (b'{"id": "1", "type": "gtm.segment-change.v1"}', "type", "not gtm.workflow-command.v1"),
    (b'{"id": "1", "subject": "a"}', "data", "data is missing"),
    (b'{"id": "1", "subject": "a", "data": []}', "data", "is not an object"),
    (
        b'{"id": "1", "subject": "a", "data": {"workflow": 7, "action": "a"}}',
        "data.workflow",
        "data.workflow is not text",
    ),
    (b'{"id": "1", "subject": "a", "data": {"workflow": "w"}}', "data.action", "data.action is missing"),
    (
        b'{"id": "a b", "subject": "a", "data": {"workflow": "w", "action": "a"}}',
        "id",
        "is sent as a header",
    ),
    (
        orjson.dumps({"id": "1", "subject": "a" * 9_000, "data": {"workflow": "w", "action": "a"}}),
        "subject",
        "has 9,000 characters",
    ),
]


@pytest.mark.parametrize(("value", "field", "message"), NO_COMMANDS)
def test_the_refusal_of_what_is_no_command_names_what_it_is(
    value: bytes | None, field: str | None, message: str
) -> None:
    with pytest.raises(RefusedEvent) as caught:
        read_command(RecordedMessage(0, 0, b"a", value))
    assert (caught.value.reason, caught.value.field) == ("not-a-command", field)
    assert message in caught.value.message
    assert len(caught.value.message) < 500


def test_a_key_that_is_no_account_is_refused() -> None:
    one = record()
    with pytest.raises(RefusedEvent, match="the key has 1,000,000 bytes"):
        read_command(RecordedMessage(0, 0, b"k" * 1_000_000, one.value))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text() | ANY,
        "subject": st.text() | ANY,
        "type": st.just(COMMAND_TYPE) | ANY,
        "data": ANY | st.fixed_dictionaries({}, optional={"workflow": ANY, "action": ANY}),
    },
)


@given(
    st.binary() | (ANY | NEARLY).map(lambda one: json.dumps(one).encode()),
    st.none() | st.binary(),
    st.lists(st.tuples(st.just("endpoint") | st.text(), st.none() | st.binary()), max_size=3),
)
def test_any_record_is_refused_or_is_a_command_that_can_be_sent(
    value: bytes, key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    found: Command | RefusedEvent
    try:
        found = read_command(RecordedMessage(0, 0, key, value, headers))
    except RefusedEvent as refused:
        found = refused
    if isinstance(found, RefusedEvent):
        assert found.reason == "not-a-command"
        assert found.message
    else:
        assert found.body == value
        assert found.id.isascii()
        assert wants(found.only or "crm", endpoint(), found)


def test_a_header_without_a_value_names_no_endpoint() -> None:
    one = record()
    for value in (None, b""):
        command = read_command(RecordedMessage(0, 0, one.key, one.value, [("endpoint", value)]))
        assert command.only is None
        assert wants("crm", endpoint(), command)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, "the command as it is"),
        (413, "too large"),
        (415, "cloudevents"),
        (422, "status 422"),
    ],
)
async def test_a_refusal_says_what_to_check(status: int, cause: str) -> None:
    setting = Setting(always(status))
    await setting.work([record()])
    message = setting.dead_letter()["message"]
    assert f"the endpoint crm refused it: status {status}" in message
    assert cause in message


@pytest.mark.parametrize(
    ("status", "cause"), [(302, "redirects are not followed"), (401, "secret"), (404, "url")]
)
async def test_what_was_given_up_says_what_to_check(status: int, cause: str) -> None:
    setting = Setting(always(status), give_up_after="3s")
    await setting.work([record()])
    message = setting.dead_letter()["message"]
    assert message.startswith("gave up on the endpoint crm after")
    assert f"status {status}" in message
    assert cause in message


async def test_a_command_that_was_given_up_says_after_how_many_attempts_and_why() -> None:
    setting = Setting(always(503), give_up_after="3s", open_after=1000)
    await setting.work([record()])
    assert setting.dead_letter()["message"] == (
        "gave up on the endpoint crm after 3 attempts: the last result is status 503"
    )


async def test_a_command_that_was_given_up_in_a_pause_says_why_the_endpoint_is_paused() -> None:
    setting = Setting(always(None), give_up_after="3s", open_after=1, concurrency=1)
    await setting.work([record(0, "a.com"), record(1, "b.com")])
    messages = [
        read_dead_letter(one.headers, one.key, one.value)["message"] for one in setting.dead_letters.messages
    ]
    assert any(one.endswith("it is paused because it keeps failing: it hung up") for one in messages)


async def test_commands_in_a_row_that_were_not_delivered_are_counted_until_one_is() -> None:
    setting = Setting(lambda message, _: SendResult(200 if message == "d.com-3" else 422), concurrency=1)
    counts = []
    for number, name in enumerate(("a.com", "b.com", "c.com", "d.com")):
        await setting.work([record(number, name)])
        counts.append((setting.sender.undelivered, setting.sender.problem))
    problem = "status 422 (the receiver does not accept the command as it is)"
    assert counts == [(1, problem), (2, problem), (3, problem), (0, None)]


async def test_a_record_that_is_no_command_does_not_count_against_the_endpoint() -> None:
    setting = Setting(always(200))
    broken = RecordedMessage(0, 0, b"a", b"nonsense")
    refused = RefusedEvent("not-a-command", "the value is not JSON")
    one = Job.of_no_command(Batch("commands", 3, ()), broken, START, refused)
    assert await setting.sender.attempt(one) is None
    assert (setting.sender.undelivered, len(setting.dead_letters.messages)) == (0, 1)


async def test_a_command_from_a_clock_that_is_ahead_is_given_up_as_if_it_was_written_now() -> None:
    setting = Setting(always(500), give_up_after="2h", open_after=1000)
    await setting.work([record(age=-1_000_000 * HOUR)])
    assert setting.clock.now - START == 2 * HOUR


async def test_a_queue_knows_how_many_bytes_it_holds() -> None:
    setting = Setting(always(200))
    settled: list[Job] = []
    queue = KeyedQueue(setting.sender.attempt, settled.append, concurrency=1, sleep=setting.clock.sleep)
    jobs = [job(record(number, only="crm")) for number in range(3)]
    for one in jobs:
        queue.put(one)
    value = sum(len(one.record.value or b"") for one in jobs)
    assert queue.size == value + 3 * len("acme.com" + "endpoint" + "crm")
    await setting.clock.run(lambda: len(settled) == len(jobs))
    assert queue.size == 0
    await queue.close(0)
