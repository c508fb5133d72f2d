"""Every name that traces use, in one place."""

from __future__ import annotations

from typing import Final

SCOPE: Final = "resegment"
"""The name of the instrumentation."""
SERVICE: Final = "resegment-{}"
"""The name of a process: `resegment-worker`, `resegment-intake`, `resegment-deliver`."""

BATCH: Final = "{} batch"
"""The span of a batch of a stage, which links to what produced its records."""
RECORD: Final = "{}"
"""The span of one record in a stage, which continues the trace that the record belongs to."""
REQUEST: Final = "take {}"
"""The span of a request to the HTTP intake."""
DELIVERY: Final = "deliver to {}"
"""The span of one request to a webhook."""

# attributes, as OpenTelemetry's semantic conventions name them
SYSTEM: Final = "messaging.system"
TOPIC: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
OFFSET: Final = "messaging.kafka.offset"
COUNT: Final = "messaging.batch.message_count"
STATUS: Final = "http.response.status_code"

# our own
PREFIX: Final = "resegment.prefix"
STAGE: Final = "resegment.stage"
ACCOUNT: Final = "resegment.account"
SOURCE: Final = "resegment.source"
ENDPOINT: Final = "resegment.endpoint"
MESSAGE: Final = "resegment.message"
