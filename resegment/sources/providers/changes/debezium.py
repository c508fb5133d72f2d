"""Debezium: change events (with or without the schema of Kafka Connect), also flattened ones."""

from __future__ import annotations

from typing import Final

from resegment.sources.adapters.connect import unwrap_connect
from resegment.sources.adapters.port import Adapter
from resegment.sources.providers.changes.rows import COMPANY, split_rows

ADAPTER: Final = Adapter(
    name="debezium",
    title="Debezium",
    reads="change events (with or without the schema of Kafka Connect), also flattened ones",
    tables=(COMPANY,),
    split=split_rows(unwrap_connect),
    unwrap=unwrap_connect,
    notes="The time is that of the change. A deletion withdraws the fact of the row, where a mapping file gives it a record. Rows of HubSpot, Salesforce and Segment are read as their adapters do; any other row with a domain is a company; for the rest, pass a mapping file.",
)
