"""What the router asks the owner store, and what the store answers."""

from __future__ import annotations

from typing import Literal

import msgspec


class Candidate(msgspec.Struct, frozen=True):
    """A member who may take an account now. `capacity` limits open accounts; None: no limit."""

    name: str
    weight: int = 1
    capacity: int | None = None


class Rank(msgspec.Struct, frozen=True, order=True):
    """An account's place in the line of a team. The lowest `value` comes first, then the lowest of the others in turn."""

    value: float
    segment: int
    at: int
    account: str

    @property
    def tie(self) -> str:
        """Return a text that orders ranks of one value."""
        return f"{self.segment:05d} {max(self.at, 0):015d} {self.account}"


class Join(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Joins the line of a team that takes at most `per_day` new accounts on `day` (YYYY-MM-DD), under a key.

    The same key always gets the same grant. `settle` (ms) is how long the line settles after a newcomer.
    """

    key: str
    account: str
    team: str
    per_day: int
    day: str
    rank: Rank
    settle: int = 0


class Assign(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks for an owner of an account, under a key. The same key always gets the same answer.

    `preferred` names the candidates to try first, in this order: the named owner of the account, then its
    previous owner. If no candidate has room, the account goes to the `fallback`, a queue without a limit. There it is
    offered to the members of `eligible` as soon as one of them may take it. If `queued` is set, the account
    is in the queue under that key: an owner takes it out of there, and without one it stays and nothing is assigned.
    """

    key: str
    account: str
    team: str
    strategy: Literal["round-robin", "least-loaded"] = "round-robin"
    candidates: tuple[Candidate, ...] = ()
    preferred: tuple[str, ...] = ()
    fallback: str
    eligible: tuple[str, ...] = ()
    queued: str | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Frees the room that was assigned, or is waited for, under a key. Repeating it changes nothing."""

    key: str


class Assigned(msgspec.Struct, frozen=True, tag=True):
    """The owner; `is_queue` is true for the team's fallback."""

    owner: str
    is_queue: bool = False


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """The account is in the line of its team: `ahead` of `of` accounts come before it.

    `settles_in` (ms) is how long the line still settles; 0 if it has settled, so that the day has no more room.
    """

    ahead: int = 0
    of: int = 1
    settles_in: int = 0


class Granted(msgspec.Struct, frozen=True, tag=True):
    """The account may be enrolled: it was number `place` of `of` in the line of `day`, at `at` (ms) on the clock of the line."""

    day: str
    place: int
    of: int
    at: int


class Shift(msgspec.Struct, frozen=True):
    """The members of a team who take new accounts now, and how many the team takes on its present day, if that is limited."""

    team: str
    members: tuple[Candidate, ...]
    per_day: int | None = None
    day: str = ""


class Offer(msgspec.Struct, frozen=True):
    """An account that is in a queue under a key, which somebody may take now, or that has its grant under that key."""

    account: str
    key: str


class Queued(msgspec.Struct, frozen=True):
    """An account that is in a queue since `at` (ms), and the members who may take it."""

    account: str
    at: int
    eligible: tuple[str, ...]


class LineLook(msgspec.Struct, frozen=True):
    """The line of a team at one moment: the place of each key in it, or of some keys, from 0 on.

    `granted` is how many accounts the team was granted that day. `settles_at` (ms) is when the line has settled, None if
    nobody has joined it since it did. `whole` is how many keys the line has, where `places` has only some of them.
    """

    places: dict[str, int]
    granted: int = 0
    settles_at: int | None = None
    whole: int | None = None

    @property
    def length(self) -> int:
        """How many keys the line has."""
        return len(self.places) if self.whole is None else self.whole


OwnerRequest = Join | Assign | Release
OwnerReply = Granted | Waiting | Assigned | None
