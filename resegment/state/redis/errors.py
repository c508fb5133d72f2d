"""Turn what the client of Redis raises into the project's own error."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import AuthenticationError, NoPermissionError, RedisClusterException, RedisError

from resegment.state.partition_store import StoreUnavailable

FAILURES: Final = (RedisError, RedisClusterException, OSError)
"""Everything that a command to Redis or Redis Cluster may raise: RedisClusterException is not a RedisError."""


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Raise StoreUnavailable for whatever the client raises inside the block. `what` completes "cannot ..."."""
    try:
        yield
    except FAILURES as error:
        raise unavailable(what, error) from error


def unavailable(what: str, error: Exception) -> StoreUnavailable:
    """Return the error that says what could not be done, why, and what to check."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return StoreUnavailable(
                f"Redis: cannot {what}: the server's certificate is not accepted: {cause.verify_message}",
                remedy="Check RESEGMENT_REDIS_CA, and that the certificate is valid and bears the name in the URL.",
            )
        if isinstance(cause, ssl.SSLError):
            return StoreUnavailable(
                f"Redis: cannot {what}: TLS failed: {cause.reason or cause}",
                remedy="Does this port speak TLS? Does it ask for a client certificate (RESEGMENT_REDIS_CERT and _KEY)?",
            )
        if isinstance(cause, AuthenticationError):
            return StoreUnavailable(
                f"Redis: cannot {what}: the user or password is refused: {cause}",
                remedy="Check RESEGMENT_REDIS_USERNAME and RESEGMENT_REDIS_PASSWORD_FILE.",
            )
        if isinstance(cause, NoPermissionError):
            return StoreUnavailable(
                f"Redis: cannot {what}: {cause}",
                remedy="Give the user the rights of docs/operations/redis.acl, with this prefix.",
            )
    return StoreUnavailable(
        f"Redis: cannot {what}: {error}", remedy="Check the URL, and that Redis is up and has free memory."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
