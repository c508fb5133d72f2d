"""Read the file of webhook endpoints: where to send which commands, and how. It names secrets and never contains them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
from pydantic import Field, ValidationError

from resegment.documents.diagnostics import Diagnostic
from resegment.errors import UserError
from resegment.sinks.file_reader import FileReader
from resegment.sinks.webhook.addresses import NEVER, NEVER_ALLOWED, Guard, Network
from resegment.sinks.webhook.endpoint import Endpoint, SecretSource, Webhooks
from resegment.sinks.webhook.headers import check_value
from resegment.sinks.webhook.signing import Secret

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InvalidWebhooks(UserError):
    """A file of endpoints that has errors; `diagnostics` has all of them, in the order of the file."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda one: (one.place.line, one.place.column)))
        super().__init__(
            "\n".join(str(one) for one in self.diagnostics),
            remedy="Fix the file that --webhooks or RESEGMENT_WEBHOOKS names.",
        )


@dataclass(frozen=True, slots=True)
class LoadedEndpoint:
    """An endpoint with everything that sending to it needs."""

    name: str
    endpoint: Endpoint
    secrets: tuple[Secret, ...]
    guard: Guard
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


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
    headers = {
        name: {
            header: reading.read_header(source, environment, ("endpoints", name, "headers", header))
            for header, source in endpoint.headers.items()
        }
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
            {header: value for header, value in headers[name].items() if value is not None},
        )
        for name, endpoint in webhooks.endpoints.items()
    }


_REMEDIES: Final = {
    "url": "Give https://host/path; http only for hosts in allow_hosts or networks in allow_networks.",
    "secrets": "Don't write a secret into the file: name one or two as {env: VARIABLE} or {file: PATH}.",
    "headers": "Name the place of each value: `headers: {authorization: {env: VARIABLE}}` or {file: PATH}.",
    "topics": "Give a list: [workflow-commands], [segment-changes] or both.",
    "endpoints": "Name each endpoint in lowercase letters, digits and hyphens: `endpoints: {crm: {url: ...}}`.",
    "workflows": "Give a list of names, or all.",
    "actions": "Give a list of names, or all.",
}


@dataclass(slots=True)
class _FileReader(FileReader):
    """Reads one file and collects every problem in it."""

    remedies: ClassVar[Mapping[str, str]] = _REMEDIES

    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def read(self) -> Webhooks | None:
        document = self.parse()
        if document is None:
            return None
        data = document.data
        if not isinstance(data, dict):
            self.note("wrong-type", "the file is a map with `endpoints`", ())
            return None
        given = data.get("endpoints")
        top: Webhooks | None = None
        try:
            # endpoints are read one by one, so that an error in one does not hide errors in others
            top = Webhooks.model_construct(
                endpoints={}, allow_networks=_Top.model_validate(data).allow_networks
            )
        except ValidationError as error:
            self.take(error, ())
        if isinstance(given, dict):
            for name, value in given.items():
                self._read_endpoint(name, value, top)
        if self.problems or top is None:
            return None
        return top.model_copy(update={"endpoints": self.endpoints})

    def _read_endpoint(self, name: str, value: object, top: Webhooks | None) -> None:
        path = ("endpoints", name)
        if not NAME.fullmatch(name):
            self.note("wrong-name", "this is not a valid name for an endpoint", path)
        try:
            endpoint = Endpoint.model_validate(value)
        except ValidationError as error:
            self.take(error, path)
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
                self.note("not-https", "http is allowed for internal hosts only", path)
            return
        if (
            fault := Guard(networks, endpoint.allow_hosts).find_fault(url.host, url.host, plain=plain)
        ) is not None:
            remedy = NEVER_ALLOWED if fault in NEVER else None
            self.note("wrong-address", f"the address is {fault}", path, remedy)

    def read_secret(
        self, source: SecretSource, environment: Mapping[str, str], path: tuple[str | int, ...]
    ) -> Secret | None:
        """Return the secret that a source names. If there is a problem with it, note that and return None."""
        return self.read_hidden(
            source,
            environment,
            path,
            Secret.parse,
            "Create one: echo whsec_$(head -c 32 /dev/urandom | base64 -w0)",
        )

    def read_header(
        self, source: SecretSource, environment: Mapping[str, str], path: tuple[str | int, ...]
    ) -> str | None:
        """Return the value of a header that a source names. If there is a problem with it, note that and return None."""
        remedy = "Set it to the value that the receiver expects, such as `Bearer TOKEN`."
        return self.read_hidden(source, environment, path, check_value, remedy)


class _Top(Webhooks):
    """The file, with its endpoints unread."""

    endpoints: dict[str, Any] = Field(min_length=1)
