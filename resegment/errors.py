"""The errors of the project: one root, typed, with fields that say what, where and how to mend it."""

from __future__ import annotations


class ResegmentError(Exception):
    """Root of every error that the project raises on purpose.

    `remedy` tells the user what to do about it; the command line prints it below the message.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class RefusedEvent(ResegmentError):
    """One event that breaks the contract: it goes to the dead letters.

    `reason` is a stable slug (`not-json`, `wrong-envelope`, `unknown-kind`, `wrong-type`, `not-a-company`,
    `absurd-time`, `too-large`, `decision-failed` ...), `field` the path inside the event that is wrong (or None).
    """

    def __init__(self, reason: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field
