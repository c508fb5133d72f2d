"""Timeouts of a consumer group's members, which depend on the broker: the embedded one behaves differently."""

from __future__ import annotations

from typing import NamedTuple

from resegment.settings import Settings


class Pace(NamedTuple):
    """Seconds."""

    session_timeout: float
    heartbeat_interval: float
    fetch_wait: float


def pace_of(settings: Settings) -> Pace:
    """Return the timeouts: the embedded broker answers the first join after half the session timeout, and polls."""
    if settings.kafka is None:
        return Pace(6.0, 2.0, 0.04)
    return Pace(settings.session_timeout, min(3.0, settings.session_timeout / 3), 0.1)
