"""Keep decoded accounts in memory: one bound in bytes for all partitions of a worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, Protocol, TypeVar

DEFAULT: Final = 512_000_000
"""Bytes that the accounts of one worker take, unless its settings say otherwise."""


_UNCOUNTED: Final = 1
"""What counts for an account that is kept and not measured yet, in bytes."""


class SizedAccount(Protocol):
    """An account that says about how much memory it takes.

    `cached` is what its cache has counted for it, in bytes; 0 where it is in none.
    """

    name: str
    cached: int

    def measure(self) -> int:
        """Return about how many bytes of memory it takes."""
        ...


A = TypeVar("A", bound=SizedAccount)


class CacheBudget:
    """The bound that the caches of all partitions keep together.

    Beyond it, the cache that holds most drops what it has not used for longest: a partition with many accounts takes
    no room from one with few.
    """

    def __init__(self, limit: int = DEFAULT) -> None:
        self.limit = limit
        self._caches: list[AccountCache[Any]] = []

    @property
    def used(self) -> int:
        """Return about how many bytes the accounts take."""
        return sum(one.used for one in self._caches)

    def enter(self, cache: AccountCache[Any]) -> None:
        """Count a cache from now on."""
        self._caches.append(cache)

    def leave(self, cache: AccountCache[Any]) -> None:
        """Count a cache no longer: it is empty."""
        self._caches.remove(cache)

    def keep(self, done: AccountCache[Any]) -> None:
        """Drop accounts until the bound is kept; `done` is the cache of a partition that has just committed.

        What another partition is working on stays. If it holds most, it drops its share when it commits.
        """
        excess = self.used - self.limit
        while excess > 0:
            largest, *others = sorted(self._caches, key=lambda one: -one.used)
            if largest is not done and largest.is_in_use():
                return
            level = others[0].used if others else 0
            while excess > 0 and largest.used >= level and len(largest):
                excess -= largest.drop_oldest()


class AccountCache(Generic[A]):
    """The accounts of one partition, in the order of their last use.

    While the partition `is_in_use`, no account is dropped that it has not dropped itself.
    """

    def __init__(self, budget: CacheBudget, is_in_use: Callable[[], bool] = lambda: False) -> None:
        self.used = 0
        """About how many bytes they take."""
        self.budget, self.is_in_use = budget, is_in_use
        self._accounts: OrderedDict[str, A] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, name: str) -> A | None:
        """Return an account that is here, and leave the order of use as it is."""
        return self._accounts.get(name)

    def find(self, names: Iterable[str]) -> tuple[dict[str, A], list[str]]:
        """Return the accounts that are here, by name, and the names of those that are not."""
        accounts = self._accounts
        # the order of use matters only where the bound is near
        move = accounts.move_to_end if 2 * self.budget.used > self.budget.limit else None
        found: dict[str, A] = {}
        missing: list[str] = []
        for name in names:
            account = accounts.get(name)
            if account is None:
                missing.append(name)
            else:
                found[name] = account
                if move is not None:
                    move(name)
        return found, missing

    def put(self, account: A) -> None:
        """Keep an account. What it takes is counted by `count`."""
        self.drop(account.name)
        if not self._accounts:
            self.budget.enter(self)
        account.cached = _UNCOUNTED
        self.used += _UNCOUNTED
        self._accounts[account.name] = account

    def count(self, account: A) -> None:
        """Measure an account that has changed. One that is not kept here does not count."""
        before = account.cached
        if before:
            account.cached = size = account.measure()
            self.used += size - before

    def settle(self) -> None:
        """Keep the bound."""
        self.budget.keep(self)

    def drop(self, name: str) -> None:
        """Forget one account."""
        account = self._accounts.pop(name, None)
        if account is not None:
            self._forget(account)

    def drop_oldest(self) -> int:
        """Forget the account that was not used for longest, and return how many bytes it took."""
        _, account = self._accounts.popitem(last=False)
        return self._forget(account)

    def _forget(self, account: A) -> int:
        size = account.cached
        account.cached = 0
        self.used -= size
        if not self._accounts:
            self.budget.leave(self)
        return size

    def clear(self) -> None:
        """Forget all."""
        if self._accounts:
            self.budget.leave(self)
        self._accounts.clear()
        self.used = 0
