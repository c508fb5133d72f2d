"""Turn settings for TLS and SASL into the arguments that Kafka clients take."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resegment.settings import InsecureSettings, Settings, read_secret


@dataclass(frozen=True)
class KafkaSecurity:
    """How to connect to Kafka: plain text by default."""

    ssl_context: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def protocol(self) -> str:
        """The security protocol, as Kafka names it."""
        transport = "PLAINTEXT" if self.ssl_context is None else "SSL"
        return transport if self.mechanism is None else f"SASL_{transport}"

    def clients(self) -> dict[str, Any]:
        """Return the arguments that aiokafka and kafka-python share."""
        given: dict[str, Any] = {"security_protocol": self.protocol}
        if self.ssl_context is not None:
            given["ssl_context"] = self.ssl_context
        if self.mechanism is not None:
            given |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return given


def secure_kafka(settings: Settings) -> KafkaSecurity:
    """Read the settings. Raises InsecureSettings, also for SASL without TLS unless `kafka_allow_plaintext_sasl` is on."""
    password = read_secret("kafka_password", settings.kafka_password, settings.kafka_password_file)
    context = None
    if settings.kafka_tls:
        context = _context("kafka", settings.kafka_ca, settings.kafka_cert, settings.kafka_key)
    elif settings.kafka_ca or settings.kafka_cert:
        raise InsecureSettings(
            "kafka_ca or kafka_cert is set without kafka_tls", remedy="Set RESEGMENT_KAFKA_TLS=true."
        )
    if settings.kafka_sasl is None:
        return KafkaSecurity(context)
    if not settings.kafka_username or not password:
        raise InsecureSettings(
            "kafka_sasl needs a user name and a password",
            remedy="Set RESEGMENT_KAFKA_USERNAME and RESEGMENT_KAFKA_PASSWORD_FILE (or RESEGMENT_KAFKA_PASSWORD).",
        )
    if context is None and not settings.kafka_allow_plaintext_sasl:
        raise InsecureSettings(
            "SASL without TLS would send the password in plain text",
            remedy="Set RESEGMENT_KAFKA_TLS=true, or RESEGMENT_KAFKA_ALLOW_PLAINTEXT_SASL=true on a network that you trust.",
        )
    return KafkaSecurity(context, settings.kafka_sasl, settings.kafka_username, password)


def _context(name: str, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=_text(ca))
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise InsecureSettings(
            f"the certificates of {name} cannot be read: {error}",
            remedy=f"Check RESEGMENT_{name.upper()}_CA, _CERT and _KEY.",
        ) from error
    return context


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
