"""Define one webhook endpoint and the file of endpoints: their keys, and what each may be."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from resegment.schemas.outgoing import Action
from resegment.schemas.times import parse_duration
from resegment.sinks.webhook.addresses import Network
from resegment.sinks.webhook.headers import check_headers

_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
LONGEST: Final = 6 * 86_400.0
"""The longest `give_up_after` in seconds: the topic keeps its commands for seven days."""
Topic = Literal["workflow-commands", "segment-changes"]
TOPICS: Final[tuple[str, ...]] = get_args(Topic)


def _read_seconds(given: object) -> float:
    if isinstance(given, str) and (match := re.fullmatch(r"([0-9]{1,9})ms", given)):
        return int(match[1]) / 1000
    try:
        return parse_duration(given) / 1000
    except ValueError:
        raise ValueError("a duration is a whole number with ms, s, m, h, d or w, like 30s") from None


def _read_names(given: object) -> object:
    return None if given == "all" else given


def _read_headers(given: object) -> object:
    if isinstance(given, dict):
        check_headers(given)
        return {name.lower(): value for name, value in given.items()}
    return given


def _read_topics(given: object) -> object:
    if not (
        isinstance(given, list | tuple | set | frozenset) and given and all(one in TOPICS for one in given)
    ):
        raise ValueError(f"the topics are a list of {' and '.join(TOPICS)}")
    return given


def _read_actions(given: object) -> object:
    names = _read_names(given)
    known = get_args(Action)
    if isinstance(names, list) and not all(one in known for one in names):
        raise ValueError(f"an action is one of {', '.join(known)}")
    return names


def _read_url(given: object) -> str:
    # No message quotes the URL: many receivers take a secret in it.
    if not isinstance(given, str):
        raise ValueError("a URL is text")  # noqa: TRY004  # pydantic takes no TypeError
    try:
        url = httpx.URL(given)
        _check_host(url)
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("this is not a URL") from None
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError("a URL begins with https:// and a host")
    if url.userinfo or "@" in given.split("/", 3)[2]:
        raise ValueError("the URL must not contain a user or password")
    if "#" in given:
        raise ValueError("the URL must not have a fragment")
    if url.port is not None and not 0 < url.port < 65_536:
        raise ValueError("a port is a number from 1 to 65535")
    return given


def _check_host(url: httpx.URL) -> None:
    """Check that the host can be looked up. Raises ValueError."""
    name = url.raw_host.decode("ascii")
    if ":" in name or not name:
        return
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            "the host is not a valid name: its parts are letters, digits and hyphens, up to 63 each"
        )
    _ = url.host  # decodes an internationalized name


def _read_network(given: object) -> Network:
    try:
        return ip_network(str(given))
    except ValueError:
        raise ValueError("a network is an address and the length of its prefix, like 10.1.0.0/16") from None


Seconds = Annotated[float, BeforeValidator(_read_seconds), Field(gt=0)]
Names = Annotated[frozenset[str] | None, BeforeValidator(_read_names)]
Actions = Annotated[frozenset[str] | None, BeforeValidator(_read_actions)]
Topics = Annotated[frozenset[Topic], BeforeValidator(_read_topics)]


class SecretSource(BaseModel):
    """Where a secret is read from, when the process starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: str | None = Field(None, min_length=1, description="The name of an environment variable")
    file: Path | None = Field(None, description="A file; relative to the file of endpoints")

    @model_validator(mode="after")
    def _one_of_them(self) -> SecretSource:
        if (self.env is None) == (self.file is None):
            raise ValueError("set either env or file")
        return self


class Endpoint(BaseModel):
    """One receiver."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, BeforeValidator(_read_url)] = Field(repr=False, description="Where to send to")
    topics: Topics = Field(
        frozenset({"workflow-commands"}), description="Which events to send: those of these topics"
    )
    workflows: Names = Field(None, description="Commands of these workflows only; `all` by default")
    actions: Actions = Field(None, description="These actions only; `all` by default")
    secrets: tuple[SecretSource, ...] = Field(
        min_length=1, max_length=2, description="One secret, or two during a rotation"
    )
    headers: Annotated[dict[str, SecretSource], BeforeValidator(_read_headers)] = Field(
        {}, description="Headers of every request, each with the place of its value, which is a secret"
    )
    timeout: Seconds = Field(10.0, le=300, description="For one whole request")
    concurrency: int = Field(8, ge=1, le=256, description="Parallel requests")
    give_up_after: Seconds = Field(
        86_400.0, le=LONGEST, description="How old a command may get before it goes to the dead letters"
    )
    first_wait: Seconds = Field(1.0, le=3600, description="Maximum wait before the second attempt")
    longest_wait: Seconds = Field(300.0, le=3600, description="Maximum wait before any attempt")
    open_after: int = Field(5, ge=1, le=1000, description="Failures in a row after which sending pauses")
    pause: Seconds = Field(30.0, le=3600, description="For how long, the first time")
    start: Literal["latest", "earliest"] = Field(
        "latest",
        description="Where a new endpoint starts: at the next command, or at the first that Kafka still has",
    )
    allow_hosts: frozenset[str] = Field(
        frozenset(), description="Internal hosts, by name, that the URL may lead to; http is allowed then"
    )
    ca: Path | None = Field(
        None, description="A file of certificate authorities to trust instead of the system's"
    )

    @property
    def origin(self) -> str:
        """Return scheme, host and port: the part of the URL that may be shown."""
        url = httpx.URL(self.url)
        host = f"[{url.host}]" if ":" in url.host else url.host
        return f"{url.scheme}://{host}" + ("" if url.port is None else f":{url.port}")


class Webhooks(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoints: dict[str, Endpoint] = Field(min_length=1)
    allow_networks: tuple[Annotated[Network, BeforeValidator(_read_network)], ...] = Field(
        (), description="Internal networks that any endpoint may be in; http is allowed there"
    )
