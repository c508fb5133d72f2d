"""Deliver workflow commands to one endpoint: try, wait, retry, and dead-letter what cannot be delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import orjson

from resegment.agents.batch import Batch, Publisher, Record, require_readable
from resegment.agents.circuit_breaker import Breaker
from resegment.agents.dead_letters import ONLY, to_dead_letter
from resegment.errors import RefusedEvent, ResegmentError
from resegment.sinks.webhook.endpoints import Endpoint
from resegment.sinks.webhook.port import Answer, Webhook

GRACE: Final = 600.0
"""How many seconds an old command is retried if its endpoint has only just started to fail."""
MOST_ASKED: Final = 3600.0
"""The most seconds that an endpoint can ask for with Retry-After; more is cut to this."""
BURIAL_WAIT: Final = 2.0
"""Seconds before a dead letter that could not be published is retried."""

Outcome = Literal["delivered", "retried", "buried", "gone"]
Verdict = Literal["delivered", "retry", "refused", "gone"]


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
    """What delivery reads of a command. `body` is the original event; `only` names the one endpoint it is for."""

    id: str
    account: str
    workflow: str
    action: str
    body: bytes
    only: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """One command to deliver. `entered` is when it arrived here, in seconds; `written` is when it was written to the topic."""

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
        return self.record.timestamp / 1000


Told = Callable[[Job, Outcome, Answer | None], None]


def read_command(record: Record) -> Command:
    """Return the command of a record. Raises RefusedEvent if it is not a command."""
    require_readable(record)
    try:
        event: Any = orjson.loads(record.value or b"")
        data = event["data"]
        found = (event["id"], event["subject"], data["workflow"], data["action"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise RefusedEvent("not-a-command", f"{type(error).__name__}: {error}") from None
    if not all(isinstance(one, str) for one in found):
        raise RefusedEvent("not-a-command", "id, subject, workflow and action are texts")
    message, subject, workflow, action = found
    if not (0 < len(message) <= 256 and message.isascii() and message.isprintable() and " " not in message):
        raise RefusedEvent("not-a-command", "the id cannot stand in a header", field="id")
    only = next((value.decode("utf-8", "replace") for name, value in record.headers if name == ONLY), None)
    account = subject if record.key is None else record.key.decode("utf-8", "replace")
    return Command(message, account, workflow, action, record.value or b"", only)


def wants(name: str, endpoint: Endpoint, command: Command) -> bool:
    """Return whether the command is for the endpoint."""
    if command.only is not None:
        return command.only == name
    return (endpoint.workflows is None or command.workflow in endpoint.workflows) and (
        endpoint.actions is None or command.action in endpoint.actions
    )


def judge(answer: Answer) -> Verdict:
    """Return what an answer means for the command."""
    status = answer.status
    if status is None or status in {408, 425, 429} or status >= 500:
        return "retry"
    if status == 410:
        return "gone"
    return "delivered" if 200 <= status < 300 else "refused"


def asked_wait(answer: Answer) -> float | None:
    """Return the seconds that the endpoint asked for, up to the limit; None if it asked for none."""
    if answer.retry_after is None or answer.status not in {429, 503}:
        return None
    return min(answer.retry_after, MOST_ASKED)


def backoff(attempt: int, endpoint: Endpoint, chance: Callable[[], float]) -> float:
    """Return a random pause after attempt number `attempt` (from 1), in seconds; its limit doubles each time."""
    return chance() * min(endpoint.longest_wait, endpoint.first_wait * 2.0 ** min(attempt - 1, 64))


class Courier:
    """Delivers jobs to one endpoint, several at a time.

    `now` (seconds since the epoch), `sleep` and `chance` (0 to 1) come from outside, for tests. `told` is called after
    every attempt.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        webhook: Webhook,
        *,
        publisher: Publisher,
        dead_letters: str,
        told: Told,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
    ) -> None:
        self.breaker = Breaker(endpoint.open_after, endpoint.pause, endpoint.longest_wait)
        self.failing_since: float | None = None
        """Since when every attempt has failed, in seconds since the epoch."""
        self.problem: str | None = None
        """The result of the last failed attempt, until one succeeds."""
        self._name, self._endpoint, self._webhook = name, endpoint, webhook
        self._publisher, self._dead_letters = publisher, dead_letters
        self._told, self._now, self._sleep, self._chance = told, now, sleep, chance

    async def attempt(self, job: Job) -> float | None:
        """Try once, as soon as the breaker allows it. Return the seconds until the next attempt, or None if it is settled.

        A job is settled when it was delivered or dead-lettered. Raises EndpointGone.
        """
        while job.refused is None and (pause := self.breaker.ask(self._now())) > 0:
            left = self._deadline(job) - self._now()
            if left <= 0:
                job.refused = self._give_up(job, None)
            else:
                await self._sleep(min(pause, left))
        job.sending = True
        try:
            return await self._send(job) if job.refused is None else await self._bury(job, None)
        finally:
            job.sending = False

    async def _send(self, job: Job) -> float | None:
        job.attempts += 1
        try:
            answer = await self._webhook.send(job.command.id, job.command.body)
        except BaseException:
            self.breaker.abandon()
            raise
        verdict = judge(answer)
        if verdict == "retry":
            return await self._put_off(job, answer)
        self.breaker.succeed()
        if verdict == "gone":
            self._told(job, "gone", answer)
            raise EndpointGone(self._name)
        self.failing_since = self.problem = None
        if verdict == "delivered":
            self._told(job, "delivered", answer)
            return None
        job.refused = RefusedEvent("undeliverable", f"the endpoint {self._name} refused it: {answer}")
        return await self._bury(job, answer)

    async def _put_off(self, job: Job, answer: Answer) -> float | None:
        now = self._now()
        self.problem = str(answer)
        if self.failing_since is None:
            self.failing_since = now
        if answer.status == 429:  # the endpoint is up, but busy
            self.breaker.succeed()
        else:
            self.breaker.fail(now)
        if (asked := asked_wait(answer)) is not None:
            self.breaker.hold(now + asked)
        left = self._deadline(job) - now
        if left <= 0:
            job.refused = self._give_up(job, answer)
            return await self._bury(job, answer)
        self._told(job, "retried", answer)
        return min(max(backoff(job.attempts, self._endpoint, self._chance), asked or 0.0), left)

    def _deadline(self, job: Job) -> float:
        # A command that is already old when the endpoint starts to fail (it was disabled, or nothing ran) also gets
        # some time. If the endpoint has been failing all along, its backlog must not use that time again for each.
        begun = job.entered if self.failing_since is None else min(job.entered, self.failing_since)
        limit = self._endpoint.give_up_after
        return max(job.written + limit, begun + min(limit, GRACE))

    def _give_up(self, job: Job, answer: Answer | None) -> RefusedEvent:
        last = str(answer) if answer is not None else self.problem or "the endpoint is left alone"
        return RefusedEvent(
            "undeliverable", f"given up after {job.attempts} tries at the endpoint {self._name}: {last}"
        )

    async def _bury(self, job: Job, answer: Answer | None) -> float | None:
        assert job.refused is not None
        letter = to_dead_letter(self._dead_letters, job.batch, job.record, job.refused, endpoint=self._name)
        try:
            await self._publisher.publish([letter])
        except ResegmentError:  # Kafka is down: keep the command and the decision about it
            return BURIAL_WAIT
        self._told(job, "buried", answer)
        return None
