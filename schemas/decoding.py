"""From the bytes of a trigger event to a fact, or to the reason why it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from resegment.errors import RefusedEvent
from resegment.schemas.domains import registrable_domain
from resegment.schemas.events import DATA, Envelope
from resegment.schemas.fact import EARLIEST, LATEST, Fact
from resegment.schemas.times import format_instant, parse_instant

MAX_BYTES: Final = 256 * 1024
"""The greatest size of an event's value."""

MAX_DEPTH: Final = 16
"""How deep objects and lists may nest in an event."""

_TYPES: Final = {f"gtm.{kind}.v1": kind for kind in DATA}


def decode_event(
    value: bytes | None, *, received: int | None = None, aliases: Mapping[str, str] | None = None
) -> Fact:
    """Decode one structured-mode CloudEvent.

    `received` (ms) is what `recorded` is where the event has no `recordedtime`; without it, the event's
    `time` is. `aliases` maps alternative domains to an account's own.

    Raises RefusedEvent: `too-large`, `not-json`, `too-deep`, `wrong-envelope`, `unknown-kind`, `wrong-type`,
    `not-a-company` or `absurd-time`.
    """
    if value is None:
        raise RefusedEvent("not-json", "the record has no value")
    if len(value) > MAX_BYTES:
        raise RefusedEvent("too-large", f"{len(value)} bytes: at most {MAX_BYTES} are allowed")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise RefusedEvent("not-json", str(error)) from None
    return read_event(event, received=received, aliases=aliases)


def read_event(
    event: Any, *, received: int | None = None, aliases: Mapping[str, str] | None = None
) -> Fact:
    """The same for an event that is parsed already."""
    if not isinstance(event, dict):
        raise RefusedEvent("wrong-envelope", f"a CloudEvent is an object, not {type(event).__name__}")
    _check_depth(event)
    try:
        envelope = Envelope.model_validate(event)
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-envelope", message, field=field) from None
    kind = _TYPES.get(envelope.type)
    if kind is None:
        raise RefusedEvent(
            "unknown-kind", f"{envelope.type[:80]!r} is none of {', '.join(_TYPES)}", field="type"
        )
    if envelope.data is None and envelope.op == "assert":
        raise RefusedEvent("wrong-type", "an event that asserts a fact needs data", field="data")
    try:
        data = DATA[kind].model_validate(envelope.data or {})
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-type", message, field=f"data.{field}") from None
    account = registrable_domain(envelope.subject)
    happened = _instant("time", envelope.time)
    if envelope.recordedtime is not None:
        recorded = _instant("recordedtime", envelope.recordedtime)
    else:
        recorded = happened if received is None else received
    return Fact(
        account=aliases.get(account, account) if aliases else account,
        kind=kind,  # type: ignore[arg-type]  # a key of DATA is a Kind
        id=envelope.id,
        source=envelope.source,
        record=envelope.record or envelope.id,
        time=happened,
        recorded=recorded,
        op=envelope.op,
        data=_given(data),
    )


def _given(data: Any) -> dict[str, Any]:
    """The fields that the event carries, nulls included, in their normalised spelling."""
    fields: dict[str, Any] = {name: getattr(data, name) for name in type(data).model_fields if name in data.model_fields_set}
    fields.update(data.model_extra or {})
    return fields


def _instant(field: str, text: str) -> int:
    ms = parse_instant(text)
    if not EARLIEST <= ms < LATEST:
        raise RefusedEvent(
            "absurd-time",
            f"{text} lies outside {format_instant(EARLIEST)} to {format_instant(LATEST)}",
            field=field,
        )
    return ms


def _first(error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def _check_depth(event: Any) -> None:
    level = [event]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise RefusedEvent("too-deep", f"objects and lists nest deeper than {MAX_DEPTH} levels")
