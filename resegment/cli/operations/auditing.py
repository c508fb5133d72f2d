"""Name who runs a command, and open the audit log for commands that change something."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.settings import Settings
    from resegment.streams.audit.trail import AuditTrail

PATIENCE: Final = 10.0
"""Seconds that Kafka may take to write an entry."""


_ACTOR: Final[ContextVar[str | None]] = ContextVar("actor", default=None)


def use_actor(name: str | None) -> None:
    """Set who runs the commands of this process, as --as says."""
    _ACTOR.set(name)


def given_actor() -> str | None:
    """Return the name that --as gives; None without it."""
    return _ACTOR.get()


def name_actor(settings: Settings) -> str:
    """Return who runs the command: --as, RESEGMENT_ACTOR, or user and host."""
    from resegment.streams.definitions.starting import name_user

    return find_actor(settings) or name_user()


def find_actor(settings: Settings) -> str | None:
    """Return the name that --as or RESEGMENT_ACTOR gives; None without either."""
    return _ACTOR.get() or settings.actor


def open_trail(
    client: Redis,
    prefix: str,
    settings: Settings,
    bootstrap: str,
    security: Mapping[str, Any],
) -> AuditTrail:
    """Return the audit log of a prefix, for who runs the command."""
    from resegment.streams.audit.trail import AuditTrail
    from resegment.streams.kafka.publisher import KafkaPublisher
    from resegment.streams.kafka.topics import Topics

    def publishing() -> KafkaPublisher:
        return KafkaPublisher(
            bootstrap,
            client_id="resegment-audit",
            idempotent=settings.kafka is not None,
            timeout=PATIENCE,
            security=security,
        )

    topic = Topics(prefix).audit_log.name
    return AuditTrail(client, prefix, topic, name_actor(settings), publishing)
