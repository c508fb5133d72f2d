"""Make clients of Redis from settings and a URL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ReadOnlyError

from resegment.errors import FatalError
from resegment.settings import InsecureSettings, Settings, read_secret
from resegment.state.redis.address import RedisAddress, parse_address
from resegment.state.redis.errors import answering

RETRIES: Final = 3
"""How often the client retries a command. Its default of 10 would hide a server that hangs for minutes."""


def connect_redis(settings: Settings, url: str) -> Redis:
    """Return a client for the URL, with the settings' user and certificates. Nothing is connected yet.

    `redis://`, `rediss://` and `unix://` are one server. `redis+cluster://` is a cluster, of which several nodes may
    be named: its client takes the commands that the project uses, each by its key. `redis+sentinel://` is the master
    that Sentinels name. A connection to a server that has become a replica is dropped and made again.
    Raises InsecureSettings.
    """
    address = parse_address(url)
    given: dict[str, Any] = {
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES),
        **_read_user(settings, address),
        **address.options,
    }
    tls = _read_tls(settings, address)
    if address.kind == "cluster":
        return _connect_cluster(address, given | tls)
    # a server that says READONLY has written nothing, and after a failover its name leads to another server
    given |= {"db": address.db, "retry_on_error": [ReadOnlyError]}
    if address.kind == "sentinel":
        return _pack_fast(_connect_sentinel(settings, address, given, tls))
    if address.kind == "socket":
        return _pack_fast(Redis(unix_socket_path=address.path, **given))
    ((host, port),) = address.nodes
    return _pack_fast(Redis(host=host, port=port, **given, **tls))


def _read_user(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    """Return the user of the URL if it has a password, else that of the settings."""
    username, password = address.username, address.password
    if password is None:
        password = read_secret("redis_password", settings.redis_password, settings.redis_password_file)
        username = username or settings.redis_username
    if password is not None and not (
        address.tls or address.is_local or settings.redis_allow_plaintext_password
    ):
        raise _plaintext("the password of Redis")
    return {"username": username, "password": password}


def _plaintext(what: str) -> InsecureSettings:
    return InsecureSettings(
        f"{what} would be sent to another machine in plain text",
        remedy="Use rediss:// (TLS), or set RESEGMENT_REDIS_ALLOW_PLAINTEXT_PASSWORD=true if you trust the network.",
    )


def _read_tls(settings: Settings, address: RedisAddress) -> dict[str, Any]:
    if address.tls:
        return {
            "ssl": True,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": _text(settings.redis_ca),
            "ssl_certfile": _text(settings.redis_cert),
            "ssl_keyfile": _text(settings.redis_key),
        }
    if settings.redis_ca or settings.redis_cert:
        raise InsecureSettings(
            "redis_ca or redis_cert is set, but the URL is not rediss://", remedy="Use rediss://."
        )
    return {}


def _connect_cluster(address: RedisAddress, given: dict[str, Any]) -> Redis:
    nodes = [ClusterNode(host, port) for host, port in address.nodes]
    # both clients have the same commands but no common class
    return cast("Redis", RedisCluster(startup_nodes=nodes, **given))


class _SentinelRedis(Redis):
    """The client of a master, which closes the connections to the Sentinels too."""

    discovery: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections."""
        await super().aclose(close_connection_pool)
        await self.discovery.aclose()


def _connect_sentinel(
    settings: Settings, address: RedisAddress, given: dict[str, Any], tls: dict[str, Any]
) -> Redis:
    password = read_secret(
        "redis_sentinel_password", settings.redis_sentinel_password, settings.redis_sentinel_password_file
    )
    to_sentinels = {"socket_timeout": 2, "socket_connect_timeout": 2, "password": password, **tls}
    if password is not None and not address.tls and not settings.redis_allow_plaintext_password:
        raise _plaintext("the password of the Sentinels")
    sentinel = Sentinel(list(address.nodes), sentinel_kwargs=to_sentinels)  # type: ignore[no-untyped-call]
    client: _SentinelRedis = sentinel.master_for(address.master, redis_class=_SentinelRedis, **given, **tls)
    client.discovery = sentinel
    return client


class _Packing:
    """A connection that packs with hiredis: the client's own packing takes longer than sending a large command."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Return the bytes to send; a command's name may be of two words."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]


def _pack_fast(client: Redis) -> Redis:
    """Return the same client, with connections that pack faster."""
    pool = client.connection_pool
    kind = pool.connection_class
    pool.connection_class = type(f"Packing{kind.__name__}", (_Packing, kind), {})
    return client


class EvictionEnabled(FatalError):
    """Redis may delete keys to make room: state would be lost without an error."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"Redis has maxmemory-policy {policy}: when it is full it deletes state",
            remedy="Set maxmemory-policy noeviction in Redis, or in the parameter group of a managed Redis.",
        )
        self.policy = policy


async def read_time(client: Redis) -> int:
    """Return the clock of Redis, ms. Raises StoreUnavailable."""
    with answering("tell the time"):
        answer: Any = await client.time()
    # each node of a cluster tells its own: the earliest is never ahead
    seconds, micros = min(answer.values()) if isinstance(answer, dict) else answer
    return int(seconds) * 1000 + int(micros) // 1000


async def read_memory(client: Redis) -> tuple[int, int]:
    """Return the bytes that a server uses and may use (0: any number), or the masters of a cluster together.

    Raises StoreUnavailable.
    """
    servers = await _read_memory_info(client)
    used = sum(int(one["used_memory"]) for one in servers)
    return used, sum(int(one.get("maxmemory", 0)) for one in servers)


async def measure_keys(client: Redis, keys: Iterable[str]) -> int:
    """Return about how many bytes the values of keys take. Raises StoreUnavailable."""
    with answering("measure its keys"):
        return sum([int(await client.memory_usage(key) or 0) for key in keys])


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


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
