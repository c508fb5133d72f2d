"""What the router asks the owner store, and what the store answers."""

from __future__ import annotations

from typing import Literal

import msgspec


class Candidate(msgspec.Struct, frozen=True):
    """A member who may take an account now. `capacity` limits open accounts; None: no limit."""

    name: str
    weight: int = 1
    capacity: int | None = None


class Throttle(msgspec.Struct, frozen=True):
    """At most `per_day` new accounts of a team on `day` (YYYY-MM-DD, UTC); the lowest `rank` comes first."""

    per_day: int
    day: str
    rank: float


class Assign(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks for an owner of an account, under a key. The same key always gets the same answer.

    `preferred` names the candidates to try first, in this order: the named owner of the account, then its
    previous owner. If no candidate has room, the account goes to the `fallback`,
    a queue without a limit. Without candidates, only the throttle applies.
    """

    key: str
    account: str
    team: str
    strategy: Literal["round-robin", "least-loaded"] = "round-robin"
    candidates: tuple[Candidate, ...] = ()
    preferred: tuple[str, ...] = ()
    fallback: str
    throttle: Throttle | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Frees the room that was assigned, or is waited for, under a key. Repeating it changes nothing."""

    key: str


class Assigned(msgspec.Struct, frozen=True, tag=True):
    """The owner; `is_queue` is true for the team's fallback."""

    owner: str
    is_queue: bool = False


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """The team has reached its limit for today: `ahead` accounts come before this one."""

    ahead: int = 0


OwnerRequest = Assign | Release
OwnerReply = Assigned | Waiting | None
