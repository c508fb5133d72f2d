"""The ports of sending: the vendor's API, the call log, the limits, and where contacts are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from resegment.errors import TransientError
from resegment.schemas.logs.call_log import AccountCalls, LoggedCall, LoggedContact, LoggedResult
from resegment.sinks.operation import Contact
from resegment.sinks.port import Answer, Request


class CallLog(Protocol):
    """The call log of one sink. Every call raises StoreUnavailable."""

    async def read(self, account: str) -> AccountCalls:
        """Return what is logged of an account."""
        ...

    async def write(
        self, account: str, key: str, step: str, before: LoggedCall | None, after: LoggedCall | None
    ) -> bool:
        """Replace an entry; None is none. Return False if it is not `before` any more: another process is at it."""
        ...

    async def choose(self, account: str, key: str, contacts: Sequence[LoggedContact]) -> None:
        """Keep the contacts that were chosen for a command, so that it means the same when it is repeated."""
        ...

    async def enroll(self, account: str, enrolled: Mapping[str, Sequence[LoggedContact]]) -> None:
        """Keep who is enrolled in these workflows."""
        ...

    async def settle(
        self,
        account: str,
        key: str,
        result: LoggedResult,
        enrolled: Mapping[str, Sequence[LoggedContact]],
    ) -> None:
        """Keep a command's result and who is enrolled in these workflows now; forget its calls."""
        ...


class Limiter(Protocol):
    """The limits of one sink, over all processes."""

    async def take(self, request: Request) -> float:
        """Return 0 and count the request, or the seconds after which to ask again. Raises StoreUnavailable."""
        ...


class Transport(Protocol):
    """The API of one vendor."""

    async def send(self, request: Request) -> Answer:
        """Send a request once. Whatever goes wrong is an answer with status 0, never an exception."""
        ...


class ContactFinder(Protocol):
    """Finds the contacts of accounts."""

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account, persons who opted out marked so. Raises ContactsUnavailable."""
        ...


class ContactsUnavailable(TransientError):
    """The place where contacts are found does not answer now."""
