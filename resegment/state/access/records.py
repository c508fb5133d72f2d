"""What is kept of tokens and sessions, and the port of the store that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol, get_args

import msgspec

Role = Literal["viewer", "operator"]
"""A viewer reads. An operator also acts."""
Area = Literal["dead-letters", "owners", "versions", "webhooks"]
"""What an operator may change: a token may be for some of it only."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
AREAS: Final[tuple[Area, ...]] = get_args(Area)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without the token itself: whose it is, and what it allows. Instants are in ms.

    `areas` limits what an operator may change; None is everything. `expires` is None for one without an end.
    """

    name: str
    role: Role
    made: int
    made_by: str
    areas: tuple[Area, ...] | None = None
    expires: int | None = None
    revoked: int | None = None

    def is_live(self, now: int) -> bool:
        """Return whether the token may be used at `now` (ms)."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login: who it is and what they may do. `made` and `ends` (ms) bound it; `token` is the hash of its token, if any."""

    name: str
    role: Role
    made: int
    ends: int
    areas: tuple[Area, ...] | None = None
    token: str | None = None


class AccessStore(Protocol):
    """Keeps tokens and sessions by their hashes. Every call raises StoreUnavailable."""

    async def read_secret(self) -> bytes:
        """Return the secret of the prefix's console, made at the first call."""
        ...

    async def read_tokens(self) -> Mapping[str, Token]:
        """Return all tokens, also those that ended."""
        ...

    async def find_token(self, digest: str) -> Token | None:
        """Return the token of a hash."""
        ...

    async def keep_token(self, digest: str, token: Token) -> None:
        """Keep a token, or what it has become."""
        ...

    async def find_session(self, digest: str) -> Session | None:
        """Return the session of a hash, unless it has ended or was idle for too long."""
        ...

    async def keep_session(self, digest: str, session: Session, idle: int) -> None:
        """Keep a new session until it is idle for `idle` ms."""
        ...

    async def touch_session(self, digest: str, idle: int) -> None:
        """Let a session be idle for `idle` ms from now on."""
        ...

    async def end_session(self, digest: str) -> None:
        """End a session."""
        ...
