"""The names of metrics, and of what touches are grouped by."""

from __future__ import annotations

from enum import StrEnum


class By(StrEnum):
    """What touches are grouped by."""

    segment = "segment"
    play = "play"
    owner = "owner"
    version = "version"
    channel = "channel"


class Metric(StrEnum):
    """The metrics of touches."""

    sent = "sent"
    reply = "reply"
    positive_reply = "positive_reply"
    meeting = "meeting"
    opportunity = "opportunity"
    win = "win"
    retention = "retention"
    unsubscribe = "unsubscribe"
    bounce = "bounce"
