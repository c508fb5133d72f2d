"""Where Redis is: its URL, read strictly, and shown without its password."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, unquote

from resegment.settings import InsecureSettings

Kind = Literal["server", "cluster", "sentinel", "socket"]

FORMS: Final = (
    "Use redis://HOST:PORT, redis+cluster://HOST:PORT,HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, "
    "the same with rediss for TLS, or unix:///PATH."
)
_KINDS: Final[Mapping[str, Kind]] = {"": "server", "+cluster": "cluster", "+sentinel": "sentinel"}
_PORTS: Final[Mapping[Kind, int]] = {"server": 6379, "cluster": 6379, "sentinel": 26379, "socket": 0}
_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "db": int,
    "client_name": str,
    "health_check_interval": int,
    "socket_timeout": float,
    "socket_connect_timeout": float,
    "max_connections": int,
}
"""What a URL may say after `?`. Users, passwords and certificates are settings; checks of TLS cannot be turned off."""


class WrongRedisUrl(InsecureSettings):
    """The URL of Redis cannot be used: `problem` says why, without quoting the URL."""

    def __init__(self, problem: str, remedy: str = FORMS) -> None:
        super().__init__(f"the URL of Redis cannot be used: {problem}", remedy=remedy)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, the nodes of a cluster, the Sentinels of a master, or a socket on this machine."""

    kind: Kind
    tls: bool
    nodes: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Return whether nothing that is sent leaves this machine.

        Sentinels may name a master anywhere, and the nodes of a cluster other nodes.
        """
        return self.kind not in {"sentinel", "cluster"} and all(is_loopback(host) for host, _ in self.nodes)


def parse_address(url: str) -> RedisAddress:
    """Read a URL. A password may hold a slash or an at sign as it is. Raises WrongRedisUrl."""
    scheme, separator, rest = url.partition("://")
    match = re.fullmatch(r"redis(s?)(\+cluster|\+sentinel|)|unix", scheme.lower())
    if not separator or match is None:
        raise WrongRedisUrl("its scheme is unknown")
    rest, _, query = rest.partition("?")
    user, _, place = rest.rpartition("@")
    username, colon, password = user.partition(":")
    options = _read_options(query)
    db = options.pop("db", 0)
    known: dict[str, Any] = {
        "username": unquote(username) or None,
        "password": unquote(password) if colon else None,
        "options": options,
    }
    if match[1] is None:
        return RedisAddress("socket", tls=False, path=unquote(place), db=db, **known)
    kind = _KINDS[match[2]]
    hosts, _, path = place.partition("/")
    nodes = tuple(_read_node(node, _PORTS[kind]) for node in hosts.split(","))
    if kind == "server" and len(nodes) > 1:
        raise WrongRedisUrl("it names several servers")
    master = ""
    if kind == "sentinel":
        master, _, path = path.partition("/")
        if not master:
            raise WrongRedisUrl("it names no master")
    if path:
        if kind == "cluster" or re.fullmatch("[0-9]{1,9}", path) is None:
            raise WrongRedisUrl("what follows the host is not the number of a database")
        db = int(path)
    return RedisAddress(kind, tls=bool(match[1]), nodes=nodes, master=unquote(master), db=db, **known)


def without_password(url: str) -> str:
    """Return the URL with no password in it, to be shown and kept; of its options those that hold no secret."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(a URL without a scheme)"
    rest, _, query = rest.partition("?")
    if "@" in query:  # ambiguous: a question mark in the password, or an at sign in an option
        return f"{scheme}://..."
    user, at, place = rest.rpartition("@")
    name = user.partition(":")[0]
    kept = "&".join(f"{key}={value}" for key, value in parse_qsl(query) if key in _OPTIONS)
    return f"{scheme}://{name}{at}{place}{'?' if kept else ''}{kept}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_node(text: str, port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]*)(?::([0-9]{1,5}))?", text)
    if match is None:
        raise WrongRedisUrl("a host or port in it cannot be read")
    number = int(match[2] or port)
    if not 0 < number < 65_536:
        raise WrongRedisUrl(f"{number} is no port")
    return match[1].strip("[]") or "localhost", number


def _read_options(query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise WrongRedisUrl(
                f"it has the option {name[:40]}",
                f"Options may be {', '.join(_OPTIONS)}. Users, passwords and certificates are settings: "
                "RESEGMENT_REDIS_USERNAME, _PASSWORD_FILE, _CA, _CERT and _KEY. TLS is always verified.",
            )
        try:
            found[name] = _OPTIONS[name](value)
        except ValueError:
            raise WrongRedisUrl(f"its option {name} is not a number") from None
    return found
