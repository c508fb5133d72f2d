"""Wrap data keys, and what names persons, with the key of the operator."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from typing import Final

from resegment.errors import UserError
from resegment.schemas.privacy.envelope import DataKey, Tampered, open_sealed, seal

_ID: Final = "operator_operator_oper-1"


class BadOperatorKey(UserError):
    """RESEGMENT_KEY is not a key, or not the one that the key store was made with."""


class OperatorKey:
    """The key of RESEGMENT_KEY. What it wraps is bound to a label, so that one thing cannot be put in the place of another."""

    def __init__(self, secret: bytes) -> None:
        self._key = DataKey(_ID, secret)

    def __repr__(self) -> str:
        return "OperatorKey()"

    def wrap(self, plain: bytes, label: str) -> bytes:
        """Return bytes that only this key and label open."""
        return seal(plain, [self._key], [b"wrap", label.encode()]).encode()

    def unwrap(self, wrapped: bytes, label: str) -> bytes:
        """Return what was wrapped. Raises BadOperatorKey for what another key wrapped, or under another label."""
        try:
            return open_sealed(
                wrapped.decode("ascii", "replace"), {_ID: self._key}, [b"wrap", label.encode()]
            )
        except Tampered as error:
            raise BadOperatorKey(
                f"RESEGMENT_KEY does not open {label} in the key store",
                remedy="Give the key that the key store was made with, or that it was last rotated to.",
            ) from error


def parse_operator_key(text: str) -> OperatorKey:
    """Return the key that a text of 32 bytes in base64url stands for. Raises BadOperatorKey."""
    given = text.strip().rstrip("=")
    try:
        secret = urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != 32 or not given.isascii():
        raise BadOperatorKey(
            "RESEGMENT_KEY is not 32 bytes in base64url",
            remedy="Make one with `resegment privacy keygen`, and keep it apart from the key store.",
        )
    return OperatorKey(secret)
