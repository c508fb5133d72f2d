"""Every setting, declared once. Read in one place: where a command is composed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from resegment.errors import ResegmentError
from resegment.schemas.times import parse_duration

ENV_PREFIX: Final = "RESEGMENT_"
_LONGEST: Final = 36_500 * 86_400_000
"""A hundred years, ms."""


def _read_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    milliseconds = parse_duration(value)
    if milliseconds > _LONGEST:
        raise ValueError("more than a hundred years")
    return timedelta(milliseconds=milliseconds)


Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
"""A whole number with `s m h d w`."""


class Settings(BaseSettings):
    """What may be set by an environment variable (`RESEGMENT_<NAME>`) or an option of the command line."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    kafka: str | None = Field(
        None, description="Kafka brokers, host:port[,host:port]; none: an embedded broker"
    )
    redis: str | None = Field(
        None,
        description="URL of Redis 7 or later, redis(s)://host:port, or of a cluster, "
        "redis(s)+cluster://host:port[,host:port]; none: an embedded server",
    )
    kafka_tls: bool = Field(False, description="Speak TLS to Kafka")
    kafka_ca: Path | None = Field(
        None, description="Certificates of authorities to trust; none: the system's"
    )
    kafka_cert: Path | None = Field(None, description="Client certificate, for mutual TLS")
    kafka_key: Path | None = Field(None, description="Key of the client certificate")
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="SASL mechanism"
    )
    kafka_username: str | None = Field(None, description="SASL user")
    kafka_password: SecretStr | None = Field(None, description="SASL password; better given as a file")
    kafka_password_file: Path | None = Field(None, description="A file that holds the SASL password")
    kafka_allow_plaintext_sasl: bool = Field(False, description="Allow SASL without TLS")
    redis_username: str | None = Field(None, description="ACL user of Redis")
    redis_password: SecretStr | None = Field(None, description="Password of Redis; better given as a file")
    redis_password_file: Path | None = Field(None, description="A file that holds the password of Redis")
    redis_ca: Path | None = Field(None, description="Authorities to trust for rediss://; none: the system's")
    redis_cert: Path | None = Field(None, description="Client certificate for rediss://")
    redis_key: Path | None = Field(None, description="Key of that certificate")
    prefix: str = Field(
        "resegment",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Begins the names of topics, keys and the group",
    )
    partitions: int = Field(
        8, ge=1, le=1024, description="Partitions of each topic; fixed once a prefix exists"
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of each topic that is created")
    retention: Duration = Field(
        timedelta(days=7),
        ge=timedelta(minutes=1),
        description="How long each topic that is created keeps records, but for `signals`, which keeps all",
    )
    clock: Literal["wall", "facts"] = Field(
        "wall",
        description="wall: a fact is known from its receipt on; facts: from its recordedtime on (replays)",
    )
    segments: Path = Field(Path("segments.yaml"), description="The segments file, or a folder of them")
    route: Literal["all", "changed", "none"] | None = Field(
        None,
        description="Which changes are routed from now on: all, those from one segment to another, or none; "
        "not given: as before, none for a new prefix",
    )
    aliases: Path | None = Field(None, description="JSON map of alternative domains to an account's own")
    webhooks: Path | None = Field(
        None, description="The file of webhook endpoints; none: workflow commands are delivered to none"
    )
    folder: Path = Field(Path(".resegment"), description="Where the embedded servers keep what they keep")
    http_host: str = Field("127.0.0.1", description="Where /healthz, /readyz and /metrics are served")
    http_port: int = Field(8300, ge=0, le=65535, description="The same; 0: a free port")
    chunk: int = Field(1000, ge=1, le=100_000, description="Records of one partition in a batch at the most")
    cached_accounts: int = Field(
        20_000, ge=0, description="Decoded accounts that a worker keeps in memory, of each partition it owns"
    )
    facts_per_kind: int = Field(2_000, ge=10, description="Facts of one kind kept of one account at the most")
    session_timeout: float = Field(
        10.0, ge=1, description="Seconds until Kafka takes a silent worker for dead"
    )
    stalled_after: float = Field(
        120.0, ge=1, description="Seconds with lag and no progress after which a worker ends itself"
    )
    drain_timeout: float = Field(30.0, ge=0, description="Seconds that a clean stop of `up` may drain for")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged at the least"
    )
    log_format: Literal["console", "json"] = Field("console", description="How: for people, or as JSON lines")


class InsecureSettings(ResegmentError):
    """Settings that would send a password in plain text, or that contradict each other."""


def read_secret(name: str, given: Any, file: Path | None) -> str | None:
    """Return the secret in the file, or the given one. Raises InsecureSettings if the file cannot be read."""
    if file is not None:
        try:
            return file.read_text("utf-8").strip()
        except OSError as error:
            raise InsecureSettings(f"the file of {name} cannot be read: {error}") from error
    return None if given is None else str(given.get_secret_value())
