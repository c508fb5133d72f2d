"""What the guard and the pages of login share: who is known, and who asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from resegment.http.access.attempts import Attempts
from resegment.http.access.oidc import Provider
from resegment.http.access.policy import Policy
from resegment.http.access.sessions import Sessions, is_id, make_id, wall_clock
from resegment.http.access.tokens import find_live
from resegment.http.access.users import User
from resegment.state.access.records import AccessStore


class TooManyFailures(Exception):
    """Somebody at that address failed to sign in too often: `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"wait {wait:.0f} s")
        self.wait = wait


class Asker(NamedTuple):
    """Who asks: the user, if they are known, and the id of their browser, which is `new` if it has none yet.

    `bearer`: a program that sent a token. Its requests need no token of a form: no browser sends them by itself.
    """

    user: User | None
    sid: str
    new: bool = False
    bearer: bool = False


@dataclass(slots=True)
class Entrance:
    """Who may use the console of a prefix, and how they show it. `style` is the path of its style sheet."""

    prefix: str
    store: AccessStore
    policy: Policy = field(default_factory=Policy)
    provider: Provider | None = None
    style: str = "/static/console.css"
    now: Callable[[], int] = wall_clock
    attempts: Attempts = field(default_factory=Attempts)
    ticking: Callable[[], float] = time.monotonic
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.store, self.policy.lifetimes, self.now)

    @property
    def cookie(self) -> str:
        """The name of the cookie. Browsers accept the secure one only from this host, for all its paths."""
        return f"{'__Host-' if self.policy.secure else ''}resegment-{self.prefix}"

    def set_cookie(self, sid: str) -> str:
        """Return the header that gives a browser its id. Only a login gives it a meaning."""
        secure = "; Secure" if self.policy.secure else ""
        return f"{self.cookie}={sid}; Path=/; HttpOnly; SameSite=Lax{secure}"

    async def identify(self, scope: Scope) -> Asker:
        """Return who sends a request. Raises StoreUnavailable and TooManyFailures."""
        headers = Headers(scope=scope)
        given = headers.get("authorization")
        if given is not None:
            return Asker(await self._find_bearer(given, address_of(scope)), "", bearer=True)
        sid = self._read_cookie(headers)
        if sid is not None:
            by_itself = "text/event-stream" in headers.get("accept", "") or "x-background" in headers
            user = await self.sessions.find(sid, touches=not by_itself)
            if user is not None:
                return Asker(user, sid)
        local = self.policy.local
        known = local is not None and self.policy.is_local(scope)
        user = User(self.policy.local_name, local, None, "local") if known and local is not None else None
        return Asker(user, sid or make_id(), new=sid is None)

    async def check_token(self, text: str, address: str, *, program: bool = False) -> tuple[str, User] | None:
        """Return the hash of a token and whose it is; None, and a failure of that address, if it is none.

        After too many failures no token is taken in the form of login. A `program` with a right one continues: others
        at its address must not be able to stop it.
        Raises StoreUnavailable and TooManyFailures.
        """
        wait = self.attempts.wait(address, self.ticking())
        if wait and not program:
            raise TooManyFailures(wait)
        found = await find_live(self.store, text.strip(), self.now())
        if found is None:
            if wait:
                raise TooManyFailures(wait)
            self.attempts.fail(address, self.ticking())
            return None
        digest, token = found
        return digest, User(token.name, token.role, token.areas, "token")

    async def _find_bearer(self, given: str, address: str) -> User | None:
        scheme, _, text = given.partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = await self.check_token(text, address, program=True)
        return None if found is None else found[1]

    def _read_cookie(self, headers: Headers) -> str | None:
        found = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        return found if is_id(found) else None


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from."""
    client = scope.get("client")
    return "" if client is None else str(client[0])
