"""Which Host headers are served: a web page must not reach a local server through a name that it rebinds to it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from resegment.state.redis.address import is_loopback

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MISDIRECTED: Final = 421
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class AllowedHosts:
    """Names under which a server at `address` may be asked.

    On loopback: loopback names and `names`. Elsewhere also IP addresses, which probes use and which cannot be rebound, and
    the name of this machine.
    """

    def __init__(self, address: str, names: Iterable[str] = ()) -> None:
        own = address.lower()
        self._names = LOOPBACK_NAMES | {own} | {name.lower() for name in names}
        self._open = not is_loopback(own)
        if self._open:
            self._names |= {socket.gethostname().lower()}

    def __contains__(self, header: str) -> bool:
        name = _without_port(header)
        return name in self._names or (self._open and _is_address(name))


class HostCheck:
    """Answers 421 to requests for other hosts, before anything else looks at them."""

    def __init__(self, app: ASGIApp, allowed: AllowedHosts) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or Headers(scope=scope).get("host", "") in self._allowed:
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "This server does not serve that host. Add its name to RESEGMENT_HTTP_HOSTS.\n",
            MISDIRECTED,
            _HEADERS,
        )
        await refusal(scope, receive, send)


def _without_port(header: str) -> str:
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
