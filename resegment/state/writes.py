"""Collect what a commit writes of accounts."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from resegment.schemas.logs.state_log import StateWrite
from resegment.state.account_cache import AccountCache, SizedAccount


class StoredAccount(SizedAccount, Protocol):
    """The stored state of an account. `deadline` (ms) is the next instant that needs a decision, or NEVER."""

    deadline: int

    @property
    def kept_deadline(self) -> int | None:
        """Return the deadline in the store."""
        ...


A = TypeVar("A", bound=StoredAccount)


class AccountCodec(Protocol[A]):
    """Converts stored bytes to accounts, and back."""

    def load(self, name: str, value: bytes | None) -> A:
        """Return the account of that state, or a new one without state. Raises msgspec.DecodeError."""
        ...

    def write(self, account: A) -> StateWrite | None:
        """Return what to store, or None if the store has it; `kept_deadline` becomes the account's deadline.

        It counts as written: if it is not, the account must be dropped.
        """
        ...


class Writes(Generic[A]):
    """Collects what the next commit writes of accounts. An account is added once it is decided, while it is at hand."""

    def __init__(self, codec: AccountCodec[A], cache: AccountCache[A]) -> None:
        self._codec, self._cache = codec, cache
        self.states: list[tuple[str, bytes]] = []
        self.appended: list[tuple[str, bytes]] = []
        self.deadlines: list[tuple[str, int | None]] = []

    def add(self, account: A) -> None:
        """Collect what changed of an account, once. It counts as written: without the commit, it must be dropped."""
        before, name = account.kept_deadline, account.name
        write = self._codec.write(account)
        if write is not None:
            (self.appended if write.appends else self.states).append((name, write.data))
        now = account.kept_deadline
        if now != before:
            self.deadlines.append((name, now))
        self._cache.count(account)
