"""Answer a request for metrics in the format that the asker prefers."""

from __future__ import annotations

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder


def expose(registry: CollectorRegistry, accept: str | None) -> Response:
    """Return all metrics: in OpenMetrics, with exemplars, if `accept` asks for it, else in Prometheus's own text format."""
    try:
        encode, media_type = choose_encoder(accept or "")
    except (ValueError, TypeError):  # a version that is no version
        encode, media_type = generate_latest, CONTENT_TYPE_LATEST
    return Response(encode(registry), headers={"content-type": media_type, "vary": "accept"})
