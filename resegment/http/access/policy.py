"""What a console asks of those who use it: the settings of logins, and whether a start is safe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from resegment.errors import UserError
from resegment.http.access.sessions import Lifetimes
from resegment.http.hosts import LOOPBACK_NAMES
from resegment.state.access.records import Role, Token
from resegment.state.redis.address import is_loopback

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers by which a proxy shows itself: behind one, loopback is no proof of who asks."""


class NoLogin(UserError):
    """The console would be open to everybody who reaches it."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"without a login, everybody who reaches {address} could read the console",
            remedy="Make a token (`resegment tokens create NAME`), set RESEGMENT_OIDC_ISSUER, or serve on 127.0.0.1.",
        )
        self.address = address


class WrongAddress(UserError):
    """The address of the console is no URL that a browser could use."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"RESEGMENT_CONSOLE_URL is no address of a console: {given!r}",
            remedy="Write it as the browser shows it, like https://segments.acme.com, without a path.",
        )
        self.given = given


@dataclass(frozen=True, slots=True)
class Policy:
    """Who gets in where. `address` is where the server listens, `url` where browsers find it, if not there.

    `local` is the role of someone on this machine without login (None: they log in too), `local_name` their name in the
    audit log.
    """

    address: str = "127.0.0.1"
    url: str | None = None
    local: Role | None = "viewer"
    local_name: str = "local"
    lifetimes: Lifetimes = field(default_factory=Lifetimes)

    def __post_init__(self) -> None:
        if self.url is not None and not _is_origin(self.url):
            raise WrongAddress(self.url)

    @property
    def secure(self) -> bool:
        """Whether browsers reach the console by HTTPS."""
        return self.url is not None and self.url.startswith("https://")

    @property
    def names(self) -> list[str]:
        """The host names of `url`, under which it may be asked."""
        name = None if self.url is None else urlsplit(self.url).hostname
        return [] if name is None else [name]

    def is_local(self, scope: Scope) -> bool:
        """Return whether a request comes from this machine, to a server on loopback, through no proxy."""
        if self.local is None or not is_loopback(self.address):
            return False
        headers = Headers(scope=scope)
        if any(name in headers for name in _FORWARDED):
            return False
        client = scope.get("client")
        return _host_name(headers.get("host", "")) in LOOPBACK_NAMES and (
            client is None or is_loopback(str(client[0]))
        )

    def check_start(self, tokens: Iterable[Token], now: int, *, oidc: bool) -> None:
        """Raise NoLogin where a login is needed and nobody could log in."""
        free = self.local is not None and is_loopback(self.address)
        if free or oidc or any(one.is_live(now) for one in tokens):
            return
        raise NoLogin(self.address)


def _host_name(header: str) -> str:
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain
