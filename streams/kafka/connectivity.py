"""Find out why Kafka rejects a client: with a wrong certificate or password, clients retry silently."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from resegment.errors import FatalError

PATIENCE: Final = 5.0
"""Seconds that a broker may take to answer."""


class KafkaRefused(FatalError):
    """Brokers were reached, and none of them accepts this client; `problem` says why."""

    def __init__(self, broker: str, problem: str, remedy: str) -> None:
        super().__init__(f"Kafka at {broker}: {problem}", remedy=remedy)
        self.broker, self.problem = broker, problem


async def check_access(bootstrap: str, security: Mapping[str, Any]) -> None:
    """Raise KafkaRefused if brokers answer and none accepts the client; a broker that is down does not count.

    `security` is what aiokafka takes.
    """
    refusals: list[KafkaRefused] = []
    for host, port, _ in collect_hosts(bootstrap):
        try:
            connection = await create_conn(
                host, port, client_id="resegment-access", request_timeout_ms=int(PATIENCE * 1000), **security
            )
        except (KafkaError, OSError, EOFError) as error:  # TimeoutError is an OSError
            if (refusal := _explain(f"{host}:{port}", error, security)) is not None:
                refusals.append(refusal)
        else:
            connection.close()
            return
    if refusals:
        raise refusals[0]


async def find_refusal(bootstrap: str, security: Mapping[str, Any]) -> str | None:
    """Return why no broker accepts the client; None if that is not the problem."""
    try:
        await check_access(bootstrap, security)
    except KafkaRefused as refusal:
        return refusal.problem
    return None


def _explain(broker: str, error: Exception, security: Mapping[str, Any]) -> KafkaRefused | None:
    protocol = security.get("security_protocol", "PLAINTEXT")
    if isinstance(error, ssl.SSLCertVerificationError):
        return KafkaRefused(
            broker,
            f"the broker's certificate is not accepted: {error.verify_message}",
            "Check RESEGMENT_KAFKA_CA, and that the certificate is valid and has the host name in RESEGMENT_KAFKA.",
        )
    if isinstance(error, ssl.SSLError):
        return KafkaRefused(
            broker, f"TLS failed: {error.reason or error}", f"Does this listener speak {protocol}?"
        )
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return KafkaRefused(
            broker,
            f"this listener does not support SASL {security.get('sasl_mechanism')}",
            "Check the port in RESEGMENT_KAFKA, and RESEGMENT_KAFKA_SASL.",
        )
    if isinstance(error, AuthenticationFailedError | SaslAuthenticationFailed):
        return KafkaRefused(
            broker,
            f"the user {security.get('sasl_plain_username')} is refused: {error}",
            "Check RESEGMENT_KAFKA_USERNAME and RESEGMENT_KAFKA_PASSWORD_FILE.",
        )
    if isinstance(error, ConnectionResetError | EOFError) or (
        # a plain OSError means that nothing listens there, or that the name is unknown
        isinstance(error, KafkaError) and not isinstance(error, OSError)
    ):
        return KafkaRefused(
            broker,
            f"the broker closed the connection at once; this client opened it with {protocol}",
            "Does this listener speak that protocol? Does it require a client certificate (RESEGMENT_KAFKA_CERT and _KEY)?",
        )
    return None
