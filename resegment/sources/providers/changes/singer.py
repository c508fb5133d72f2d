"""Singer: RECORD messages of taps, one on each line."""

from __future__ import annotations

from typing import Final

from resegment.sources.adapters.connect import unwrap_singer
from resegment.sources.adapters.port import Adapter
from resegment.sources.providers.changes.rows import COMPANY, split_rows

ADAPTER: Final = Adapter(
    name="singer",
    title="Singer",
    reads="RECORD messages of taps, one on each line",
    tables=(COMPANY,),
    split=split_rows(unwrap_singer),
    unwrap=unwrap_singer,
    notes="SCHEMA, STATE and other messages are ignored. Streams of HubSpot, Salesforce and Segment are read as their adapters do. Rows of HubSpot, Salesforce and Segment are read as their adapters do; any other row with a domain is a company; for the rest, pass a mapping file.",
)
