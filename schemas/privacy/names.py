"""Name keys: by keyed hashes, so that a name says nothing without the secret of the prefix."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

SECRET_BYTES: Final = 32
NOBODY: Final = "?"
"""The account of what no account could be read of: no domain is spelled like this."""


class KeyNames:
    """The names of the keys of a prefix.

    An account has a key that everything about it needs, one for texts that name no person, one for messages, and one for
    each person. So destroying the first makes all of them useless.
    """

    def __init__(self, secret: bytes) -> None:
        self._start = hashlib.blake2b(key=secret, digest_size=16)

    def account(self, account: str) -> str:
        """Return the name of the key that everything about an account needs."""
        return self._name(b"a", account)

    def texts(self, account: str) -> str:
        """Return the name of the key for what names no person."""
        return self._name(b"t", account)

    def messages(self, account: str) -> str:
        """Return the name of the key for messages about the account."""
        return self._name(b"m", account)

    def person(self, account: str, person: str) -> str:
        """Return the name of the key of a person at an account; see `normalize_person`."""
        return self._name(b"p", account, person)

    def of_fact(self, account: str, person: str | None) -> tuple[str, str]:
        """Return the names of the keys that a fact is sealed with, in their order."""
        return self.account(account), self.texts(account) if person is None else self.person(account, person)

    def of_message(self, account: str) -> tuple[str, str]:
        """Return the names of the keys that a message about an account is sealed with, in their order."""
        return self.account(account), self.messages(account)

    def _name(self, role: bytes, *parts: str) -> str:
        started = self._start.copy()
        started.update(b"\0".join((role, *(one.encode("utf-8", "surrogatepass") for one in parts))))
        return urlsafe_b64encode(started.digest()).decode()[:22]


def key_id(name: str, version: int) -> str:
    """Return the id of a version of a key."""
    return f"{name}-{version}"


def split_id(id: str) -> tuple[str, int]:  # noqa: A002  # what it is called in an envelope
    """Return the name and the version of a key's id."""
    name, _, version = id.rpartition("-")
    return name, int(version)


def names_of(ids: Sequence[str]) -> list[str]:
    """Return the names of keys by their ids."""
    return [one.rpartition("-")[0] for one in ids]
