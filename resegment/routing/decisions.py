"""The decisions of routing that end at an instant, or after which the same change may still enroll the account."""

from __future__ import annotations

from typing import Final

from resegment.schemas.routing import Target

NOT_ROUTED: Final = "quiet"
"""The decision that the mode did not let the change through. State and wire call it `quiet`."""


DEFERRED: Final = frozenset({"suppressed", NOT_ROUTED, "cooldown", "capped", "waiting", "held"})
"""Decisions after which the same change may still enroll the account."""


AFTER_LOST: Final = " after a lost deal"
"""Ends the reason of a cooldown that follows a lost deal, not a workflow that the account left."""


TIMED: Final = ("cooldown", "capped", "waiting")
"""Decisions that end at an instant."""


BY_DEFINITION: Final = "version "
"""Begins the reason why an account that a new version of the definition moved is not enrolled."""


def tell_place(ahead: int, of: int, team: str, per_day: int) -> str:
    """Say where an account is in the line of its team."""
    return f"{ahead + 1:,} of {of:,} waiting for {team}; {per_day:,} a day"


def place_again(why: str, ahead: int, of: int) -> str:
    """Return the reason of an account that waits with the place that it has now."""
    _, waits, rest = why.partition(" waiting for ")
    return f"{ahead + 1:,} of {of:,}{waits}{rest}" if waits else why


def reason_of(target: Target) -> str:
    """Say why the version that put the account into its segment does not enroll it."""
    number = f"{BY_DEFINITION}{target.definition}"
    if target.kept_out == "new-only":
        return f"{number} enrolls only accounts that this workflow and this play have not touched"
    return f"{number} enrolls none of the accounts that it moves"
