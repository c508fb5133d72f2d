"""Resolve the subject of an event to its account: the last step from a trigger event to a fact."""

from __future__ import annotations

from resegment.identity.aliases import resolve_subject
from resegment.schemas.fact import Fact, UnresolvedEvent


def resolve_event(event: UnresolvedEvent, *, received: int | None = None, account: str | None = None) -> Fact:
    """Return the event as a fact about its account, or about `account`.

    An event without `recordedtime` became known at `received` (ms), or at its `time` where that is None.
    Raises RefusedEvent (`not-a-company`) where the subject names no company, and Unresolved where it is a name or an id that
    means no account yet.
    """
    recorded = event.recorded
    if recorded is None:
        recorded = event.time if received is None else received
    return Fact(
        account=resolve_subject(event.subject) if account is None else account,
        kind=event.kind,
        id=event.id,
        source=event.source,
        record=event.record,
        time=event.time,
        recorded=recorded,
        op=event.op,
        data=event.data,
    )
