"""Draw the accounts that a segment's holdout keeps out of workflows."""

from __future__ import annotations

import hashlib
from typing import Final

from resegment.schemas.segments import Holdout
from resegment.schemas.written import read_share
from resegment.segmentation.definition import Segment

_DRAWS: Final = 1 << 32


def is_held_out(account: str, share: float, salt: str) -> bool:
    """Return whether an account belongs to the share that is not enrolled. For one salt, the answer never changes."""
    drawn = hashlib.blake2b(f"{salt}\0{account}".encode(), digest_size=4).digest()
    return int.from_bytes(drawn, "big") < share * _DRAWS


def read_holdout(segment: Segment) -> tuple[float, str] | None:
    """Return the share and the salt of a segment's holdout; None if it has none."""
    holdout: Holdout | None = segment.holdout
    return None if holdout is None else (read_share(holdout.share), holdout.salt or segment.name)
