"""Carry out one operation at a vendor: keep the call log, the limits and the sign-in, and name what has to wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from resegment.agents.sending.ports import CallLog, Limiter, Transport
from resegment.errors import ResegmentError
from resegment.schemas.logs.call_log import LoggedCall
from resegment.sinks.operation import Contact, Operation
from resegment.sinks.port import (
    LOST,
    WITHHELD,
    Answer,
    Call,
    RecordResult,
    Request,
    Result,
    Search,
    Sink,
    Writing,
    is_readable,
    is_safe,
    retry_after,
)

T = TypeVar("T")

REFUSED: Final = frozenset({400, 401, 403})
"""What a vendor answers to a refresh token that it does not take."""
MAX_KEPT_BODY: Final = 16_384
"""Characters of an answer's body that the call log keeps; of a larger one only the status is kept."""
MAX_STEPS: Final = 1_000
"""Calls of one operation: more is an error of the sink."""


class Later(ResegmentError):
    """The vendor is busy or does not answer: nothing was done by the last call. `wait` is what it asked for, in seconds.

    `failing`: it counts against the vendor, which should get fewer requests.
    """

    def __init__(self, problem: str, wait: float | None = None, *, failing: bool = True) -> None:
        super().__init__(problem)
        self.wait, self.failing = wait, failing


class Unsettled(ResegmentError):
    """It is not known whether the last call was carried out: look it up after `wait` seconds."""

    def __init__(self, problem: str, wait: float, *, failing: bool = True) -> None:
        super().__init__(problem)
        self.wait, self.failing = wait, failing


class SignedOut(ResegmentError):
    """The vendor does not accept the credentials. Nothing was done by the last call."""


class Rival(ResegmentError):
    """Another process works on the same command: this one begins again."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, which tests replace: `now` in seconds since the epoch."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the runner needs to know of its sink. `settle` and `timeout` are in seconds."""

    name: str
    timeout: float
    settle: float
    dry_run: bool = False


@dataclass(slots=True)
class SignIn:
    """The credentials of a sink. `read` reads them again: a file may have been replaced."""

    sink: Sink
    read: Callable[[], Mapping[str, str]]
    secrets: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    """What was read last."""
    newest: str | None = None
    """The refresh token that came with the last access token: some vendors take each one once."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def current(self, send: Callable[[Request], Awaitable[Answer]]) -> Mapping[str, str]:
        """Return the secrets, signed in. Raises SignedOut or Later."""
        async with self.lock:
            if not self.secrets:
                self.secrets = await self._sign_in(send)
            return self.secrets

    async def _sign_in(self, send: Callable[[Request], Awaitable[Answer]]) -> dict[str, str]:
        secrets = self._read()
        request = self.sink.sign_in(secrets)
        if request is None:
            return secrets
        answer = None
        if self.newest is not None and "refresh_token" in secrets:
            renewing = self.sink.sign_in({**secrets, "refresh_token": self.newest})
            answer = None if renewing is None else await send(renewing)
        if answer is None or answer.status in REFUSED:
            answer = await send(request)
        token = _read_token(answer)
        newest = answer.get("refresh_token")
        self.newest = newest if isinstance(newest, str) and newest else None
        return {**secrets, "access_token": token}

    def _read(self) -> dict[str, str]:
        secrets = dict(self.read())
        if secrets != self.given:
            self.given, self.newest = secrets, None
        return secrets

    def changed(self) -> bool:
        """Return whether the credentials were replaced since they were last read."""
        return dict(self.read()) != self.given

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget secrets that were refused; return whether other ones may be had."""
        async with self.lock:
            if self.secrets is refused or not self.secrets:
                self.secrets = {}
                fresh = self._read()
                return self.sink.sign_in(fresh) is not None or any(
                    refused.get(name) != value for name, value in fresh.items()
                )
            return True


def _read_token(answer: Answer) -> str:
    token = answer.get("access_token")
    if 200 <= answer.status < 300 and isinstance(token, str) and token:
        return token
    busy = answer.status in {0, 408, 425, 429} or answer.status >= 500
    if busy or (
        200 <= answer.status < 300 and not isinstance(answer.body, dict)
    ):  # a page is not the vendor's
        raise Later(f"signing in: {describe(answer)}", retry_after(answer, time.time()))
    raise SignedOut(f"signing in was refused: {describe(answer)}")


class SinkRunner:
    """Runs the operations of one sink. Several may run at once, of one account one at a time."""

    def __init__(
        self,
        settings: SinkSettings,
        sink: Sink,
        sign_in: SignIn,
        *,
        transport: Transport,
        calls: CallLog,
        limiter: Limiter,
        process: str,
        clock: Clock = Clock(),  # immutable
    ) -> None:
        self.settings, self.sink, self.calls = settings, sink, calls
        self.made: Callable[[Request, Answer, float], None] | None = None
        """Called after each request, with the seconds that it took."""
        self.withheld: Callable[[Request], None] | None = None
        """Called in a dry run, with each request that is not sent."""
        self._sign_in, self._transport, self._limiter = sign_in, transport, limiter
        self._process, self._clock = process, clock

    def as_dry_run(self) -> SinkRunner:
        """Return a runner of the same sink that changes nothing."""
        other = copy(self)
        other.settings = replace(self.settings, dry_run=True)
        return other

    async def run(
        self, operation: Operation, known: Mapping[str, LoggedCall], *, insist: bool = False
    ) -> Result:
        """Carry out an operation, whose calls so far are `known` by their steps.

        `insist`: a person asked to send again what is not known to be done. Raises Later, Unsettled, SignedOut, Rival
        or StoreUnavailable: then run it again, with what the call log has by then.
        """
        entries = dict(known)
        if insist:
            for step, entry in known.items():
                if entry.state != "answered":
                    await self._write(operation, step, entry, None)
                    del entries[step]
        if (wait := self._unsettled(entries)) > 0:
            raise Unsettled("an earlier request is not settled yet", wait, failing=False)
        return await _drive(self.sink.carry_out(operation), lambda call: self._call(operation, call, entries))

    def has_new_secrets(self) -> bool:
        """Return whether the credentials are others than those that were refused."""
        return self._sign_in.changed()

    async def check(self) -> Result:
        """Run the sink's test. Raises Later or SignedOut."""
        return await _drive(self.sink.check(), self.look)

    async def search(self, steps: Search) -> tuple[Contact, ...]:
        """Run the steps of a search for contacts. Raises Later or SignedOut."""
        return await _drive(steps, self.look)

    async def write(self, steps: Writing) -> tuple[RecordResult, ...]:
        """Run the steps that write fields. Raises Later or SignedOut."""
        return await _drive(steps, self.look)

    async def look(self, call: Call) -> Answer:
        """Make a call that may be repeated; in a dry run, only one that reads. Raises Later, SignedOut or StoreUnavailable."""
        if self.settings.dry_run and call.kind != "look":
            if self.withheld is not None:
                self.withheld(call.request)
            return WITHHELD
        answer = await self._send(call)
        if answer.verdict in {"retry", "lost"} or not is_readable(call, answer):
            raise self._later(answer)
        return answer

    def _unsettled(self, entries: Mapping[str, LoggedCall]) -> float:
        """Return the seconds until all calls without an outcome can be looked up."""
        ready = 0.0
        for entry in entries.values():
            if entry.state == "answered":
                continue
            patience = self.settings.settle + (self.settings.timeout if entry.state == "sent" else 0.0)
            ready = max(ready, entry.at / 1000 + patience)
        return max(0.0, ready - self._clock.now())

    async def _call(self, operation: Operation, call: Call, entries: dict[str, LoggedCall]) -> Answer:
        if call.kind != "once" or self.settings.dry_run:
            return await self.look(call)
        entry = entries.get(call.step)
        if entry is not None and entry.state == "answered":
            return Answer(entry.status, entry.body, verdict=entry.verdict)  # type: ignore[arg-type]
        if entry is not None and not call.looked:
            return LOST
        sent = LoggedCall("sent", self._now(), 1 if entry is None else entry.attempt + 1, self._process)
        await self._turn(call.request)  # before it is noted: a kill while waiting leaves nothing to look up
        await self._write(operation, call.step, entry, sent)
        entries[call.step] = sent
        try:
            answer = await self._send(call, waits=False)
        except (Later, SignedOut):
            await self._write(operation, call.step, sent, entry)
            raise
        if is_safe(call, answer):
            await self._write(operation, call.step, sent, entry)
            raise self._later(answer)
        if answer.verdict in {"retry", "lost"}:
            lost = replace_state(sent, "lost", self._now())
            await self._write(operation, call.step, sent, lost)
            wait = retry_after(answer, self._clock.now()) or 0.0
            raise Unsettled(describe(answer), max(wait, self.settings.settle))
        await self._write(operation, call.step, sent, _log(sent, answer))
        return answer

    async def _send(self, call: Call, *, waits: bool = True) -> Answer:
        for last in (False, True):
            secrets = await self._sign_in.current(self._transport.send)
            if waits or last:
                await self._turn(call.request)
            began = time.perf_counter()
            answer = await self._transport.send(self.sink.authorize(call.request, secrets))
            answer = replace(answer, verdict=self.sink.judge(answer))
            if self.made is not None:
                self.made(call.request, answer, time.perf_counter() - began)
            if answer.verdict != "unauthorized":
                return answer
            if last or not await self._sign_in.renew(secrets):
                break
        raise SignedOut(f"the credentials are not accepted: {describe(answer)}")

    async def _turn(self, request: Request) -> None:
        while (wait := await self._limiter.take(request)) > 0:
            await self._clock.sleep(wait)

    async def _write(
        self, operation: Operation, step: str, before: LoggedCall | None, after: LoggedCall | None
    ) -> None:
        if not await self.calls.write(operation.account, operation.key, step, before, after):
            raise Rival(f"another process works on the command {operation.key}")

    def _later(self, answer: Answer) -> Later:
        wait = retry_after(answer, self._clock.now())
        return Later(describe(answer), wait, failing=answer.status != 429)

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


async def _drive(steps: Generator[Call, Answer, T], call: Callable[[Call], Awaitable[Answer]]) -> T:
    try:
        asked = _advance(steps, None)
        for _ in range(MAX_STEPS):
            asked = _advance(steps, await call(asked))
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        steps.close()
    raise Later(f"the sink made more than {MAX_STEPS} calls for one operation")


def _advance(steps: Generator[Call, Answer, Any], answer: Answer | None) -> Call:
    """Return the next call. What a sink fails on is named, and tried again for as long as any other failure."""
    try:
        return next(steps) if answer is None else steps.send(answer)
    except (StopIteration, ResegmentError):
        raise
    except Exception as error:  # a vendor can answer what nobody thought of
        raise Later(f"the sink cannot read an answer: {type(error).__name__}: {error}"[:500]) from error


def replace_state(entry: LoggedCall, state: str, at: int) -> LoggedCall:
    """Return an entry of the call log in another state."""
    return LoggedCall(state, at, entry.attempt, entry.process)  # type: ignore[arg-type]


def _log(sent: LoggedCall, answer: Answer) -> LoggedCall:
    body = answer.body
    if len(repr(body)) > MAX_KEPT_BODY:
        body = None
    return LoggedCall("answered", sent.at, sent.attempt, sent.process, answer.status, body, answer.verdict)


def describe(answer: Answer) -> str:
    """Return an answer in one line, for people."""
    if answer.status == 0:
        return str(answer.body or "no answer")[:200]
    told = (
        answer.get("message")
        or answer.get("error")
        or answer.get(0, "message")
        or answer.get("errors", 0, "detail")
    )
    if not told and 200 <= answer.status < 300:
        told = "it is not an answer of the vendor, but a page of something between, or empty"
    return f"status {answer.status}" + (f": {str(told)[:200]}" if told else "")
