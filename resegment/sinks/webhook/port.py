"""The port through which delivery sends to a webhook."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

MAX_PROBLEM: Final = 300
"""Characters that are kept of a problem: a receiver may put any amount of text into one."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one request: the status of the response, or the `problem` if there was none.

    `retry_after` is how many seconds the receiver asks for; `took` is how many the request took. A problem is one
    short line.
    """

    status: int | None = None
    problem: str | None = None
    retry_after: float | None = None
    took: float = 0.0

    def __post_init__(self) -> None:
        if self.problem is not None:
            object.__setattr__(self, "problem", _shorten(self.problem))

    def __str__(self) -> str:
        return f"status {self.status}" if self.status is not None else self.problem or "no answer"


TRACE_OF_EVENT: Final[ContextVar[str | None]] = ContextVar("trace of event", default=None)
"""The traceparent of the event that this task sends, which the request carries as a header."""


class Webhook(Protocol):
    """One endpoint."""

    async def send(self, message: str, body: bytes) -> SendResult:
        """Send an event, a CloudEvent as JSON, under its id. A failure is a result with a problem, not an exception."""
        ...


def describe_error(error: BaseException) -> str:
    """Return an exception as the text of a problem."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _shorten(text: str) -> str:
    # The slice before the loop: a text may be megabytes long.
    line = "".join(one if one.isprintable() else " " for one in text[: MAX_PROBLEM + 1]).strip()
    return line if len(text) <= MAX_PROBLEM else line[: MAX_PROBLEM - 4].rstrip() + " ..."
