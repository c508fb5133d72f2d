"""Send commands to one sink: try, wait, look again, and dead-letter what a person has to see."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from resegment.agents.batch import Publisher, PublishFailed
from resegment.agents.circuit_breaker import CircuitBreaker
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.delivery import DEAD_LETTER_WAIT, GRACE, Command, Job
from resegment.agents.sending.operations import CommandData, read_data
from resegment.agents.sending.runner import Clock, Later, Rival, SignedOut, Unsettled
from resegment.agents.sending.work import CommandWork, Done, Performer
from resegment.errors import RefusedEvent, ResegmentError, TransientError
from resegment.schemas.logs.call_log import LoggedResult
from resegment.schemas.times import format_instant
from resegment.sinks.loading import LoadedSink

SendOutcome = Literal["applied", "skipped", "partial", "unknown", "gone", "refused", "retried", "signed-out"]
"""What an attempt led to, as the metrics name it."""
UNDELIVERABLE: Final = "undeliverable"
UNKNOWN: Final = "unknown-outcome"
"""The reasons of dead letters of sinks."""
SIGNED_OUT_WAIT: Final = 5.0
"""Seconds between two looks whether a command may be sent again after the credentials were refused."""
SIGN_IN_AGAIN: Final = 60.0
"""Seconds after which refused credentials are tried again, by one command."""
TRANSIENT_WAIT: Final = 1.0
"""Seconds before a command is tried again that waits for Redis, or for another process."""
NOTED: Final = frozenset({"partial", "unknown", "gone", "refused"})


@dataclass(slots=True)
class Condition:
    """How a sink is doing. Times are in seconds since the epoch.

    `failing_since` is since when every attempt has failed, `problem` why; `signed_out` says why the credentials are
    refused, `sign_in_at` when they are tried again. `undelivered` counts commands in a row that went to the dead letters.
    """

    failing_since: float | None = None
    problem: str | None = None
    undelivered: int = 0
    signed_out: str | None = None
    sign_in_at: float = 0.0
    notes: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=100))


Report = Callable[[Job, SendOutcome, Done | None], None]
"""Called after every attempt."""


class SinkSender:
    """Sends the commands of one sink, several at a time."""

    def __init__(
        self,
        performer: Performer,
        work: CommandWork,
        *,
        publisher: Publisher,
        dead_letters: str,
        report: Report,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`dead_letters` is the topic for what a person has to see."""
        loaded = performer.loaded
        entry = loaded.entry
        self.breaker = CircuitBreaker(entry.open_after, entry.pause, entry.longest_wait)
        self.condition = Condition()
        self._loaded, self._runner, self._work = loaded, performer.runner, work
        self._publisher, self._dead_letters = publisher, dead_letters
        self._report, self._clock, self._chance = report, clock, chance

    @property
    def failing_since(self) -> float | None:
        """Since when every attempt has failed, in seconds since the epoch."""
        return self.condition.failing_since

    @property
    def problem(self) -> str | None:
        """Why the last attempt failed, until one succeeds."""
        return self.condition.signed_out or self.condition.problem

    @property
    def undelivered(self) -> int:
        """How many commands in a row went to the dead letters."""
        return self.condition.undelivered

    def wants(self, command: Command) -> bool:
        """Return whether the command is for this sink."""
        return wants(self._loaded, command)

    async def attempt(self, job: Job) -> float | None:
        """Try once, as soon as the breaker allows it. Return the seconds until the next attempt, or None if it is settled."""
        if job.refused is None and (wait := self._signed_out_wait()) is not None:
            return wait
        while job.refused is None and (pause := self.breaker.ask(self._clock.now())) > 0:
            left = self._deadline(job) - self._clock.now()
            if left <= 0:
                job.refused = self._give_up(job)
            else:
                await self._clock.sleep(min(pause, left))
        job.sending = True
        try:
            return await self._send(job) if job.refused is None else await self._dead_letter(job)
        finally:
            job.sending = False

    async def _send(self, job: Job) -> float | None:
        job.attempts += 1
        account = job.command.account
        try:
            data = read_data(job.command.body)
        except msgspec.DecodeError as error:
            self.breaker.abandon()
            job.refused = RefusedEvent("not-a-command", f"its data can't be read: {error}", field="data")
            return await self._dead_letter(job)
        try:
            log = await self._runner.calls.read(account)
            data = msgspec.structs.replace(data, account=account)
            done = await self._work.carry_out(data, log, replayed=job.command.only == self._loaded.name)
            return await self._settle(job, data, done)
        except Later as later:
            return await self._postpone(job, later.message, later.wait, failing=later.failing)
        except Unsettled as unsettled:
            return await self._postpone(
                job, unsettled.message, unsettled.wait, failing=unsettled.failing, at_once=True
            )
        except SignedOut as out:
            return self._sign_out(job, out)
        except (Rival, TransientError) as error:
            self.breaker.abandon()
            self.condition.problem = error.message
            if self.condition.failing_since is None and isinstance(error, TransientError):
                self.condition.failing_since = self._clock.now()
            return TRANSIENT_WAIT * (1 + self._chance())
        except BaseException:
            self.breaker.abandon()
            raise

    async def _settle(self, job: Job, data: CommandData, done: Done) -> float | None:
        self.breaker.succeed()
        condition = self.condition
        condition.failing_since = condition.problem = condition.signed_out = None
        result, dry = done.result, self._runner.settings.dry_run
        if done.repeated or dry:
            self._report(job, result.outcome, done)
            return None
        if result.outcome in NOTED or done.reason:
            self._note(data, done)
        if result.outcome in {"unknown", "gone", "refused"}:
            reason = UNKNOWN if result.outcome == "unknown" else UNDELIVERABLE
            job.refused = RefusedEvent(reason, f"{self._loaded.name}: {explain(done)}")
            if (wait := await self._dead_letter(job, done)) is not None:
                return wait
        else:
            condition.undelivered = 0
        enrolled = {} if done.enrolled is None else {data.workflow: done.enrolled}
        if result.outcome == "unknown":  # its calls stay in the log, so that they are not made again
            await self._runner.calls.enroll(data.account, enrolled)
            return None
        logged = LoggedResult(
            outcome=result.outcome,
            text=result.text[:500],
            at=int(self._clock.now() * 1000),
            sequence=data.cause.sequence_number,
            kind=data.action,
            workflow=data.workflow,
        )
        await self._runner.calls.settle(data.account, data.idempotency_key, logged, enrolled)
        if job.refused is None:
            self._report(job, result.outcome, done)
        return None

    def _note(self, data: CommandData, done: Done) -> None:
        self.condition.notes.append(
            {
                "at": format_instant(int(self._clock.now()) * 1000),
                "account": data.account,
                "action": data.action,
                "workflow": data.workflow,
                "outcome": done.reason or done.result.outcome,
                "text": explain(done)[:500],
                "key": data.idempotency_key,
            }
        )

    async def _postpone(
        self, job: Job, problem: str, wait: float | None, *, failing: bool, at_once: bool = False
    ) -> float | None:
        now = self._clock.now()
        self.condition.problem = problem
        if self.condition.failing_since is None:
            self.condition.failing_since = now
        if failing:
            self.breaker.fail(now)
        else:
            self.breaker.succeed()
        if wait is not None and not at_once:
            self.breaker.hold(now + wait)
        left = self._deadline(job) - now
        if left <= 0:
            job.refused = self._give_up(job)
            return await self._dead_letter(job)
        self._report(job, "retried", None)
        entry = self._loaded.entry
        backoff = self._chance() * min(
            entry.longest_wait, entry.first_wait * 2.0 ** min(job.attempts - 1, 64)
        )
        return min(max(wait or 0.0, 0.0 if at_once else backoff), left)

    def _sign_out(self, job: Job, out: SignedOut) -> float:
        now = self._clock.now()
        self.breaker.abandon()
        self.condition.signed_out, self.condition.sign_in_at = out.message, now + SIGN_IN_AGAIN
        if self.condition.failing_since is None:
            self.condition.failing_since = now
        self._report(job, "signed-out", None)
        return SIGNED_OUT_WAIT

    def _signed_out_wait(self) -> float | None:
        """Return how long to wait while the credentials are refused; one command at a time tries them again."""
        if self.condition.signed_out is None:
            return None
        now = self._clock.now()
        if now >= self.condition.sign_in_at or self._runner.has_new_secrets():
            self.condition.sign_in_at = now + SIGN_IN_AGAIN
            return None
        return SIGNED_OUT_WAIT

    def _deadline(self, job: Job) -> float:
        # As for webhooks: a command that is old already when the sink begins to fail gets some time too.
        since = self.condition.failing_since
        begun = job.entered if since is None else min(job.entered, since)
        limit = self._loaded.entry.give_up_after
        return max(job.written + limit, begun + min(limit, GRACE))

    def _give_up(self, job: Job) -> RefusedEvent:
        why = self.condition.problem or "its last result is not known"
        if not job.attempts:
            return RefusedEvent(
                UNDELIVERABLE,
                f"was never sent: the sink {self._loaded.name} kept failing for all its time, and was paused: {why}",
            )
        attempts = f"{job.attempts} attempt{'' if job.attempts == 1 else 's'}"
        return RefusedEvent(UNDELIVERABLE, f"gave up on the sink {self._loaded.name} after {attempts}: {why}")

    async def _dead_letter(self, job: Job, done: Done | None = None) -> float | None:
        assert job.refused is not None
        name = self._loaded.name
        for small in (False, True):
            letter = to_dead_letter(
                self._dead_letters, job.batch, job.record, job.refused, endpoint=name, small=small
            )
            try:
                await self._publisher.publish([letter])
                break
            except PublishFailed as failed:
                if small or not failed.too_large:
                    return DEAD_LETTER_WAIT
            except ResegmentError:
                return DEAD_LETTER_WAIT
        if job.refused.reason in {UNDELIVERABLE, UNKNOWN}:
            self.condition.undelivered += 1
            self.condition.problem = job.refused.message
        self._report(job, "refused" if done is None else done.result.outcome, done)
        return None


def wants(loaded: LoadedSink, command: Command) -> bool:
    """Return whether a command is for a sink."""
    if command.only is not None:
        return command.only == loaded.name
    if loaded.target_of(command.workflow) is None:
        return False
    actions = loaded.entry.actions
    return actions is None or command.action in actions


def explain(done: Done) -> str:
    """Return a result in one line, with what became of contacts that were left out."""
    result = done.result
    parts = [result.text] if result.text else []
    if result.instead and result.instead not in parts:
        parts.append(result.instead)
    parts += [
        f"{one.contact.key}: {one.outcome}{f' ({one.why})' if one.why else ''}"
        for one in result.contacts
        if one.outcome != "applied"
    ]
    if result.counts:
        parts.append(", ".join(f"{name} {number}" for name, number in sorted(result.counts.items())))
    return "; ".join(parts) or result.outcome
