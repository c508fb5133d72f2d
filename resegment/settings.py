"""Every setting, declared once. Commands read them in one place, when they start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from resegment.errors import ResegmentError, explain_os_error
from resegment.localization import DEFAULT
from resegment.schemas.times import parse_duration
from resegment.segmentation.language.limits import FACTS_OF_A_TEST

ENV_PREFIX: Final = "RESEGMENT_"
_LONGEST: Final = 36_500 * 86_400_000
"""A hundred years, ms."""


def _read_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    milliseconds = parse_duration(value)
    if milliseconds > _LONGEST:
        raise ValueError("it is longer than a hundred years")
    return timedelta(milliseconds=milliseconds)


Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
"""A whole number with s, m, h, d or w."""


def _read_zone(value: Any) -> Any:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError(
            "it is no time zone: write a name like UTC, Europe/Berlin or America/New_York"
        ) from None
    return value


TimeZone = Annotated[str, BeforeValidator(_read_zone)]
"""The IANA name of a time zone."""


def _read_collector(value: Any) -> Any:
    if value is None:
        return value
    try:
        url = urlsplit(value)
        fits = url.scheme in {"http", "https"} and url.hostname and url.port != 0 and not url.username
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("write the URL of a collector, like http://otel:4318, without a user or password")
    return value


CollectorUrl = Annotated[str | None, BeforeValidator(_read_collector)]
"""Where a receiver of OTLP over HTTP is."""


class ReaderSettings(BaseSettings):
    """The settings that commands need before they know anything else."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    locale: str = Field(
        DEFAULT, description="How dates and money are written for people, like en_US, en_GB or de_DE"
    )
    shared_hosts: Path | None = Field(
        None,
        description="File with your additions to the hosts that many companies share, and exceptions from them: "
        "`jobs.example.com` adds one, `!g2.com` makes an exception. Give all commands and workers the same file",
    )
    aliases: Path | None = Field(
        None,
        description='JSON file that maps other domains of an account to its own: `{"acme.io": "acme.com"}`. Give all '
        "commands and workers the same file",
    )
    outcome_window: Duration = Field(
        timedelta(days=90),
        ge=timedelta(minutes=1),
        description="For how long after a touch an outcome that says nothing better is credited to it",
    )


class Settings(ReaderSettings):
    """The settings: each is an environment variable (`RESEGMENT_<NAME>`), and some are options too."""

    kafka: str | None = Field(
        None, description="Kafka brokers, host:port[,host:port]. Without it, `up` starts an embedded broker"
    )
    redis: str | None = Field(
        None,
        repr=False,
        description="URL of Redis 7 or later, redis(s)://host:port, of a cluster, "
        "redis(s)+cluster://host:port[,host:port], or of what Sentinels watch, "
        "redis(s)+sentinel://host:port[,host:port]/master. Without it, `up` starts an embedded server",
    )
    kafka_tls: bool = Field(False, description="Use TLS for Kafka")
    kafka_ca: Path | None = Field(
        None, description="Trusted CA certificates for Kafka. Default: those of the system"
    )
    kafka_cert: Path | None = Field(None, description="Client certificate for mutual TLS with Kafka")
    kafka_key: Path | None = Field(None, description="Private key of that certificate")
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="SASL mechanism of Kafka"
    )
    kafka_username: str | None = Field(None, description="SASL user name")
    kafka_password: SecretStr | None = Field(
        None, description="SASL password. Prefer RESEGMENT_KAFKA_PASSWORD_FILE"
    )
    kafka_password_file: Path | None = Field(None, description="File with the SASL password")
    kafka_allow_plaintext_sasl: bool = Field(
        False, description="Allow SASL without TLS, which sends the password in plain text"
    )
    redis_allow_plaintext_password: bool = Field(
        False, description="Allow a Redis password without TLS to another host, which sends it in plain text"
    )
    redis_username: str | None = Field(None, description="ACL user name for Redis")
    redis_password: SecretStr | None = Field(
        None, description="Password for Redis. Prefer RESEGMENT_REDIS_PASSWORD_FILE"
    )
    redis_password_file: Path | None = Field(None, description="File with the password for Redis")
    redis_sentinel_password: SecretStr | None = Field(
        None, description="Password for the Sentinels. Prefer RESEGMENT_REDIS_SENTINEL_PASSWORD_FILE"
    )
    redis_sentinel_password_file: Path | None = Field(None, description="File with the Sentinels' password")
    redis_ca: Path | None = Field(
        None, description="Trusted CA certificates for rediss://. Default: those of the system"
    )
    redis_cert: Path | None = Field(None, description="Client certificate for rediss://")
    redis_key: Path | None = Field(None, description="Private key of that certificate")
    keys: SecretStr | None = Field(
        None,
        description="Where the keys of personal fields are kept: redis(s)://host:port of a server with an append-only file, or "
        "postgresql://user@host/database. With it and `key`, personal fields are sealed in all that lasts; needs the extra "
        "`privacy`",
    )
    key: SecretStr | None = Field(
        None,
        description="Key that those keys are wrapped with: 32 bytes in base64url, and after a comma the one before it while "
        "it is rotated. Prefer RESEGMENT_KEY_FILE",
    )
    key_file: Path | None = Field(None, description="File with that key")
    keys_allow_loss: bool = Field(
        False, description="Allow a key store that may lose keys when it restarts, for a trial"
    )
    prefix: str = Field(
        "resegment",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Prefix of the names of topics, keys and the consumer group",
    )
    partitions: int = Field(
        8, ge=1, le=1024, description="Partitions of each topic. Fixed once the prefix exists"
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of each new topic")
    backups_days: int | None = Field(
        None, ge=0, description="For how many days backups are kept: `verify --forgotten` counts with it"
    )
    retention: Duration = Field(
        timedelta(days=7),
        ge=timedelta(minutes=1),
        description="How long each new topic keeps its records. `signals` keeps them forever",
    )
    clock: Literal["wall", "facts"] = Field(
        "wall",
        description="When a fact becomes known. wall: when it is received; facts: at its recordedtime, for replays",
    )
    clock_tolerance: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=1),
        description="How far clocks of producers, workers and Redis may be apart. A worker beyond it is refused, and so "
        "is a record of `signals`; an event beyond it counts as known when it was received",
    )
    segments: Path = Field(Path("segments.yaml"), description="The segments file, or a folder of them")
    route: Literal["all", "changed", "none"] | None = Field(
        None,
        description="Which changes enroll accounts from now on: all, only moves from one segment to another (changed), or "
        "none. Default: as before; none for a new prefix",
    )
    webhooks: Path | None = Field(
        None, description="File of webhook endpoints. Without it, workflow commands stay in Kafka"
    )
    sinks: Path | None = Field(
        None, description="File of sinks: the vendors that workflow commands are sent to, like `sinks.yaml`"
    )
    intake: Path | None = Field(
        None,
        description="File of the HTTP intake: keys, secrets of webhooks, and sources of your own. Without it, `up` makes a "
        "key in its folder",
    )
    archive: str | None = Field(
        None,
        description="Where the topics are archived as Parquet files: a folder, or a URL like s3://bucket/folder. With it, "
        "`up` and `worker` archive too, one process at a time",
    )
    archive_every: Duration = Field(
        timedelta(minutes=15),
        ge=timedelta(seconds=1),
        description="How often the archive is written. Each time makes one file for each partition that has records",
    )
    tables: SecretStr | None = Field(
        None,
        description="Where `resegment tables` writes: postgresql://user@host/database, duckdb:FILE or parquet:FOLDER",
    )
    tracing: CollectorUrl = Field(
        None,
        description="Where traces are exported to, as OTLP over HTTP: the URL of a collector, like http://otel:4318. Without "
        "it there are no traces. Headers for the collector come from OTEL_EXPORTER_OTLP_HEADERS",
    )
    tracing_sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Which share of the triggers without a traceparent begin a trace. Triggers with one say themselves "
        "whether they are recorded",
    )
    actor: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Who runs commands, for the audit log. Default: user@host",
    )
    folder: Path = Field(Path(".resegment"), description="Data folder of the embedded servers")
    http_host: str = Field("127.0.0.1", description="Address of /healthz, /readyz and /metrics")
    http_hosts: str = Field(
        "",
        description="Further host names, separated by commas, under which HTTP may be asked. Loopback names are always "
        "allowed, and IP addresses and the name of the machine if it does not listen on loopback",
    )
    http_port: int = Field(
        8300, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0 picks a free one"
    )
    timezone: TimeZone = Field("UTC", description="Time zone of the console's times, like Europe/Berlin")
    console_url: str | None = Field(
        None,
        description="Where browsers find the console, if not where it listens, like https://segments.acme.com. With "
        "https:// its cookies are for HTTPS only",
    )
    console_local: Literal["viewer", "operator", "none"] = Field(
        "viewer",
        description="What someone on this machine may do in the console without a login, where it listens on loopback and "
        "no proxy stands in front of it. none: they log in too",
    )
    console_idle: Duration = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=1),
        description="After how long without a request a login to the console ends",
    )
    console_session: Duration = Field(
        timedelta(hours=8), ge=timedelta(minutes=1), description="After how long a login to the console ends"
    )
    oidc_issuer: str | None = Field(
        None,
        description="Provider of OpenID Connect where people log in to the console, like https://login.acme.com. Needs "
        "the extra `oidc`",
    )
    oidc_client_id: str | None = Field(None, description="Id of the console at that provider")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Secret of the console at that provider. Prefer RESEGMENT_OIDC_CLIENT_SECRET_FILE"
    )
    oidc_client_secret_file: Path | None = Field(None, description="File with that secret")
    oidc_scope: str = Field("openid email profile", description="Scopes that the provider is asked for")
    oidc_claim: str = Field(
        "groups", description="Claim with the groups of a person. Dots lead into it: realm_access.roles"
    )
    oidc_operators: str = Field(
        "",
        description="Who may act in the console: groups and verified addresses of email, separated by commas",
    )
    oidc_viewers: str = Field(
        "",
        description="Who may read in the console: the same, or * for everybody that the provider knows",
    )
    chunk: int = Field(1000, ge=1, le=100_000, description="Maximum records of one partition in a batch")
    cache_bytes: int = Field(
        512_000_000,
        ge=0,
        description="Memory that a worker uses to keep accounts decoded, in bytes: about, and of all its partitions together",
    )
    facts_per_test: int = Field(
        FACTS_OF_A_TEST,
        ge=10,
        description="How many facts of one account a test counts at most: the newest that match it. Give all commands "
        "and workers the same number",
    )
    spot_check: Duration = Field(
        timedelta(days=1),
        description="The time within which a worker folds each of its accounts again from the log and compares it with "
        "Redis. 0s: never",
    )
    refresh_older: Duration = Field(
        timedelta(0),
        description="From which age on a worker asks enrichment tools for a tested attribute again, like 180d, by the "
        "topic `refresh-requests`. 0s: nobody is asked",
    )
    refresh_every: Duration = Field(
        timedelta(days=7),
        ge=timedelta(minutes=1),
        description="How long an account is not asked for again",
    )
    refresh_per_day: int = Field(
        500, ge=1, description="How many accounts of the prefix workers ask for in a day (UTC), at most"
    )
    session_timeout: float = Field(
        10.0, ge=1, description="Seconds until Kafka considers a silent worker dead"
    )
    stalled_after: float = Field(
        120.0, ge=1, description="Seconds with lag and without progress after which a worker exits"
    )
    drain_timeout: float = Field(
        30.0, ge=0, description="Seconds that a clean stop of `up` may take to finish the remaining events"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged"
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="console for people, or json for one JSON object on each line"
    )

    @property
    def http_names(self) -> list[str]:
        """The host names of `http_hosts`, and that of `console_url`."""
        given = [name.strip() for name in self.http_hosts.split(",") if name.strip()]
        own = None if self.console_url is None else urlsplit(self.console_url).hostname
        return given if own is None else [*given, own]

    @property
    def tolerance(self) -> int:
        """Return how far clocks may be apart, ms."""
        return int(self.clock_tolerance.total_seconds() * 1000)


class InsecureSettings(ResegmentError):
    """Settings that would send a password in plain text, or that contradict each other."""


def read_secret(name: str, given: Any, file: Path | None) -> str | None:
    """Return the secret in the file, or the given one. Raises InsecureSettings if the file cannot be read."""
    if file is not None:
        try:
            return file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = explain_os_error(error) if isinstance(error, OSError) else "it is not text in UTF-8"
            raise InsecureSettings(
                f"cannot read the file of {name}, {file}: {why}",
                remedy=f"Check the path in RESEGMENT_{name.upper()}_FILE.",
            ) from error
    return None if given is None else str(given.get_secret_value())
