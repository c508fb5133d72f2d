"""Kafka Connect: records of the JSON converter with schema and payload."""

from __future__ import annotations

from typing import Final

from resegment.sources.adapters.connect import unwrap_connect
from resegment.sources.adapters.port import Adapter
from resegment.sources.providers.changes.rows import COMPANY, split_rows

ADAPTER: Final = Adapter(
    name="kafka-connect",
    title="Kafka Connect",
    reads="records of the JSON converter with schema and payload",
    tables=(COMPANY,),
    split=split_rows(unwrap_connect),
    unwrap=unwrap_connect,
    notes="The dates, times and decimals of the schema are read as such. Rows of HubSpot, Salesforce and Segment are read as their adapters do; any other row with a domain is a company; for the rest, pass a mapping file.",
)
