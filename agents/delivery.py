"""Deliver workflow commands and segment changes to one endpoint: try, wait, retry, and dead-letter what cannot be delivered."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import orjson

from resegment.agents.batch import Batch, Publisher, PublishFailed, Record, require_readable
from resegment.agents.circuit_breaker import CircuitBreaker
from resegment.agents.dead_letters import ONLY, to_dead_letter
from resegment.errors import RefusedEvent, ResegmentError
from resegment.schemas.cloudevents.foreign import name_bytes, name_object
from resegment.schemas.cloudevents.traces import read_traceparent
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.port import TRACE_OF_EVENT, SendResult, Webhook, describe_error

GRACE: Final = 600.0
"""How many seconds an old command is retried if its endpoint has only just started to fail."""
MAX_RETRY_AFTER: Final = 3600.0
"""The most seconds that an endpoint can ask for with Retry-After; more is cut to this."""
DEAD_LETTER_WAIT: Final = 2.0
"""Seconds before a dead letter that could not be published is retried."""

MAX_KEY: Final = 1024
"""The longest key in bytes: an account's domain has 253 at most."""
MAX_TEXT: Final = 2048
"""The longest text of a command that delivery reads, in characters."""

AttemptResult = Literal["delivered", "retried", "buried", "gone"]
"""What an attempt led to, as the metrics name it; `buried` is a command in the dead letters."""
Reaction = Literal["delivered", "retry", "refused", "gone"]
"""What an endpoint's response means for the command."""


class EndpointGone(ResegmentError):
    """The endpoint says that it is gone (status 410)."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the endpoint {name} answered that it is gone (status 410)",
            remedy=f"Its commands wait in Kafka: `resegment webhooks enable {name}` resumes them.",
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Command:
    """What delivery reads of a command. `body` is the original event; `only` names the one endpoint it is for.

    A segment change has neither `workflow` nor `action`.
    """

    id: str
    account: str
    workflow: str
    action: str
    body: bytes
    only: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One command to deliver. `entered` is when it arrived here, in seconds since the epoch."""

    command: Command
    batch: Batch
    record: Record
    entered: float
    attempts: int = 0
    sending: bool = False
    """Whether it is being sent to the endpoint or the dead letters now: canceling may send it twice."""
    refused: RefusedEvent | None = None

    @classmethod
    def of_no_command(cls, batch: Batch, record: Record, entered: float, refused: RefusedEvent) -> Self:
        """Return a job that dead-letters a record that is not a command."""
        nothing = Command(f"{batch.topic}:{batch.partition}:{record.offset}", "", "", "", b"")
        return cls(nothing, batch, record, entered, refused=refused)

    @property
    def written(self) -> float:
        """Return when the command was written to the topic, in seconds since the epoch.

        A producer's clock may be ahead: the command still counts as written by the time that it arrived.
        """
        return min(self.record.timestamp / 1000, self.entered)


Report = Callable[[Job, AttemptResult, SendResult | None], None]
"""Called after every attempt."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, which tests replace: `now` in seconds since the epoch, `chance` from 0 to 1."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


def read_command(record: Record, kind: str = COMMAND_TYPE) -> Command:
    """Return the command of a record, or the segment change, whose type is `kind`.

    Raises RefusedEvent, which names what the record is instead.
    """
    require_readable(record)
    try:
        return _read(record, kind)
    except RefusedEvent as refused:
        if kind == CHANGE_TYPE:
            raise RefusedEvent("not-a-change", refused.message, field=refused.field) from None
        raise


def _read(record: Record, kind: str) -> Command:
    event = _parse(record.value)
    if "type" in event and event["type"] != kind:
        raise _refuse(f"the type is {str(event['type'])[:80]!r}, not {kind}", "type")
    data = event.get("data")
    if not isinstance(data, dict):
        raise _refuse("data is missing, or is not an object", "data")
    message, subject = _read_text(event, "id"), _read_text(event, "subject")
    workflow = action = ""
    if kind != CHANGE_TYPE:
        workflow, action = (_read_text(data, name, "data.") for name in ("workflow", "action"))
    if not (0 < len(message) <= 256 and message.isascii() and message.isprintable() and " " not in message):
        raise _refuse(
            "the id is sent as a header: it must have 1 to 256 printable ASCII characters and no space", "id"
        )
    if record.key is not None and len(record.key) > MAX_KEY:
        raise _refuse(f"the key has {len(record.key):,} bytes: it is the account's domain", "key")
    account = subject if record.key is None else record.key.decode("utf-8", "replace")
    return Command(message, account, workflow, action, record.value or b"", read_only(record))


def read_only(record: Record) -> str | None:
    """Return the name of the one endpoint that a record is for, or None. A header may have no value."""
    found = (value for name, value in record.headers if name == ONLY and value)
    return next((value.decode("utf-8", "replace") for value in found), None)


def _parse(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise _refuse("the record has no value (a tombstone): what was announced is never withdrawn")
    try:
        event: Any = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _refuse(name_bytes(value) or f"the value is not JSON in UTF-8 ({error})") from None
    if not isinstance(event, dict):
        raise _refuse(f"an event is an object, not {'a list' if isinstance(event, list) else 'a value'}")
    if (name := name_object(event)) is not None:
        raise _refuse(name)
    return event


def _read_text(data: dict[str, Any], name: str, path: str = "") -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise _refuse(f"{path}{name} is {'missing' if value is None else 'not text'}", path + name)
    if len(value) > MAX_TEXT:
        raise _refuse(
            f"{path}{name} has {len(value):,} characters: at most {MAX_TEXT} are allowed", path + name
        )
    return value


def _refuse(message: str, field: str | None = None) -> RefusedEvent:
    return RefusedEvent("not-a-command", message, field=field)


def wants(name: str, endpoint: Endpoint, command: Command) -> bool:
    """Return whether the command is for the endpoint."""
    if command.only is not None:
        return command.only == name
    if not command.action:  # a segment change
        return True
    return (endpoint.workflows is None or command.workflow in endpoint.workflows) and (
        endpoint.actions is None or command.action in endpoint.actions
    )


REFUSALS: Final = frozenset({400, 413, 415, 422})
"""The answers that say that the receiver will never accept this command."""


def classify(sent: SendResult) -> Reaction:
    """Return what a response means for the command.

    Everything but a success, a 410 and the REFUSALS may pass: during a deploy a receiver answers 401 or 404, too.
    """
    status = sent.status
    if status == 410:
        return "gone"
    if status in REFUSALS:
        return "refused"
    return "delivered" if status is not None and 200 <= status < 300 else "retry"


def explain(sent: SendResult) -> str:
    """Return what a failed request says, with what to check."""
    status = sent.status or 0
    advice = _ADVICE.get(status)
    if advice is None and 300 <= status < 400:
        advice = "redirects are not followed: set the endpoint's url to where it leads"
    return str(sent) if advice is None else f"{sent} ({advice})"


_ADVICE: Final = {
    400: "the receiver does not accept the command as it is",
    401: "does the receiver have the endpoint's current secret?",
    403: "does the receiver have the endpoint's current secret?",
    404: "is the endpoint's url right?",
    405: "is the endpoint's url right? Commands are sent with POST",
    413: "the command is too large for the receiver",
    415: "the receiver does not accept application/cloudevents+json",
    422: "the receiver does not accept the command as it is",
}


def requested_wait(sent: SendResult) -> float | None:
    """Return the seconds that the endpoint asked for, up to the limit; None if it asked for none."""
    if sent.retry_after is None or classify(sent) != "retry":
        return None
    return min(sent.retry_after, MAX_RETRY_AFTER)


def backoff(attempt: int, endpoint: Endpoint, chance: Callable[[], float]) -> float:
    """Return a random pause after attempt number `attempt` (from 1), in seconds; its limit doubles each time."""
    return chance() * min(endpoint.longest_wait, endpoint.first_wait * 2.0 ** min(attempt - 1, 64))


class EndpointSender:
    """Sends jobs to one endpoint, several at a time, and dead-letters those that cannot be delivered."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        webhook: Webhook,
        *,
        publisher: Publisher,
        dead_letters: str,
        report: Report,
        timing: Timing = Timing(),  # immutable
    ) -> None:
        """`dead_letters` is the topic for what cannot be delivered."""
        self.breaker = CircuitBreaker(endpoint.open_after, endpoint.pause, endpoint.longest_wait)
        self.failing_since: float | None = None
        """Since when every attempt has failed, in seconds since the epoch."""
        self.problem: str | None = None
        """Why the last attempt or command failed, until one succeeds."""
        self.undelivered = 0
        """How many commands in a row went to the dead letters."""
        self._name, self._endpoint, self._webhook = name, endpoint, webhook
        self._publisher, self._dead_letters = publisher, dead_letters
        self._report, self._timing = report, timing

    def wants(self, command: Command) -> bool:
        """Return whether the command is for the endpoint."""
        return wants(self._name, self._endpoint, command)

    async def attempt(self, job: Job) -> float | None:
        """Try once, as soon as the breaker allows it. Return the seconds until the next attempt, or None if it is settled.

        A job is settled when it was delivered or dead-lettered. Raises EndpointGone.
        """
        while job.refused is None and (pause := self.breaker.ask(self._timing.now())) > 0:
            left = self._deadline(job) - self._timing.now()
            if left <= 0:
                job.refused = self._give_up(job, None)
            else:
                await self._timing.sleep(min(pause, left))
        job.sending = True
        try:
            return await self._send(job) if job.refused is None else await self._dead_letter(job, None)
        finally:
            job.sending = False

    async def _send(self, job: Job) -> float | None:
        job.attempts += 1
        TRACE_OF_EVENT.set(read_traceparent(job.record.headers))
        try:
            sent = await self._webhook.send(job.command.id, job.command.body)
        except Exception as error:  # noqa: BLE001  # a sink that breaks its promise must not stop the others' commands
            sent = SendResult(problem=describe_error(error))
        except BaseException:
            self.breaker.abandon()
            raise
        reaction = classify(sent)
        if reaction == "retry":
            return await self._postpone(job, sent)
        self.breaker.succeed()
        if reaction == "gone":
            self._report(job, "gone", sent)
            raise EndpointGone(self._name)
        self.failing_since = self.problem = None
        if reaction == "delivered":
            self.undelivered = 0
            self._report(job, "delivered", sent)
            return None
        self.problem = explain(sent)
        job.refused = RefusedEvent("undeliverable", f"the endpoint {self._name} refused it: {explain(sent)}")
        return await self._dead_letter(job, sent)

    async def _postpone(self, job: Job, sent: SendResult) -> float | None:
        now = self._timing.now()
        self.problem = explain(sent)
        if self.failing_since is None:
            self.failing_since = now
        if sent.status == 429:  # the endpoint is up, but busy
            self.breaker.succeed()
        else:
            self.breaker.fail(now)
        if (requested := requested_wait(sent)) is not None:
            self.breaker.hold(now + requested)
        left = self._deadline(job) - now
        if left <= 0:
            job.refused = self._give_up(job, sent)
            return await self._dead_letter(job, sent)
        self._report(job, "retried", sent)
        return min(max(backoff(job.attempts, self._endpoint, self._timing.chance), requested or 0.0), left)

    def _deadline(self, job: Job) -> float:
        # A command that is already old when the endpoint starts to fail (it was disabled, or nothing ran) also gets
        # some time. If the endpoint has been failing all along, its backlog must not use that time again for each.
        begun = job.entered if self.failing_since is None else min(job.entered, self.failing_since)
        limit = self._endpoint.give_up_after
        return max(job.written + limit, begun + min(limit, GRACE))

    def _give_up(self, job: Job, sent: SendResult | None) -> RefusedEvent:
        if not job.attempts:
            why = self.problem or "its last result is not known"
            return RefusedEvent(
                "undeliverable",
                f"was never sent: the endpoint {self._name} kept failing for all its time, and was paused: {why}",
            )
        attempts = f"{job.attempts} attempt{'' if job.attempts == 1 else 's'}"
        if sent is not None:
            why = f"the last result is {explain(sent)}"
        else:
            why = f"it is paused because it keeps failing: {self.problem or 'its last result is not known'}"
        return RefusedEvent("undeliverable", f"gave up on the endpoint {self._name} after {attempts}: {why}")

    async def _dead_letter(self, job: Job, sent: SendResult | None) -> float | None:
        assert job.refused is not None
        try:
            await self._publish_dead_letter(job, job.refused)
        except ResegmentError:  # Kafka is down: keep the command and the decision about it
            return DEAD_LETTER_WAIT
        if job.refused.reason == "undeliverable":  # not a record that is no command
            self.undelivered += 1
        self._report(job, "buried", sent)
        return None

    async def _publish_dead_letter(self, job: Job, refused: RefusedEvent) -> None:
        batch, record = job.batch, job.record
        message = to_dead_letter(self._dead_letters, batch, record, refused, endpoint=self._name)
        try:
            await self._publisher.publish([message])
        except PublishFailed as failed:
            if not failed.too_large:
                raise
            message = to_dead_letter(
                self._dead_letters, batch, record, refused, endpoint=self._name, small=True
            )
            await self._publisher.publish([message])
