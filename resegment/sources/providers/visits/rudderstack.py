"""RudderStack: the calls of Segment's specification."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from resegment.sources.adapters.port import Adapter
from resegment.sources.providers.visits import segment

ADAPTER: Final[Adapter] = replace(segment.ADAPTER, name="rudderstack", title="RudderStack")
