"""Write the event of a segment change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from resegment.schemas.change import SegmentChange
from resegment.schemas.outgoing import CHANGE_TYPE, wrap_event
from resegment.schemas.times import format_instant


def encode_change(
    change: SegmentChange,
    play: str | None,
    message: Mapping[str, Any] | orjson.Fragment | None,
    routes: Mapping[str, orjson.Fragment | None],
    left_routes: Mapping[str, orjson.Fragment | None] | None = None,
    *,
    holdout: bool = False,
    experiment: str | None = None,
    variant: str | None = None,
) -> bytes:
    """Return the event of a change. `message` is its rendered play; `routes` are by segment name, as JSON.

    `left_routes` are those of the version before, where a new one moved the account out of a segment of that one.
    """
    at, decided_at = change.effective_at, change.decided_at
    effective = format_instant(at)
    data = {
        "account": change.account,
        "sequence_number": change.sequence_number,
        "from": change.from_,
        "to": change.to,
        "effective_at": effective,
        "decided_at": effective if decided_at == at else format_instant(decided_at),
        "cause": msgspec.to_builtins(change.cause),
        "reason": change.reason,
        "also_qualified": change.also_qualified,
        "definition_version": change.definition_version,
        "supersedes": change.supersedes,
        "supersedes_to": change.supersedes_to,
        "play": play,
        "message": message,
        "route": None if change.to is None else routes.get(change.to),
        "from_route": None if change.from_ is None else (left_routes or routes).get(change.from_),
        "superseded_route": None if change.supersedes_to is None else routes.get(change.supersedes_to),
        "holdout": holdout,
        "standing": change.active_gates,
        "values": change.values,
        "do_not_contact": change.do_not_contact,
        "lost_until": format_instant(change.lost_until) if change.lost_until else None,
        "parent": change.parent,
        "apply_route": change.route,
        "moved": change.moved,
        "rollback_of": change.rollback_of,
        "absent": change.absent,
        "stays_until": None if change.stays_until is None else format_instant(change.stays_until),
        "experiment": experiment,
        "variant": variant,
    }
    event = wrap_event(change.id, CHANGE_TYPE, "/resegment/segmenter", change.account, effective, data)
    return bytes(memoryview(orjson.dumps(event)))  # a copy, as the bytes that orjson returns hold 8 KB each
