"""Wrap data keys, and what names persons, with the key of the operator."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from contextlib import suppress
from typing import Final

from resegment.errors import UserError
from resegment.schemas.privacy.envelope import KEY_BYTES, DataKey, Tampered, open_sealed, seal

_ID: Final = "operator_operator_oper-1"
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class BadOperatorKey(UserError):
    """RESEGMENT_KEY is not a key, or not the one that the key store was made with."""


class OperatorKey:
    """The key of RESEGMENT_KEY. What it wraps is bound to a label, so that one thing cannot be put in the place of another.

    While it is rotated there are older ones too: what they wrapped is opened, and nothing is wrapped with them.
    """

    def __init__(self, secret: bytes, *older: bytes) -> None:
        self._key = DataKey(_ID, secret)
        self._rings = [{_ID: DataKey(_ID, one)} for one in (secret, *older)]

    def __repr__(self) -> str:
        return "OperatorKey()"

    def wrap(self, plain: bytes, label: str) -> bytes:
        """Return bytes that only this key and label open."""
        return seal(plain, [self._key], [b"wrap", label.encode()]).encode()

    def unwrap(self, wrapped: bytes, label: str) -> bytes:
        """Return what was wrapped. Raises BadOperatorKey for what another key wrapped, or under another label."""
        text, context = wrapped.decode("ascii", "replace"), [b"wrap", label.encode()]
        for ring in self._rings:
            with suppress(Tampered):
                return open_sealed(text, ring, context)
        raise BadOperatorKey(
            f"RESEGMENT_KEY does not open {label} in the key store",
            remedy="Give the key that the key store was made with, or that it was last rotated to.",
        )

    def rewrap(self, wrapped: bytes, label: str) -> bytes:
        """Return what an older key wrapped as this one does: the same bytes where it already is. Raises as `unwrap`."""
        return self.wrap(self.unwrap(wrapped, label), label)


def parse_operator_key(text: str) -> OperatorKey:
    """Return the key of a text: 32 bytes in base64url, and after it, separated by commas, the older ones of a rotation.

    Raises BadOperatorKey.
    """
    return OperatorKey(*[_read_secret(one.strip().rstrip("=")) for one in text.split(",")])


def _read_secret(text: str) -> bytes:
    try:
        secret = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES or not _BASE64URL.fullmatch(text):
        raise BadOperatorKey(
            "RESEGMENT_KEY is not 32 bytes in base64url",
            remedy="Make one with `resegment privacy keygen`, and keep it apart from the key store.",
        )
    return secret
