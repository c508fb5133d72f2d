"""Say in one sentence where an account is, and since when."""

from __future__ import annotations

from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.inspection.entry_time import EntryTime
from resegment.segmentation.inspection.explanation import SegmentStatus


def summarize(
    account: Account, current: int, statuses: tuple[SegmentStatus, ...], entry: EntryTime | None
) -> str:
    """Return the account's segment, since when, and what keeps it there. `current` is the segment's number, -1 for none."""
    member = account.state.membership
    if member.segment is None:
        return "nothing is known about it yet, so it is in no segment"
    text = f"in {member.segment} since {format_instant(member.entered)}"
    if _is_first(account):
        text += ", when it was first seen"
    if entry is not None and entry.at != member.entered:
        text += f" (by its facts since {format_instant(entry.at)}{' or before' if entry.limited else ''})"
    if current < 0:
        return f"{text}, which is no longer in the segments file"
    status = statuses[current]
    if status.condition is None:
        return f"{text}: it qualifies for no segment above"
    if status.value is True:
        return text
    keeping = next((one.text for one in status.holds if one.by != "cooldown"), None)
    return f"{text}: {keeping}" if keeping else text


def _is_first(account: Account) -> bool:
    """Tell whether the account has had no other segment: then `since` is when its first event became known."""
    state = account.state
    return state.at == state.membership.entered and (state.before is None or state.before.segment is None)
