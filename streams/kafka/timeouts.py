"""How fast a member of a consumer group is missed, and how long it waits for records: by the broker that it is on."""

from __future__ import annotations

from typing import NamedTuple

from resegment.settings import Settings


class Pace(NamedTuple):
    """Seconds."""

    session_timeout: float
    heartbeat_interval: float
    fetch_wait: float


def pace_of(settings: Settings) -> Pace:
    """The embedded broker answers the first join after half the session timeout, and polls for records itself."""
    if settings.kafka is None:
        return Pace(6.0, 2.0, 0.04)
    return Pace(settings.session_timeout, min(3.0, settings.session_timeout / 3), 0.1)
