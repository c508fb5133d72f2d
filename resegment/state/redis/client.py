"""Clients of Redis, from settings and a URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from resegment.errors import FatalError
from resegment.settings import InsecureSettings, Settings, read_secret
from resegment.state.redis.errors import answering
from resegment.state.redis.packer import pack_fast

RETRIES: Final = 3
"""How often a command to Redis is tried again by itself; the client's own 10 would hide for minutes that one hangs."""


def connect_redis(settings: Settings, url: str) -> Redis:
    """A client of the URL with the settings' user and certificates.

    `redis://`, `rediss://` and `unix://` are one server; `redis+cluster://` and `rediss+cluster://` are a cluster,
    of which several nodes may be named: `host:port,host:port`. The client of a cluster takes the commands that the
    project uses, each by its key. Raises InsecureSettings.
    """
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES)
    given: dict[str, Any] = {"socket_timeout": 10, "socket_connect_timeout": 5, "retry": retry}
    password = read_secret("redis_password", settings.redis_password, settings.redis_password_file)
    if password is not None:
        given["password"] = password
    if settings.redis_username is not None:
        given["username"] = settings.redis_username
    tls = url.startswith(("rediss://", "rediss+cluster://"))
    if tls:
        given |= {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": _text(settings.redis_ca),
            "ssl_certfile": _text(settings.redis_cert),
            "ssl_keyfile": _text(settings.redis_key),
        }
    elif settings.redis_ca or settings.redis_cert:
        raise InsecureSettings(
            "redis_ca or redis_cert is given, but the URL is not rediss://", remedy="Use rediss://."
        )
    scheme, _, rest = url.partition("://")
    try:
        if scheme.endswith("+cluster"):
            return _connect_cluster(scheme.removesuffix("+cluster"), rest, {**given, "ssl": tls})
        return pack_fast(Redis.from_url(url, **given))
    except ValueError as error:
        raise InsecureSettings(
            f"the URL of Redis cannot be read: {error}",
            remedy="Give redis://, rediss://, redis+cluster://, rediss+cluster:// or unix://.",
        ) from None


class EvictionEnabled(FatalError):
    """Redis may delete keys to make room: state would be lost without an error."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"Redis has maxmemory-policy {policy}: when it is full it deletes state",
            remedy="Set maxmemory-policy noeviction in Redis, or in the parameter group of a managed Redis.",
        )
        self.policy = policy


async def read_memory(client: Redis) -> int:
    """Return the bytes that a server uses, or the masters of a cluster together. Raises StoreUnavailable."""
    return sum(int(one["used_memory"]) for one in await _read_memory_info(client))


async def check_eviction(client: Redis) -> None:
    """Raise EvictionEnabled where a server deletes keys to make room, and StoreUnavailable.

    This asks INFO, which managed services allow too. A server that does not tell its policy is not refused.
    """
    for one in await _read_memory_info(client):
        policy = one.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise EvictionEnabled(policy)


async def _read_memory_info(client: Redis) -> list[Mapping[str, Any]]:
    with answering("read its memory"):
        if not isinstance(client, RedisCluster):
            return [await client.info("memory")]
        nodes: Any = await client.info("memory", target_nodes=RedisCluster.PRIMARIES)
        return [nodes] if "used_memory" in nodes else list(nodes.values())


def without_password(url: str) -> str:
    """The URL of a server with no password in it, to be shown and kept."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] != "password"])
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query=query))


def _connect_cluster(scheme: str, rest: str, given: dict[str, Any]) -> Redis:
    user, at, hosts = rest.rpartition("@")
    nodes = []
    for host in hosts.partition("/")[0].split(","):
        options: dict[str, Any] = dict(parse_url(f"{scheme}://{user}{at}{host}"))
        nodes.append(ClusterNode(options.pop("host", "localhost"), options.pop("port", 6379)))
        options.pop("connection_class", None)
        given |= options
    # the class of one server stands for both: the commands are the same, their classes share no parent
    return cast("Redis", RedisCluster(startup_nodes=nodes, **given))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
