"""What an explanation says, as frozen values."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.inspection.descriptions import show_value
from resegment.segmentation.inspection.entry_time import EntryTime
from resegment.segmentation.inspection.next_change import Next


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a condition: what it says (None: unknown) and, where it is a test, on what grounds.

    `measured` is the value tested or the number of facts, `evidence` the newest facts behind it, `last` the newest
    fact that matches and does not count, `near` says what nearly matches, `unknown` what is not known, `until` the
    instant before which time alone does not change the test (None: never). The parts of a test of a score are its terms.
    """

    kind: Literal["all", "any", "not", "event", "sequence", "open", "value", "segment", "condition", "term"]
    text: str
    value: bool | None
    parts: tuple[Node, ...] = ()
    measured: Any = None
    made_of: str | None = None
    window: str | None = None
    evidence: tuple[dict[str, Any], ...] = ()
    last: dict[str, Any] | None = None
    near: str | None = None
    unknown: tuple[str, ...] = ()
    until: str | None = None


class Miss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test that would have to say something else; with `facts`, `measured` is how many there are."""

    test: str
    value: bool | None
    must: bool
    facts: bool = False
    measured: Any = None
    last: dict[str, Any] | None = None
    near: str | None = None
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        wanted = self.test if self.must else f"not: {self.test}"
        near = f"; {self.near}" if self.near else ""
        if self.unknown:
            return f"{wanted} ({', '.join(self.unknown)} unknown)"
        if self.facts:
            last = f"; the last one was on {self.last['time']}" if self.last else ""
            return f"{wanted} (found {self.measured or 'none'}{last}{near})"
        return f"{wanted} (is {show_value(self.measured)}{near})"


class Need(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A test that would have to say something else; or ways of which one is enough, each with all that it needs.

    `more` counts the ways that are left out.
    """

    test: Miss | None = None
    one_of: tuple[tuple[Need, ...], ...] = ()
    more: int = 0


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `hold` does at that instant; `until` in RFC 3339 where it is a matter of time."""

    by: Literal["min_dwell", "cooldown", "exit_when"]
    text: str
    until: str | None = None


class SegmentStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One segment as it stands to the account; the fallback has no condition, and a draft takes no account.

    `misses` is the least that would have to change for its `when` to be true; `needs` has every way to that.
    """

    name: str
    role: Literal["current", "higher", "lower"]
    value: bool | None
    condition: Node | None = None
    exit_when: Node | None = None
    misses: tuple[Miss, ...] = ()
    needs: tuple[Need, ...] = ()
    holds: tuple[Held, ...] = ()
    draft: bool = False


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An account's segment at an instant, and why; instants in RFC 3339.

    `also_qualified` are the lower segments whose `when` is true as well. `next` is None where time alone changes
    nothing, or where it was not asked for; `outlook` says it in words. `dropped` counts the facts that count no more
    because the account has too many that match a test, and `dropped_by` counts them by the test. `since` is when the
    account was moved to its segment, and `entered_at` since when its facts hold, each counted from its own time;
    `entered_at_limited` says that facts that are no longer kept may place that earlier.
    """

    account: str
    at: str
    segment: str | None
    since: str | None
    summary: str
    segments: tuple[SegmentStatus, ...]
    also_qualified: tuple[str, ...]
    next: Next | None
    outlook: str
    dropped: int
    dropped_by: dict[str, int]
    definition_version: str
    entered_at: str | None = None
    entered_at_limited: bool = False


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
