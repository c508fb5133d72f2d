"""Seal bytes with data keys, as text that says which keys open it, and nothing about its subject.

An envelope is `s1.<key ids>.<ciphertext>`. Key ids are joined by `~`, the ciphertext is base64url without padding. A key
id is the name of a key (22 characters, a keyed hash) and its version: `4Qw1...-1`.

The cipher is AES-SIV (RFC 5297) with 256-bit keys: the same bytes, keys and context always give the same text. Its key is
HKDF-SHA512 of all data keys in their order, so whatever key is destroyed, the text cannot be opened any more.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from resegment.errors import RefusedEvent, ResegmentError, UserError

MARK: Final = "s1."
"""What every envelope begins with."""
KEY_BYTES: Final = 32
"""The length of a data key."""
MAX_KEYS: Final = 8
"""An envelope has at most so many keys."""

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/!!")
_PADDING: Final = (b"", b"===", b"==", b"=")
_SALT: Final = b"resegment.s1"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}-[1-9][0-9]{0,8}")


class PrivacyMissing(UserError):
    """The library that seals is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "keys for personal fields need the extra `privacy`, which is not installed",
            remedy='Install it: pip install "resegment[privacy]".',
        )


class Forgotten(ResegmentError):
    """A key that the envelope needs was destroyed: nobody can open it any more."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key} was destroyed: what it sealed cannot be read any more")
        self.key = key


class Tampered(RefusedEvent):
    """The text is no envelope, or one that was made for another place, or changed."""

    def __init__(self, message: str) -> None:
        super().__init__("not-opened", message, field="data.sealed")


class DataKey:
    """One version of one key. It keeps the ciphers that it ends: they go with it."""

    __slots__ = ("_sealers", "id", "secret")

    def __init__(self, id: str, secret: bytes) -> None:  # noqa: A002  # what it is called in an envelope
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes, not {len(secret)}")
        self.id, self.secret = id, secret
        self._sealers: dict[tuple[DataKey, ...], Sealer] = {}

    def __repr__(self) -> str:
        return f"DataKey({self.id!r})"

    def sealer_after(self, others: tuple[DataKey, ...]) -> Sealer:
        """Return what seals with other keys and this one, in this order."""
        found = self._sealers.get(others)
        if found is None:
            if len(self._sealers) >= MAX_KEYS:
                self._sealers.clear()
            found = self._sealers[others] = Sealer((*others, self))
        return found


class Sealer:
    """Seals and opens with some keys in their order. To make one takes longer than to use it."""

    __slots__ = ("_decrypt", "_encrypt", "_start")

    def __init__(self, keys: Sequence[DataKey]) -> None:
        try:
            from cryptography.exceptions import InvalidTag  # noqa: F401, PLC0415  # the extra
            from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415  # the same
        except ImportError as error:
            raise PrivacyMissing from error
        ids = "~".join([one.id for one in keys])
        cipher = AESSIV(derive_key([one.secret for one in keys], ids.encode()))
        self._encrypt, self._decrypt, self._start = cipher.encrypt, cipher.decrypt, f"{MARK}{ids}."

    def seal(self, plain: bytes, context: list[bytes]) -> str:
        """Return the envelope of bytes."""
        text = b2a_base64(self._encrypt(plain, context), newline=False)
        return self._start + text.translate(_TO_URL).rstrip(b"=").decode()

    def open(self, text: str, start: int, context: list[bytes]) -> bytes:
        """Return what an envelope has; `start` is where its ciphertext begins. Raises Tampered."""
        try:
            body = text[start:].encode("ascii")
            sealed = a2b_base64(body.translate(_FROM_URL) + _PADDING[len(body) % 4], strict_mode=True)
        except ValueError:
            raise Tampered("the sealed text is not base64url") from None
        try:
            return self._decrypt(sealed, context)
        except Exception as error:
            if type(error).__name__ not in ("InvalidTag", "ValueError"):
                raise
            raise Tampered("the sealed text was not sealed for this place, or it was changed") from None


def derive_key(secrets: Sequence[bytes], info: bytes) -> bytes:
    """Return the 64 bytes that HKDF-SHA512 (RFC 5869) makes of secrets, with the salt `resegment.s1`."""
    extracted = hmac.digest(_SALT, b"".join(secrets), hashlib.sha512)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha512)


def seal(plain: bytes, keys: Sequence[DataKey], context: Sequence[bytes]) -> str:
    """Return the envelope of bytes. Only the same context opens it: it binds the text to its place."""
    return sealer_of(keys).seal(plain, list(context))


def sealer_of(keys: Sequence[DataKey]) -> Sealer:
    """Return what seals with some keys; it is kept as long as the last of them."""
    return keys[-1].sealer_after(tuple(keys[:-1]))


def is_sealed(value: Any) -> bool:
    """Return whether a value is an envelope by its form. Anybody can write one: only opening tells."""
    if type(value) is not str or not value.startswith(MARK):
        return False
    try:
        key_ids(value)
    except Tampered:
        return False
    return True


def key_ids(text: str) -> tuple[str, ...]:
    """Return the ids of the keys that an envelope needs. Raises Tampered where it is none."""
    return read_ids(text[len(MARK) : find_end(text)])


def find_end(text: str) -> int:
    """Return where the ids of an envelope end. Raises Tampered where it is none."""
    end = text.find(".", len(MARK), len(MARK) + 40 * MAX_KEYS)
    if end < 0 or not text.startswith(MARK):
        raise Tampered("this is no sealed text: it begins with s1., the ids of its keys and a point")
    return end


@lru_cache(maxsize=16_384)
def read_ids(joined: str) -> tuple[str, ...]:
    """Return the ids that were joined. Raises Tampered for what are no ids of keys."""
    ids = tuple(joined.split("~"))
    if len(ids) > MAX_KEYS or not all(_ID.fullmatch(one) for one in ids):
        raise Tampered("the ids of the keys of this sealed text are not any")
    return ids


def open_sealed(text: str, keys: Mapping[str, DataKey], context: Sequence[bytes]) -> bytes:
    """Return the bytes that were sealed.

    Raises Forgotten where a key is not in the mapping, and Tampered where the text was not sealed with these keys in this
    context. A mapping may raise errors of its own for keys that it does not know.
    """
    found = []
    for one in key_ids(text):
        try:
            found.append(keys[one])
        except KeyError:
            raise Forgotten(one) from None
    return sealer_of(found).open(text, text.index(".", len(MARK)) + 1, list(context))
