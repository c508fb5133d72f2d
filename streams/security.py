"""TLS and SASL for Kafka and Redis, from settings to what each client takes."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import faust
from faust.types.auth import CredentialsT
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from resegment.errors import ResegmentError
from resegment.settings import Settings
from resegment.streams.packing import pack_fast

RETRIES: Final = 3
"""How often a command to Redis is tried again by itself; the client's own 10 would hide for minutes that one hangs."""


class InsecureSettings(ResegmentError):
    """Settings that would send a password in plain text, or that do not go together."""


@dataclass(frozen=True)
class KafkaSecurity:
    """How to reach Kafka; plain text by default."""

    ssl_context: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def protocol(self) -> str:
        """As Kafka names it."""
        transport = "PLAINTEXT" if self.ssl_context is None else "SSL"
        return transport if self.mechanism is None else f"SASL_{transport}"

    def clients(self) -> dict[str, Any]:
        """What aiokafka and kafka-python take alike."""
        given: dict[str, Any] = {"security_protocol": self.protocol}
        if self.ssl_context is not None:
            given["ssl_context"] = self.ssl_context
        if self.mechanism is not None:
            given |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return given

    def credentials(self) -> CredentialsT | None:
        """What faust takes."""
        if self.mechanism is not None:
            return faust.SASLCredentials(
                username=self.username,
                password=self.password,
                ssl_context=self.ssl_context,
                mechanism=self.mechanism,
            )
        return faust.SSLCredentials(self.ssl_context) if self.ssl_context is not None else None


def secure_kafka(settings: Settings) -> KafkaSecurity:
    """Raises InsecureSettings, also for SASL without TLS unless `kafka_allow_plaintext_sasl` asks for it."""
    password = _secret("kafka_password", settings.kafka_password, settings.kafka_password_file)
    context = None
    if settings.kafka_tls:
        context = _context("kafka", settings.kafka_ca, settings.kafka_cert, settings.kafka_key)
    elif settings.kafka_ca or settings.kafka_cert:
        raise InsecureSettings(
            "kafka_ca or kafka_cert is given without kafka_tls", remedy="Set RESEGMENT_KAFKA_TLS=true."
        )
    if settings.kafka_sasl is None:
        return KafkaSecurity(context)
    if not settings.kafka_username or not password:
        raise InsecureSettings(
            "kafka_sasl needs a user name and a password",
            remedy="Set RESEGMENT_KAFKA_USERNAME and RESEGMENT_KAFKA_PASSWORD_FILE (or RESEGMENT_KAFKA_PASSWORD).",
        )
    if context is None and not settings.kafka_allow_plaintext_sasl:
        raise InsecureSettings(
            "SASL without TLS would send the password in plain text",
            remedy="Set RESEGMENT_KAFKA_TLS=true, or RESEGMENT_KAFKA_ALLOW_PLAINTEXT_SASL=true where the network is yours.",
        )
    return KafkaSecurity(context, settings.kafka_sasl, settings.kafka_username, password)


def connect_redis(settings: Settings, url: str) -> Redis:
    """A client of the URL with the settings' user and certificates.

    `redis://`, `rediss://` and `unix://` are one server; `redis+cluster://` and `rediss+cluster://` are a cluster,
    of which several nodes may be named: `host:port,host:port`. The client of a cluster takes the commands that the
    project uses, each by its key. Raises InsecureSettings.
    """
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES)
    given: dict[str, Any] = {"socket_timeout": 10, "socket_connect_timeout": 5, "retry": retry}
    password = _secret("redis_password", settings.redis_password, settings.redis_password_file)
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


async def read_memory(client: Redis) -> int:
    """Bytes that a server uses, or the masters of a cluster together."""
    if isinstance(client, RedisCluster):
        nodes: Any = await client.info("memory", target_nodes=RedisCluster.PRIMARIES)
        told = [nodes] if "used_memory" in nodes else nodes.values()
    else:
        told = [await client.info("memory")]
    return sum(int(one["used_memory"]) for one in told)


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


def _context(name: str, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=_text(ca))
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise InsecureSettings(
            f"the certificates of {name} cannot be read: {error}",
            remedy=f"Check RESEGMENT_{name.upper()}_CA, _CERT and _KEY.",
        ) from error
    return context


def _secret(name: str, given: Any, file: Path | None) -> str | None:
    if file is not None:
        try:
            return file.read_text("utf-8").strip()
        except OSError as error:
            raise InsecureSettings(f"the file of {name} cannot be read: {error}") from error
    return None if given is None else str(given.get_secret_value())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
