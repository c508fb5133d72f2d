"""The port of adapters: what an adapter is given, what it yields, and how a payload is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.identity.names import Unresolved
from resegment.schemas.cloudevents.decoding import read_event
from resegment.schemas.logs.decoding import is_deeper
from resegment.schemas.times import format_instant
from resegment.sources.adapters.dates import Order
from resegment.sources.adapters.records import Record

if TYPE_CHECKING:
    from resegment.sources.adapters.tables import Table
    from resegment.sources.boards.snapshot import Snapshot

Event = dict[str, Any]
"""A trigger event as a JSON object."""


class Remark(NamedTuple):
    """Something that was left out of an event, or read with an assumption. The event itself is kept."""

    reason: str
    message: str
    field: str | None = None


Item = Event | RefusedEvent | Remark
"""What an adapter yields: an event, the refusal of a record, or a remark."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the payload does not say.

    `account` is the domain that all records are about, where they name none. `at` (ms) is when a snapshot was taken.
    `zone` is that of times without one. `accounts` has the domains of a provider's own ids, slugs or names. With
    `unresolved`, a record that has only a name or id gives an event that waits until somebody says which account that is.
    """

    account: str | None = None
    at: int | None = None
    zone: tzinfo | None = None
    order: Order | None = None
    empty: Literal["absent", "null"] = "absent"
    accounts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unresolved: bool = False


MAX_DEPTH: Final = 64
"""How deep objects and lists may be nested in a payload."""

NOTHING: Final = Context()

Split = Callable[[Any, Context], Iterator["tuple[Table, Mapping[str, Any]] | Item"]]
"""Finds the records in a payload, each with the table that describes it. It refuses what it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How the payloads of one provider become events. Pure: the same payload and context give the same events."""

    name: str
    title: str
    tables: tuple[Table, ...]
    split: Split
    reads: str
    """The exports, interfaces and webhooks that are read."""
    ignored: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Types of events and records that give no event, and why."""
    notes: str = ""
    unwrap: Callable[[Any], Iterator[Any]] | None = None
    """For an envelope around rows of any meaning: finds the rows, so that a mapping file can say what they are."""
    snapshots: Callable[[Any, Context], Iterator[Snapshot | RefusedEvent]] | None = None
    """For a job board: finds the looks in a payload, so that they can be compared."""

    def convert(self, payload: Any, context: Context = NOTHING) -> Iterator[Item]:
        """Yield the events of a payload, valid by the contract, and what was refused or left out.

        A payload is the value of a JSON document, or the cells of a row by column. It never raises.
        """
        if not isinstance(payload, Mapping | list):
            yield RefusedEvent("wrong-payload", f"an object or a list is expected, not {_name(payload)}")
            return
        if is_deeper(payload, MAX_DEPTH):
            yield RefusedEvent("too-deep", f"objects and lists nest deeper than {MAX_DEPTH} levels")
            return
        found = False
        for item in self.split(payload, context):
            found = True
            if isinstance(item, tuple) and not isinstance(item, Remark):
                table, record = item
                yield from _check(table.convert(record, self.name, context))
            elif isinstance(item, dict):
                yield from _check([item])
            else:
                yield item
        if not found:
            yield RefusedEvent("no-record", f"the payload has no record that {self.title} is known to send")

    def learns(self) -> bool:
        """Whether records of the provider tell the domains of ids that other records name."""
        return any(table.envelope.learns for table in self.tables)

    def learn(self, payload: Any, context: Context) -> dict[str, str]:
        """Return the domains of the ids that a payload tells. It never raises."""
        found: dict[str, str] = {}
        if not isinstance(payload, Mapping | list) or is_deeper(payload, MAX_DEPTH):
            return found
        for item in self.split(payload, context):
            if not isinstance(item, tuple) or isinstance(item, Remark):
                continue
            table, record = item
            if table.envelope.learns:
                with suppress(RefusedEvent):
                    found.update(table.envelope.learn(Record(record), replace(context, account=None)))
        return found


def _check(items: Any) -> Iterator[Item]:
    """Pass items on, and refuse events that the contract does not allow."""
    for item in items:
        if isinstance(item, dict):
            try:
                digest_of(item)
                with suppress(Unresolved):  # it waits until somebody says which account that is
                    resolve_subject(read_event(item).subject)
            except RefusedEvent as error:
                yield error
                continue
        yield item


def make_event(
    *,
    kind: str,
    source: str,
    record: str,
    subject: str,
    time: int,
    data: Mapping[str, Any],
    recorded: int | None = None,
    op: Literal["assert", "retract"] = "assert",
    event_id: str | None = None,
) -> Event:
    """Build an event. Without `event_id`, the id is the record with a digest of what this revision says.

    Raises RefusedEvent for values that JSON cannot hold.
    """
    digest_of(record, source)
    digest = digest_of(time, recorded, op, data, subject)
    event: Event = {
        "specversion": "1.0",
        "id": _shorten(event_id or f"{record}:{digest}"),
        "source": source,
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": format_instant(time),
    }
    if recorded is not None:
        event["recordedtime"] = format_instant(recorded)
    if event_id is None:
        event["record"] = _shorten(record)
    if op == "retract":
        event["op"] = op
    event["datacontenttype"] = "application/json"
    event["data"] = dict(data)
    return event


def digest_of(*parts: Any) -> str:
    """Return a short digest of JSON values, the same for the same values.

    Raises RefusedEvent for values that JSON cannot hold, such as half a character.
    """
    try:
        text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)
    except orjson.JSONEncodeError as error:
        raise RefusedEvent("wrong-text", f"a value that JSON cannot hold: {error}"[:200]) from None
    return hashlib.sha256(text).hexdigest()[:12]


def _shorten(name: str) -> str:
    """Return a name of at most 512 characters: a longer one keeps its start, and a digest of all."""
    if len(name) <= 512:
        return name
    return f"{name[:440]}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _name(value: Any) -> str:
    if value is None:
        return "null"
    return {str: "text", bool: "true or false", int: "a number", float: "a number"}.get(
        type(value), "another value"
    )
