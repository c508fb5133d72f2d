"""The port through which delivery sends to a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of one request: a status, or the `problem` that kept one from coming.

    `retry_after` is how many seconds the receiver asks for; `took` is how many the request took.
    """

    status: int | None = None
    problem: str | None = None
    retry_after: float | None = None
    took: float = 0.0

    def __str__(self) -> str:
        return f"status {self.status}" if self.status is not None else self.problem or "no answer"


class Webhook(Protocol):
    """One endpoint."""

    async def send(self, message: str, body: bytes) -> SendResult:
        """Send an event, a CloudEvent as JSON, under its id. Whatever goes wrong on the way is an answer."""
        ...
