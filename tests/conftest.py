"""What all tests share: laws are tried on any machine, however busy, so their pace is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("resegment", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("resegment")
