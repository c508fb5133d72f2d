"""The port to the owners of accounts: who owns which, how many, whose turn it is, and which accounts wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from resegment.schemas.assignment import LineLook, Offer, OwnerReply, OwnerRequest, Queued, Shift

DAYS_KEPT: Final = 100
"""The number of latest days for which a team's counters of granted accounts are kept."""

LONGEST_SETTLING: Final = 10 * 60_000
"""The longest (ms) that a line settles after its first newcomer."""


@dataclass(frozen=True, slots=True)
class MemberLoad:
    """One member: `open` accounts over all teams, `drawn` ever. `gone` gets no more until they come back."""

    open: int = 0
    drawn: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class TeamLoad:
    """One team with a limit per day: accounts `granted` by day (YYYY-MM-DD), and how many wait."""

    granted: Mapping[str, int]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """How many accounts are in the queue of a team that the same members may take."""

    team: str
    eligible: tuple[str, ...]
    accounts: int


@dataclass(frozen=True, slots=True)
class OwnerLoads:
    """All that the store knows, by name. `queues` have only accounts that somebody may take."""

    members: Mapping[str, MemberLoad]
    teams: Mapping[str, TeamLoad]
    queues: Sequence[QueueLoad] = ()


class OwnerStore(Protocol):
    """The owners of one prefix's accounts. Every method raises `StoreUnavailable` where it does not answer."""

    async def settle(
        self, asks: Sequence[OwnerRequest], times: Sequence[int] | None = None
    ) -> list[OwnerReply]:
        """Answer each in its order; a `Release` is answered with None.

        `times` (ms) says when each is made, on the clock of the facts; None: now, on the clock of the store.

        A key that was asked before has the answer that it had, but one that waits may be granted. A key that
        was released keeps its answer too, and takes no room for it (`Waiting` where it never had an owner).
        """
        ...

    async def offer(self, shifts: Sequence[Shift], now: int | None = None) -> list[Offer]:
        """Return accounts in queues that somebody on shift has room for, and granted ones that have not asked yet.

        The longest in a queue comes first. What was offered is offered again after half a minute.
        """
        ...

    async def line(self, team: str) -> list[str]:
        """Return the keys that wait for a team, the first of the line first."""
        ...

    async def look_at_line(self, team: str, day: str, keys: Sequence[str] | None = None) -> LineLook:
        """Return the line of a team on a day (YYYY-MM-DD), with the places of some keys, of all if none are given."""
        ...

    async def look(self) -> OwnerLoads:
        """Everybody and every team that was ever part of an answer."""
        ...

    async def leave(self, member: str) -> None:
        """Give the member no new account, whatever asks say. What they own stays theirs until it is released."""
        ...

    async def come_back(self, member: str) -> None:
        """Undo `leave`."""
        ...

    async def recount(
        self,
        open_: Mapping[str, tuple[str, str]],
        waiting: Collection[str],
        queued: Mapping[str, Queued] | None = None,
    ) -> None:
        """Take these for all that is assigned, team and owner by key, and for the keys of all that wait.

        Loads are then exactly what these keys come to, and other keys are forgotten; a key of `waiting` that the
        store does not know is not made to wait. No ask may be settled between the moment at which the keys were
        gathered and this one. A queue that the store does not know as one counts as a member, unless `queued` has the key.
        """
        ...
