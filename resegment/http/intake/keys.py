"""Know who may send what: keys by their hashes, the sources that each may send, and its rate."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from resegment.documents.diagnostics import InvalidSegments
from resegment.documents.yaml import parse_document
from resegment.errors import UserError, explain_os_error

PREFIX: Final = "rsk_"


class WrongKeys(UserError):
    """A file of keys that cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Write keys: [{name: scraper, sha256: HASH, sources: [events]}]; `resegment intake --new-key` makes a key.",
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class Key:
    """A key: whose it is, the hash of it, the sources that it may send (None: all), and requests a second."""

    name: str
    digest: str
    sources: frozenset[str] | None = None
    rate: float | None = None

    def may_send(self, source: str) -> bool:
        """Whether the key is for a source."""
        return self.sources is None or source in self.sources


@dataclass(frozen=True, slots=True)
class Access:
    """The keys, and the secrets with which providers sign. Without keys, everybody may send."""

    keys: tuple[Key, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)

    def find(self, given: str | None) -> Key | None:
        """Return the key that was given. Every key is compared, so that the time tells nothing."""
        digest = hash_key(given or "")
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def hash_key(key: str) -> str:
    """Return the hash of a key, as the file has it."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def make_key() -> tuple[str, str]:
    """Return a new key, and its hash."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, hash_key(key)


def read_access(path: Path, environment: Mapping[str, str] = os.environ) -> Access:
    """Read the keys and secrets of a file. Raises WrongKeys."""
    try:
        data = parse_document(path.read_bytes(), str(path)).data
    except OSError as error:
        raise WrongKeys(path, explain_os_error(error)) from error
    except InvalidSegments as error:
        raise WrongKeys(path, str(error)) from error
    if not isinstance(data, dict):
        raise WrongKeys(path, "not a map")
    keys = data.get("keys", [])
    if not isinstance(keys, list):
        raise WrongKeys(path, "keys is not a list")
    return Access(
        tuple(_key(path, one) for one in keys), _secrets(path, data.get("secrets") or {}, environment)
    )


def _key(path: Path, given: Any) -> Key:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise WrongKeys(path, "a key has no name")
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


def _secrets(path: Path, given: Any, environment: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(given, dict):
        raise WrongKeys(path, "secrets is not a map")
    found = {}
    for source, value in given.items():
        variable = value.get("env") if isinstance(value, dict) else None
        if not isinstance(variable, str):
            raise WrongKeys(path, f"the secret of {source} is not {{env: NAME}}")
        if not environment.get(variable):
            raise WrongKeys(path, f"the variable {variable} for the secret of {source} is not set")
        found[str(source)] = environment[variable]
    return found


@dataclass(slots=True)
class RateLimit:
    """Tokens of each key: as many a second as its rate, and at most two seconds' worth at once."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: Key, now: float) -> float:
        """Take a token; return the seconds to wait until there is one, or 0."""
        if key.rate is None:
            return 0.0
        most = max(1.0, key.rate * 2)
        left, since = self._left.get(key.digest, (most, now))
        left = min(most, left + (now - since) * key.rate)
        if left < 1.0:
            self._left[key.digest] = left, now
            return (1.0 - left) / key.rate
        self._left[key.digest] = left - 1.0, now
        return 0.0
