"""Read who may send what: a file of keys, of secrets with which providers sign, and of sources of your own."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from resegment.documents.diagnostics import InvalidSegments
from resegment.documents.yaml import parse_document
from resegment.errors import UserError, explain_os_error
from resegment.http.intake.keys import Key, hash_key
from resegment.sources.adapters.mapping import build_adapter, read_mapping
from resegment.sources.adapters.port import Adapter, Context
from resegment.sources.registry import UnknownSource, find_adapter, load_adapter

_LONGEST_SECRET: Final = 4_096


class WrongKeys(UserError):
    """A file of keys that cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Write keys: [{name: scraper, sha256: HASH, sources: [events]}]; `resegment intake --new-key` makes a key.",
        )
        self.path = path


def _same(context: Context) -> Context:
    return context


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """A source of webhooks: its adapter, and what its mapping file says of all payloads."""

    adapter: Adapter
    apply: Callable[[Context], Context] = _same


@dataclass(frozen=True, slots=True)
class Access:
    """The keys, the secrets with which providers sign, and the sources of your own. Without keys, everybody may send."""

    keys: tuple[Key, ...] = ()
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, WebhookSource] = field(default_factory=dict)

    def find(self, given: str | None) -> Key | None:
        """Return the key that was given. Every key is compared, so that the time tells nothing."""
        digest = hash_key(given or "")
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def find_source(self, name: str) -> WebhookSource:
        """Return a source of webhooks. Raises UnknownSource."""
        own = self.sources.get(name)
        if own is not None:
            return own
        if name.endswith(".py"):
            raise UnknownSource(name)
        return WebhookSource(find_adapter(name))


def read_access(path: Path, environment: Mapping[str, str] = os.environ) -> Access:
    """Read a file of keys, secrets and sources. Raises WrongKeys."""
    try:
        data = parse_document(path.read_bytes(), str(path)).data
    except OSError as error:
        raise WrongKeys(path, explain_os_error(error)) from error
    except InvalidSegments as error:
        raise WrongKeys(path, str(error)) from error
    if not isinstance(data, dict):
        raise WrongKeys(path, "not a map")
    unknown = sorted(map(str, data.keys() - {"keys", "secrets", "sources"}))
    if unknown:
        raise WrongKeys(path, f"unknown key {unknown[0]}: there are keys, secrets and sources")
    keys = data.get("keys") or []
    if not isinstance(keys, list):
        raise WrongKeys(path, "keys is not a list")
    access = Access(
        tuple(_key(path, one) for one in keys),
        _secrets(path, data.get("secrets") or {}, environment),
        _sources(path, data.get("sources") or {}),
    )
    for name in access.secrets:
        try:
            access.find_source(name)
        except UnknownSource as error:
            raise WrongKeys(path, f"a secret of {name}: {error.message}") from error
    return access


def _key(path: Path, given: Any) -> Key:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise WrongKeys(path, "a key has no name")
    unknown = sorted(map(str, given.keys() - {"name", "sha256", "sources", "rate"}))
    if unknown:
        raise WrongKeys(
            path,
            f"the key {given['name']} has an unknown field {unknown[0]}: there are name, sha256, sources and rate",
        )
    digest, sources, rate = given.get("sha256"), given.get("sources"), given.get("rate")
    if not isinstance(digest, str) or len(digest) != 64:
        raise WrongKeys(path, f"the key {given['name']} has no sha256 of 64 hexadecimal digits")
    if sources is not None and not (
        isinstance(sources, list) and all(isinstance(one, str) for one in sources)
    ):
        raise WrongKeys(path, f"sources of the key {given['name']} is not a list of names")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0):
        raise WrongKeys(path, f"rate of the key {given['name']} is not a number of requests a second")
    return Key(given["name"], digest.lower(), None if sources is None else frozenset(sources), rate)


def _secrets(path: Path, given: Any, environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise WrongKeys(path, "secrets is not a map")
    found = {}
    for source, value in given.items():
        names = value.get("env") if isinstance(value, dict) else None
        variables = [names] if isinstance(names, str) else names
        if (
            not isinstance(variables, list)
            or not variables
            or not all(isinstance(one, str) for one in variables)
        ):
            raise WrongKeys(
                path, f"the secret of {source} is not {{env: NAME}}, or {{env: [NAME, OLD_NAME]}}"
            )
        for variable in variables:
            if not environment.get(variable):
                raise WrongKeys(path, f"the variable {variable} for the secret of {source} is not set")
        found[str(source)] = tuple(environment[one][:_LONGEST_SECRET] for one in variables)
    return found


def _sources(path: Path, given: Any) -> dict[str, WebhookSource]:
    """Read the sources of your own: a mapping file, or a module with an adapter, each beside the file of keys."""
    if not isinstance(given, dict):
        raise WrongKeys(path, "sources is not a map")
    found = {}
    for name, value in given.items():
        place = value.get("map") or value.get("module") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(place, str):
            raise WrongKeys(path, f"the source {name} is not {{map: FILE}} or {{module: FILE}}")
        file = path.parent / place
        try:
            if "module" in value:
                found[str(name)] = WebhookSource(load_adapter(file))
                continue
            mapped = read_mapping(file.read_bytes(), str(file))
            mapped = replace(mapped, source=mapped.source or f"/{name}")
            base = None if mapped.preset is None else find_adapter(mapped.preset)
            found[str(name)] = WebhookSource(build_adapter(mapped, base), mapped.apply)
        except OSError as error:
            raise WrongKeys(path, f"the source {name}: {file}: {explain_os_error(error)}") from error
        except UserError as error:
            raise WrongKeys(path, f"the source {name}: {error.message}") from error
    return found
