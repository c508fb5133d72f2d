"""Why an account is where it is: every test with its value and its evidence, what is missing, what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from resegment.schemas.state import Entry, decode_state, encode_state
from resegment.schemas.times import NEVER, format_duration, format_instant
from resegment.segmentation.account import Account
from resegment.segmentation.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    Growth,
    InSegment,
    Not,
    Occurs,
    Ratio,
    Sequence,
    Some,
    Window,
)
from resegment.segmentation.engine import Engine
from resegment.segmentation.evidence import cite
from resegment.segmentation.forecast import Next, find_next
from resegment.segmentation.leaves import OccursLeaf, SequenceLeaf
from resegment.segmentation.measures import AggregateOf, Attribute, DecayOf, GrowthOf, Measure, RatioOf
from resegment.segmentation.program import Program
