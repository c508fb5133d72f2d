"""Kafka security as faust takes it."""

from __future__ import annotations

import faust
from faust.types.auth import CredentialsT

from resegment.streams.kafka.security import KafkaSecurity


def credentials_of(security: KafkaSecurity) -> CredentialsT | None:
    """Return the credentials, or None for plain text without a login."""
    if security.mechanism is not None:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=security.ssl_context,
            mechanism=security.mechanism,
        )
    return faust.SSLCredentials(security.ssl_context) if security.ssl_context is not None else None
