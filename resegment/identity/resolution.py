"""Resolve the subject of an event to its account: the last step from a trigger event to a fact."""

from __future__ import annotations

from collections.abc import Mapping

from resegment.identity.domains import registrable_domain
from resegment.schemas.fact import Fact, UnresolvedEvent


def resolve_event(
    event: UnresolvedEvent, *, received: int | None = None, aliases: Mapping[str, str] | None = None
) -> Fact:
    """Return the event as a fact about its account.

    An event without `recordedtime` became known at `received` (ms), or at its `time` where that is None.
    `aliases` maps alternative domains to the account's own.
    Raises RefusedEvent (`not-a-company`) where the subject names no company.
    """
    account = registrable_domain(event.subject)
    recorded = event.recorded
    if recorded is None:
        recorded = event.time if received is None else received
    return Fact(
        account=aliases.get(account, account) if aliases else account,
        kind=event.kind,
        id=event.id,
        source=event.source,
        record=event.record,
        time=event.time,
        recorded=recorded,
        op=event.op,
        data=event.data,
    )
