"""Merges of accounts by definition: at an instant, every event belongs to the account that its subject is part of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wish:
    """`alias` is merged into `account` at `at`; without an account, it is taken out of the one that it is part of."""

    at: int
    alias: str
    account: str | None = None


def part_of(wishes: Iterable[Wish], name: str, at: int) -> str:
    """The account that a name is part of at an instant. A wish that makes no sense changes nothing."""
    above: dict[str, str] = {}

    def top(one: str) -> str:
        return top(above[one]) if one in above else one

    for wish in sorted(wishes, key=lambda wish: wish.at):
        if wish.at > at:
            break
        if wish.account is None:
            above.pop(wish.alias, None)
        elif wish.alias not in above and top(wish.account) != wish.alias and wish.account != wish.alias:
            above[wish.alias] = top(wish.account)
    return top(name)


def as_identified(wishes: Iterable[Wish], events: Iterable[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """The events as if each had been sent about the account that its subject is part of at an instant."""
    wanted = list(wishes)
    return [{**event, "subject": part_of(wanted, event["subject"], at)} for event in events]
