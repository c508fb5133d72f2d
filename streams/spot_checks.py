"""What workers found when they folded accounts again from the log, kept in Redis by partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.schemas.times import format_instant, spell_length
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import spot_checks_key

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST_TOLD: Final = 3
"""Accounts of a partition that one sentence names."""
MOST_NAMED: Final = 20
"""Accounts of a partition whose differences are kept with their names; the others are counted."""


class SpotCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one partition.

    At `at` (s) one of its `slices` slices was checked last, and `following` is the next. `checked` counts the accounts that
    this worker has checked, and `whole` says whether these are all. Every account is checked `within` so many seconds.
    `differing` counts the accounts that differ, and `named` says of some of them what does. `blocked` says why the
    partition can't be checked, if it can't.
    """

    at: float
    slices: int = 1
    following: int = 0
    checked: int = 0
    whole: bool = False
    within: float = 0
    differing: int = 0
    named: dict[str, str] = {}
    blocked: str | None = None
    oldest: float | None = None
    """Since when (s) each of its accounts was checked at least once; None before the first round is done."""


async def write_spot_check(client: Redis, prefix: str, partition: int, check: SpotCheck) -> None:
    """Keep what is known of a partition. Raises StoreUnavailable."""
    with answering("keep what a spot check found"):
        answer: Any = client.hset(spot_checks_key(prefix), str(partition), msgspec.json.encode(check))
        await answer


async def read_spot_checks(client: Redis, prefix: str) -> Mapping[int, SpotCheck]:
    """Return what is known of each partition that was checked. Raises StoreUnavailable."""
    with answering("read what spot checks found"):
        answer: Any = client.hgetall(spot_checks_key(prefix))
        found = await answer
    return {
        int(number): msgspec.json.decode(value, type=SpotCheck) for number, value in sorted(found.items())
    }


def find_differences(checks: Mapping[int, SpotCheck]) -> list[str]:
    """Return one sentence for each partition with accounts that differ from the log."""
    return [
        f"in partition {number}, Redis and the log differ for {_count(one)}: {_name(one)}; `resegment verify` shows every "
        f"difference, and `resegment rebuild --partition {number} --replace` restores the partition from the log"
        for number, one in checks.items()
        if one.differing
    ]


def find_blocked(checks: Mapping[int, SpotCheck]) -> list[str]:
    """Return what keeps partitions from being checked, one sentence for each reason."""
    reasons: dict[str, list[int]] = {}
    for number, one in checks.items():
        if one.blocked is not None:
            reasons.setdefault(one.blocked, []).append(number)
    return [
        f"accounts can't be checked against the log in partition{'s' if len(numbers) > 1 else ''} "
        f"{', '.join(map(str, numbers))}: {reason}"
        for reason, numbers in reasons.items()
    ]


def tell_promise(checks: Mapping[int, SpotCheck]) -> str | None:
    """Return in what time each account is checked, and how many were; None where nothing was checked yet."""
    running = [one for one in checks.values() if one.blocked is None]
    if not running:
        return None
    within = max(one.within for one in running)
    checked = sum(one.checked for one in running)
    return f"Spot check: every account within {spell_length(int(within * 1000))}; {checked:,} checked so far"


def describe_spot_checks(checks: Mapping[int, SpotCheck]) -> dict[str, Any]:
    """Return what spot checks found as plain JSON data."""
    running = [one.within for one in checks.values() if one.blocked is None]
    return {
        "within_seconds": max(running, default=None),
        "checked": sum(one.checked for one in checks.values()),
        "differing": sum(one.differing for one in checks.values()),
        "partitions": [
            {
                "partition": number,
                "at": format_instant(int(one.at * 1000)),
                "every_account_since": None if one.oldest is None else format_instant(int(one.oldest * 1000)),
                "checked": one.checked,
                "whole": one.whole,
                "differing": one.differing,
                "accounts": one.named,
                "blocked": one.blocked,
            }
            for number, one in checks.items()
        ],
    }


def _count(one: SpotCheck) -> str:
    return f"{one.differing:,} {'account' if one.differing == 1 else 'accounts'}"


def _name(one: SpotCheck) -> str:
    named: Sequence[tuple[str, str]] = list(one.named.items())[:MOST_TOLD]
    text = ", ".join(f"{name} ({what})" for name, what in named)
    more = one.differing - len(named)
    return f"{text} and {more:,} more" if more > 0 else text
