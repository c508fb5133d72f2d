"""Join facts folded in from the log with those of an account, and drop what no version needs."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from resegment.schemas.state import Entry, Identity
from resegment.segmentation.evaluation.fold import MAX_OLDER
from resegment.segmentation.evaluation.retention import Retention


def join_entries(live: Sequence[Entry], folded: Sequence[Entry]) -> list[Entry]:
    """Return the facts of an account with those that were folded in from the log, in the order of becoming known.

    Both may have a fact, each with fields that the other does not keep. Of two revisions, the newer one counts.
    """
    joined: dict[tuple[str, str], Entry] = {(one.source, one.record or one.id): one for one in folded}
    for entry in live:
        key = (entry.source, entry.record or entry.id)
        other = joined.get(key)
        joined[key] = entry if other is None else _join(entry, other)
    return sorted(joined.values(), key=attrgetter("known"))


def _join(live: Entry, folded: Entry) -> Entry:
    if live.id == folded.id:
        first, second = (folded, live) if folded.known <= live.known else (live, folded)
        if first.known == second.known:
            # The same delivery, kept with different fields. Values as they were delivered are read again.
            data = {**(second.data or {}), **(first.data or {})}
            raw = {**(second.raw or {}), **(first.raw or {})}
            first.data, first.raw = data or None, raw or None
        newer, ids = first, _older(first, second)
    else:
        newer, other = (
            (live, folded) if (live.recorded, live.id) > (folded.recorded, folded.id) else (folded, live)
        )
        ids = [*_older(newer, other), other.id]
        newer.latest = max(newer.latest, other.latest, other.time)
    newer.latest = max(newer.latest, live.latest, folded.latest)
    newer.older = list(dict.fromkeys(one for one in ids if one != newer.id))[-MAX_OLDER:] or None
    return newer


def _older(one: Entry, other: Entry) -> list[str]:
    return [*(one.older or ()), *(other.older or ())]


def remembered(entries: Sequence[Entry], identity: Identity | None) -> Sequence[Entry]:
    """Return the facts that became known after the account was last forgotten."""
    if identity is None or identity.until < 0:
        return entries
    return [one for one in entries if one.known > identity.until]


def conform(entries: Sequence[Entry], retention: Retention) -> bool:
    """Drop the fields that no version needs any more, and return whether there were any.

    What no test can count is dropped with the account's next facts.
    """
    changed = False
    for entry in entries:
        fields = retention.fields[entry.kind]
        data, raw = _keep(entry.data, fields), _keep(entry.raw, fields)
        if data is not entry.data or raw is not entry.raw:
            entry.data, entry.raw, changed = data, raw, True
    return changed


def _keep(data: dict[str, Any] | None, fields: frozenset[str]) -> dict[str, Any] | None:
    if data is None or fields.issuperset(data):
        return data
    return {name: value for name, value in data.items() if name in fields} or None
