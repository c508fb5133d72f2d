"""The decisions of routing that end at an instant, or after which the same change may still enroll the account."""

from __future__ import annotations

from typing import Final

NOT_ROUTED: Final = "quiet"
"""The decision that the mode did not let the change through. State and wire call it `quiet`."""


DEFERRED: Final = frozenset({"suppressed", NOT_ROUTED, "cooldown", "waiting"})
"""Decisions after which the same change may still enroll the account."""


AFTER_LOST: Final = " after a lost deal"
"""Ends the reason of a cooldown that follows a lost deal, not a workflow that the account left."""


TIMED: Final = ("cooldown", "waiting")
"""Decisions that end at an instant."""
