"""Read the file of webhook endpoints: where to send which commands, and how. It names secrets and never contains them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Place
from resegment.documents.yaml import Document, parse_document
from resegment.errors import UserError, explain_os_error
from resegment.schemas.outgoing import Action
from resegment.schemas.times import parse_duration
from resegment.sinks.webhook.addresses import NEVER, NEVER_ALLOWED, Guard, Network
from resegment.sinks.webhook.signing import Secret
from resegment.sinks.webhook.wording import word_error

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
LONGEST: Final = 6 * 86_400.0
"""The longest `give_up_after` in seconds: the topic keeps its commands for seven days."""

Places = dict[tuple[str | int, ...], Place]


class InvalidWebhooks(UserError):
    """A file of endpoints that has errors; `diagnostics` has all of them, in the order of the file."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda one: (one.place.line, one.place.column)))
        super().__init__(
            "\n".join(str(one) for one in self.diagnostics),
            remedy="Fix the file that --webhooks or RESEGMENT_WEBHOOKS names.",
        )


def _read_seconds(given: object) -> float:
    if isinstance(given, str) and (match := re.fullmatch(r"([0-9]{1,9})ms", given)):
        return int(match[1]) / 1000
    try:
        return parse_duration(given) / 1000
    except ValueError:
        raise ValueError("a duration is a whole number with ms, s, m, h, d or w, like 30s") from None


def _read_names(given: object) -> object:
    return None if given == "all" else given


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
    workflows: Names = Field(None, description="Commands of these workflows only; `all` by default")
    actions: Actions = Field(None, description="These actions only; `all` by default")
    secrets: tuple[SecretSource, ...] = Field(
        min_length=1, max_length=2, description="One secret, or two during a rotation"
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


@dataclass(frozen=True, slots=True)
class LoadedEndpoint:
    """An endpoint with everything that sending to it needs."""

    name: str
    endpoint: Endpoint
    secrets: tuple[Secret, ...]
    guard: Guard


def load_webhooks(path: Path) -> Webhooks:
    """Read the file, but no secrets. Raises InvalidWebhooks with every error in it."""
    reading = _FileReader(path)
    webhooks = reading.read()
    if reading.problems or webhooks is None:
        raise InvalidWebhooks(reading.problems)
    return webhooks


def load_endpoints(path: Path, environment: Mapping[str, str]) -> dict[str, LoadedEndpoint]:
    """Read the file and the secrets that it names. Raises InvalidWebhooks with every error in both."""
    reading = _FileReader(path)
    webhooks = reading.read()
    secrets = {
        name: tuple(
            reading.read_secret(source, environment, ("endpoints", name, "secrets", number))
            for number, source in enumerate(endpoint.secrets)
        )
        for name, endpoint in reading.endpoints.items()
    }
    if reading.problems or webhooks is None:
        raise InvalidWebhooks(reading.problems)
    return {
        name: LoadedEndpoint(
            name,
            endpoint,
            tuple(one for one in secrets[name] if one is not None),
            Guard(webhooks.allow_networks, endpoint.allow_hosts),
        )
        for name, endpoint in webhooks.endpoints.items()
    }


_REMEDIES: Final = {
    "url": "Give https://host/path; http only for hosts in allow_hosts or networks in allow_networks.",
    "secrets": "Don't write a secret into the file: name one or two as {env: VARIABLE} or {file: PATH}.",
    "endpoints": "Name each endpoint in lowercase letters, digits and hyphens: `endpoints: {crm: {url: ...}}`.",
    "workflows": "Give a list of names, or all.",
    "actions": "Give a list of names, or all.",
}
_NAMED: Final = len(("endpoints", "crm"))
"""Parts of the path of an endpoint; what is wrong deeper has nothing to do with its name."""
_ABOUT_KEYS: Final = frozenset({"wrong-name", "extra-forbidden"})


@dataclass(slots=True)
class _FileReader:
    """Reads one file and collects every problem in it."""

    path: Path
    problems: list[Diagnostic] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    _places: Places = field(default_factory=dict)
    _keys: Places = field(default_factory=dict)

    def read(self) -> Webhooks | None:
        document = self._parse()
        if document is None:
            return None
        self._places, self._keys = document.places, document.keys
        data = document.data
        if not isinstance(data, dict):
            self._note("wrong-type", "the file is a map with `endpoints`", ())
            return None
        given = data.get("endpoints")
        top: Webhooks | None = None
        try:
            # endpoints are read one by one, so that an error in one does not hide errors in others
            top = Webhooks.model_construct(
                endpoints={}, allow_networks=_Top.model_validate(data).allow_networks
            )
        except ValidationError as error:
            self._take(error, ())
        if isinstance(given, dict):
            for name, value in given.items():
                self._read_endpoint(name, value, top)
        if self.problems or top is None:
            return None
        return top.model_copy(update={"endpoints": self.endpoints})

    def _read_endpoint(self, name: str, value: object, top: Webhooks | None) -> None:
        path = ("endpoints", name)
        if not NAME.fullmatch(name):
            self._note("wrong-name", "this is not a valid name for an endpoint", path)
        try:
            endpoint = Endpoint.model_validate(value)
        except ValidationError as error:
            self._take(error, path)
            return
        ca = None if endpoint.ca is None else self.path.parent / endpoint.ca
        hosts = frozenset(host.lower().strip("[]") for host in endpoint.allow_hosts)
        self.endpoints[name] = endpoint.model_copy(update={"ca": ca, "allow_hosts": hosts})
        if top is not None:
            self._check_address(self.endpoints[name], top.allow_networks, (*path, "url"))

    def _check_address(
        self, endpoint: Endpoint, networks: tuple[Network, ...], path: tuple[str, ...]
    ) -> None:
        url = httpx.URL(endpoint.url)
        plain = url.scheme == "http"
        try:
            ip_address(url.host)
        except ValueError:
            if plain and not networks and url.host not in endpoint.allow_hosts:
                self._note("not-https", "http is allowed for internal hosts only", path)
            return
        if (
            fault := Guard(networks, endpoint.allow_hosts).find_fault(url.host, url.host, plain=plain)
        ) is not None:
            remedy = NEVER_ALLOWED if fault in NEVER else None
            self._note("wrong-address", f"the address is {fault}", path, remedy)

    def read_secret(
        self, source: SecretSource, environment: Mapping[str, str], path: tuple[str | int, ...]
    ) -> Secret | None:
        """Return the secret that a source names. If there is a problem with it, note that and return None."""
        if source.env is not None:
            place, text = f"the variable {source.env}", environment.get(source.env)
            if text is None:
                self._note(
                    "no-secret", f"{place} is not set", path, "Set it in the environment of the process."
                )
                return None
        else:
            file = self.path.parent / (source.file or "")
            place = f"the file {file}"
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = explain_os_error(error) if isinstance(error, OSError) else "not text"
                self._note(
                    "no-secret", f"{place} cannot be read: {why}", path, "Check the path and its permissions."
                )
                return None
        try:
            return Secret.parse(text.strip())
        except ValueError as error:
            self._note(
                "wrong-secret",
                f"{place}: {error}",
                path,
                "Create one: echo whsec_$(head -c 32 /dev/urandom | base64 -w0)",
            )
            return None

    def _parse(self) -> Document | None:
        try:
            document = parse_document(self.path.read_bytes(), str(self.path))
        except OSError as error:
            self._note("no-file", explain_os_error(error), (), "Check the path.")
            return None
        except InvalidSegments as error:
            self.problems += error.diagnostics
            return None
        self.problems += document.errors
        return document

    def _take(self, error: ValidationError, path: tuple[str, ...]) -> None:
        for one in error.errors(include_url=False, include_input=False):
            inner = tuple(part for part in one["loc"] if part != "[key]")
            remedy = "Check the spelling." if one["type"] == "extra_forbidden" else None
            self._note(one["type"].replace("_", "-"), word_error(one), (*path, *inner), remedy)

    def _note(self, code: str, message: str, path: tuple[str | int, ...], remedy: str | None = None) -> None:
        known = self._places
        if code in _ABOUT_KEYS:
            known = {**self._places, **self._keys}
        place = next(
            (known[path[:end]] for end in range(len(path), -1, -1) if path[:end] in known),
            Place(str(self.path), 1, 1),
        )
        if remedy is None:
            closest = path if len(path) <= _NAMED else path[_NAMED:]
            remedy = next((_REMEDIES[one] for one in reversed(closest) if one in _REMEDIES), None)
        self.problems.append(Diagnostic("error", code, message, path, place, remedy))


class _Top(Webhooks):
    """The file, with its endpoints unread."""

    endpoints: dict[str, Any] = Field(min_length=1)
