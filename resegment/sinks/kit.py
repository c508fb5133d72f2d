"""The test kit of sinks: run an operation's steps against a function that answers, with faults, without a network.

    calls = CallBook()
    result = run(sink, operation, server.answer, calls)

It keeps the rules of the real thing: a `once` call is noted before it is "sent", a lost one begins the steps again, and it
is sent a second time only if the sink has looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from resegment.sinks.operation import Operation
from resegment.sinks.port import LOST, Answer, Call, Request, Result, Sink, Steps, is_readable, is_safe

Answering = Callable[[Request], Answer]
Fault = Literal["none", "429", "500", "503", "reset", "lost", "refused-connection", "kill", "kill-after"]
"""What happens to a request: nothing; an answer instead of the work; a reset before or a lost answer after the work; no
connection; and the end of the process before or after the work."""
NEVER_DONE: Final = frozenset({"429", "503", "500", "reset", "refused-connection", "kill"})


class Killed(Exception):
    """The process ended: what is not in the call log is forgotten."""


class Later(Exception):
    """The vendor asked to come back: run the operation again."""


class SignedOut(Exception):
    """The vendor does not accept the credentials: nothing more is sent."""


class Broken(AssertionError):
    """A sink broke a rule of the port."""


@dataclass(slots=True)
class CallBook:
    """The call log of one account, in memory: by operation and step, the answer, or None while it is not known."""

    entries: dict[tuple[str, str], Answer | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Run:
    sink: Sink
    operation: Operation
    answer: Answering
    calls: CallBook
    faults: Iterator[Fault]
    steps: set[str] = field(default_factory=set)
    looks: int = 0

    def drive(self) -> Result:
        steps: Steps = self.sink.carry_out(self.operation)
        try:
            call = next(steps)
            while True:
                call = steps.send(self._carry_out(call))
        except StopIteration as done:
            if not isinstance(done.value, Result):
                raise Broken(f"the steps returned {done.value!r}, not a Result") from None
            return done.value
        finally:
            steps.close()

    def _carry_out(self, call: Call) -> Answer:
        if call.kind != "once":
            self.looks += call.kind == "look"
            return self._send(call)
        if not call.step or call.step in self.steps:
            raise Broken(f"the step {call.step!r} of a once call is not unique in its operation")
        self.steps.add(call.step)
        if call.looked and not self.looks:
            raise Broken(f"the step {call.step!r} says that it looked, but nothing was looked up in this run")
        place = (self.operation.key, call.step)
        known = self.calls.entries.get(place)
        if known is not None:
            return known
        if place in self.calls.entries and not call.looked:
            return LOST
        self.calls.entries[place] = None
        try:
            answer = self._send(call)
        except (Later, SignedOut):
            self.calls.entries.pop(place)
            raise
        self.calls.entries[place] = answer
        return answer

    def _send(self, call: Call) -> Answer:
        fault = next(self.faults, "none")
        if fault == "kill":
            raise Killed
        answer = _faulty(fault) if fault in NEVER_DONE else self.answer(call.request)
        if fault == "kill-after":
            raise Killed
        if fault == "lost":
            answer = Answer(0)
        answer = replace(answer, verdict=self.sink.judge(answer))
        if not is_readable(call, answer):
            answer = replace(answer, verdict="lost")
        if answer.verdict == "unauthorized":
            raise SignedOut
        if is_safe(call, answer) or (call.kind != "once" and answer.verdict in {"retry", "lost"}):
            raise Later
        if answer.verdict in {"retry", "lost"}:
            raise Killed  # the steps begin again, and the call log says that it was sent
        return answer


def _faulty(fault: str) -> Answer:
    if fault == "refused-connection":
        return Answer(0, unsent=True)
    return Answer(0) if fault == "reset" else Answer(int(fault), headers={"retry-after": "1"})


def check(sink: Sink, answer: Answering) -> Result:
    """Run the test of a sink, as `resegment sinks test` does. Raises SignedOut, or Broken if it would change something."""
    steps = sink.check()
    try:
        call = next(steps)
        while True:
            if call.kind != "look":
                raise Broken(f"the test changes something: {call.request.method} {call.request.path}")
            given = answer(call.request)
            verdict = sink.judge(given)
            if verdict == "unauthorized":
                raise SignedOut
            call = steps.send(replace(given, verdict=verdict))
    except StopIteration as done:
        if not isinstance(done.value, Result):
            raise Broken(f"the steps returned {done.value!r}, not a Result") from None
        return done.value


def run(
    sink: Sink,
    operation: Operation,
    answer: Answering,
    calls: CallBook | None = None,
    *,
    faults: Iterator[Fault] = iter(()),  # noqa: B008  # empty
    attempts: int = 50,
) -> Result:
    """Carry out an operation, from the start again after each fault, as a process that is restarted would.

    Raises SignedOut, or Broken if the sink breaks a rule or does not come to an end.
    """
    calls = CallBook() if calls is None else calls
    for _ in range(attempts):
        try:
            return _Run(sink, operation, answer, calls, faults).drive()
        except (Later, Killed):
            continue
    raise Broken(f"not done after {attempts} attempts")


def list_requests(sink: Sink, operation: Operation, answer: Answering) -> list[Request]:
    """Return the requests that an operation makes, in order."""
    made: list[Request] = []

    def note(request: Request) -> Answer:
        made.append(request)
        return answer(request)

    run(sink, operation, note)
    return made
