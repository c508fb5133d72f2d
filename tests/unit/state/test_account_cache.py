"""The accounts in memory: a bound in bytes for all partitions of a worker."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from resegment.state.account_cache import AccountCache, CacheBudget


@dataclass
class Sized:
    name: str
    size: int = 10
    cached: int = 0

    def measure(self) -> int:
        return self.size


def fill(cache: AccountCache[Sized], *accounts: Sized) -> None:
    for one in accounts:
        cache.put(one)
    settle(cache, *accounts)


def settle(cache: AccountCache[Sized], *accounts: Sized) -> None:
    for one in accounts:
        cache.count(one)
    cache.settle()


def names(cache: AccountCache[Sized], asked: str) -> str:
    found, missing = cache.find(asked)
    assert sorted([*found, *missing]) == sorted(asked)
    return "".join(found)


def test_what_was_not_used_for_longest_is_dropped_first() -> None:
    cache: AccountCache[Sized] = AccountCache(CacheBudget(30))
    fill(cache, *map(Sized, "abc"))
    cache.find("a")
    fill(cache, Sized("d"))
    assert names(cache, "abcd") == "acd"
    assert (len(cache), cache.used) == (3, 30)


def test_an_account_that_grows_takes_the_room_of_others() -> None:
    cache: AccountCache[Sized] = AccountCache(CacheBudget(100))
    accounts = [Sized(name) for name in "abcdefghij"]
    fill(cache, *accounts)
    accounts[9].size = 45
    settle(cache, accounts[9])
    assert (names(cache, "abcdefghij"), cache.used) == ("efghij", 95)


def test_one_account_beyond_the_bound_is_not_kept() -> None:
    cache: AccountCache[Sized] = AccountCache(CacheBudget(5))
    fill(cache, Sized("a"))
    assert (len(cache), cache.used) == (0, 0)
    assert cache.get("a") is None


def test_all_partitions_share_the_bound_and_the_largest_gives_way() -> None:
    budget = CacheBudget(100)
    small: AccountCache[Sized] = AccountCache(budget)
    large: AccountCache[Sized] = AccountCache(budget)
    fill(small, *map(Sized, "ab"))
    fill(large, *[Sized(f"{number}") for number in range(50)])
    assert (small.used, large.used, budget.used) == (20, 80, 100)
    fill(small, *map(Sized, "cdefghijkl"))
    assert budget.used == 100
    assert abs(small.used - large.used) <= 20


def test_what_a_partition_works_on_stays_until_it_has_committed() -> None:
    budget, busy = CacheBudget(100), True
    large: AccountCache[Sized] = AccountCache(budget, lambda: busy)
    small: AccountCache[Sized] = AccountCache(budget)
    fill(large, *[Sized(f"{number}") for number in range(8)])
    fill(small, *map(Sized, "abcde"))
    assert (large.used, small.used) == (80, 50)
    large.settle()
    assert budget.used == 100
    busy = False
    fill(small, Sized("f"))
    assert (budget.used, large.used) == (100, 50)


@pytest.mark.parametrize("again", [5, 15])
def test_what_is_dropped_or_replaced_is_counted_no_longer(again: int) -> None:
    budget = CacheBudget(100)
    cache: AccountCache[Sized] = AccountCache(budget)
    fill(cache, *map(Sized, "abc"))
    fill(cache, Sized("b", again))
    assert cache.used == 20 + again
    cache.drop("a")
    cache.drop("nobody")
    assert cache.used == budget.used == 10 + again
    cache.clear()
    cache.clear()
    assert (cache.used, budget.used, len(cache)) == (0, 0, 0)
    fill(cache, Sized("x"))
    settle(cache, Sized("x"), Sized("elsewhere"))
    assert budget.used == 10


def test_an_account_that_is_not_kept_takes_no_room() -> None:
    cache: AccountCache[Sized] = AccountCache(CacheBudget(30))
    fill(cache, *map(Sized, "ab"))
    settle(cache, Sized("c", 100))
    assert (names(cache, "abc"), cache.used) == ("ab", 20)
