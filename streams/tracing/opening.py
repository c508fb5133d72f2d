"""Open the export of traces, if a setting says where to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from resegment.errors import UserError
from resegment.settings import Settings
from resegment.streams.tracing import names

if TYPE_CHECKING:
    from resegment.streams.tracing.tracing import Tracing

PATH: Final = "/v1/traces"
"""Where a receiver of OTLP over HTTP takes traces."""
TIMEOUT: Final = 3
"""Seconds that one export may take. Nothing waits for it."""
LAST_EXPORT: Final = 1.0
"""Seconds for what is left at the end."""


class TracingMissing(UserError):
    """The libraries for traces are not installed."""

    def __init__(self, cause: ImportError) -> None:
        super().__init__(
            f"RESEGMENT_TRACING is set, but {cause.name} is not installed",
            remedy="Run `pip install 'resegment[tracing]'`, or unset RESEGMENT_TRACING.",
        )


@asynccontextmanager
async def exporting_traces(settings: Settings, role: str) -> AsyncIterator[Tracing | None]:
    """Yield what makes the spans of a process, or None if traces are off. Raises TracingMissing.

    What is left is exported at the end, for a moment: a receiver that is away delays nothing.
    """
    if settings.tracing is None:
        yield None
        return
    tracing = open_tracing(settings, settings.tracing, role)
    try:
        yield tracing
    finally:
        # a thread that the end of the process does not wait for: the receiver may hang
        closing = threading.Thread(target=tracing.close, name="traces", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, LAST_EXPORT)


def open_tracing(settings: Settings, url: str, role: str) -> Tracing:
    """Return what makes spans and exports them. Raises TracingMissing."""
    try:
        # few processes trace, and the libraries are an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import Decision, ParentBased, StaticSampler  # noqa: PLC0415

        from resegment.streams.tracing.tracing import Tracing  # noqa: PLC0415
    except ImportError as error:
        raise TracingMissing(error) from error
    provider = TracerProvider(
        # what begins a trace is drawn before it has a span
        sampler=ParentBased(StaticSampler(Decision.RECORD_AND_SAMPLE)),
        resource=Resource.create({"service.name": names.SERVICE.format(role), names.PREFIX: settings.prefix}),
        shutdown_on_exit=False,
    )
    endpoint = url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    return Tracing(provider, settings.tracing_sample)
