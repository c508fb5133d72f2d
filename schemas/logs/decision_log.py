"""The latest decisions of the router on an account, which it keeps with its state (arrays: append fields)."""

from __future__ import annotations

from typing import Final

import msgspec

MOST: Final = 20
"""How many decisions and commands of an account are kept."""
LONGEST: Final = 120
"""The most characters of a reason that are kept."""


class LoggedDecision(msgspec.Struct, array_like=True, frozen=True):
    """A decision, or a command that was sent besides; `at` in ms. `what` is a decision's or a command's name."""

    at: int
    what: str
    why: str = ""
    segment: str = ""
    workflow: str | None = None
    owner: str | None = None


def log_decision(kept: tuple[LoggedDecision, ...], new: LoggedDecision) -> tuple[LoggedDecision, ...]:
    """Return the log with one more entry, and without the oldest if there are too many.

    A decision that only repeats the latest one adds nothing; neither does a wait at another place in its line.
    """
    if len(new.why) > LONGEST:
        new = msgspec.structs.replace(new, why=new.why[: LONGEST - 1] + "…")
    if (
        kept
        and new.what == "enrolled"
        and kept[-1] == msgspec.structs.replace(new, what="reassign", why=kept[-1].why)
    ):
        return kept  # the command says it already
    if kept:
        why = kept[-1].why if new.what == "waiting" else new.why
        if kept[-1] == msgspec.structs.replace(new, at=kept[-1].at, why=why):
            return kept
    return (*kept[-(MOST - 1) :], new)
