"""Logins of browsers: begun, found again, and ended by time, by signing out, or with their token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from resegment.http.access.users import User
from resegment.state.access.records import AccessStore, Session, Token

_LONGEST: Final = 100
"""Characters of an id: a longer cookie is none of ours."""
_TOUCH: Final = 4
"""A session is kept alive once a quarter of its idle time has passed."""


def wall_clock() -> int:
    """Return the time, ms."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lasts, ms: without a request, and in all."""

    idle: int = 60 * 60_000
    whole: int = 8 * 60 * 60_000


class Sessions:
    """The sessions of a console. The browser keeps an id of 256 random bits; the store knows its hash only."""

    def __init__(
        self, store: AccessStore, lifetimes: Lifetimes = Lifetimes(), now: Callable[[], int] = wall_clock
    ) -> None:
        self._store, self.lifetimes, self._now = store, lifetimes, now
        self._touched: dict[str, int] = {}

    async def begin(self, user: User, token: str | None = None) -> str:
        """Begin a session and return its id, which is always a new one. `token` is the hash of the token, if any.

        Raises StoreUnavailable.
        """
        now, life = self._now(), self.lifetimes
        sid = make_id()
        session = Session(
            name=user.name, role=user.role, areas=user.areas, made=now, ends=now + life.whole, token=token
        )
        await self._store.keep_session(_hash(sid), session, min(life.idle, life.whole))
        return sid

    async def find(self, sid: str, *, touches: bool = True) -> User | None:
        """Return whose session has that id; None if it ended. `touches` is false for what a page asks by itself.

        Raises StoreUnavailable.
        """
        if not is_id(sid):
            return None
        digest, now = _hash(sid), self._now()
        session = await self._store.find_session(digest)
        if session is None:
            return None
        if now >= session.ends or not await self._is_backed(session, now):
            await self._store.end_session(digest)
            return None
        if touches:
            await self._touch(digest, session, now)
        return User(session.name, session.role, session.areas, "session")

    async def end(self, sid: str) -> None:
        """End the session of that id. Raises StoreUnavailable."""
        if is_id(sid):
            self._touched.pop(_hash(sid), None)
            await self._store.end_session(_hash(sid))

    async def csrf(self, sid: str) -> str:
        """Return the token that forms of that session send along. Raises StoreUnavailable."""
        secret = await self._store.read_secret()
        return hmac.new(secret, b"csrf:" + sid.encode(), hashlib.sha256).hexdigest()

    async def _is_backed(self, session: Session, now: int) -> bool:
        if session.token is None:
            return True
        token: Token | None = await self._store.find_token(session.token)
        return token is not None and token.is_live(now)

    async def _touch(self, digest: str, session: Session, now: int) -> None:
        idle = self.lifetimes.idle
        if now - self._touched.get(digest, session.made) < idle // _TOUCH:
            return
        if len(self._touched) > 10_000:
            self._touched.clear()
        self._touched[digest] = now
        await self._store.touch_session(digest, min(idle, session.ends - now))


def make_id() -> str:
    """Return a new id of a session, or of a browser without one."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Return whether a text may be an id that `make_id` made."""
    return (
        40 <= len(text) <= _LONGEST and all(one.isalnum() or one in "-_" for one in text) and text.isascii()
    )


def _hash(sid: str) -> str:
    return hashlib.sha256(sid.encode()).hexdigest()
