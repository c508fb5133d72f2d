"""Where operators act: a prefix, a publisher to its Kafka, and its audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from resegment.streams.audit.trail import AuditTrail
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.live.connection import LiveConnection

PATIENCE: Final = 10.0
"""Seconds that Kafka may take to write what an operator does."""


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in which operators act. `idempotent`: its broker gives out producer ids, which the embedded one does not."""

    connection: LiveConnection
    idempotent: bool

    def publisher(self, client_id: str) -> KafkaPublisher:
        """Return a publisher to the prefix's Kafka."""
        one = self.connection
        return KafkaPublisher(
            one.bootstrap,
            client_id=client_id,
            idempotent=self.idempotent,
            timeout=PATIENCE,
            security=one.security,
            seal=None if one.keys is None else one.keys.seal(one.topics),
        )

    def trail(self, actor: str) -> AuditTrail:
        """Return the audit log, for who is logged in."""
        one = self.connection
        return AuditTrail(
            one.client,
            one.prefix,
            one.topics.audit_log.name,
            actor,
            lambda: self.publisher("resegment-audit"),
        )
