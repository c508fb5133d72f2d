"""What the router asks of the store of owners, and what it answers."""

from __future__ import annotations

from typing import Literal

import msgspec


class Candidate(msgspec.Struct, frozen=True):
    """Somebody who may take an account now. `capacity` counts open accounts; None: without bound."""

    name: str
    weight: int = 1
    capacity: int | None = None


class Throttle(msgspec.Struct, frozen=True):
    """At most `per_day` new accounts of a team on `day` (YYYY-MM-DD, UTC); the least `rank` comes first."""

    per_day: int
    day: str
    rank: float


class Assign(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An owner is wanted for an account, under a key: asked again, the same answer.

    `preferred` are names of candidates to be taken first, in this order, where they have room: whom the account
    is named for, or who had it last. Where no candidate has room the account goes to the `fallback`,
    which is a queue and has no bound. Without candidates the throttle alone counts.
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
    """What was assigned, or waits, under a key is over: its room is free again. Again changes nothing."""

    key: str


class Assigned(msgspec.Struct, frozen=True, tag=True):
    """The owner; `is_queue` where it is the team's fallback."""

    owner: str
    is_queue: bool = False


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """The team has taken all that it takes today: `ahead` accounts come before this one."""

    ahead: int = 0


OwnerRequest = Assign | Release
OwnerReply = Assigned | Waiting | None
