"""Sign requests as Standard Webhooks specifies: HMAC-SHA256 over id, timestamp and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

MARK: Final = "whsec_"
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that an endpoint shares with us. It is never shown."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `whsec_` and base64 of 24 to 64 bytes. Raises ValueError, which does not quote the secret."""
        if not text.startswith(MARK):
            raise ValueError(f"the secret does not begin with {MARK}")
        try:
            key = base64.b64decode(text.removeprefix(MARK), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"what follows {MARK} is not base64") from None
        if not LEAST_BYTES <= len(key) <= MOST_BYTES:
            raise ValueError(f"the secret has {len(key)} bytes, not {LEAST_BYTES} to {MOST_BYTES}")
        return cls(key)


def sign(secrets: Sequence[Secret], message: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each secret. `timestamp` is in seconds."""
    signed = f"{message}.{timestamp}.".encode() + body
    digests = (hmac.new(secret.key, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
