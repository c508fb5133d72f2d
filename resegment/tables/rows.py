"""Read records of topics into rows. A record that makes no row is refused with a reason, and stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from resegment.agents.batch import Record
from resegment.agents.deciding.merging import is_step
from resegment.schemas.fact import decode_fact
from resegment.schemas.identities.steps import decode_step
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.outcomes.facts import to_outcome
from resegment.schemas.outcomes.messages import decode_touch
from resegment.schemas.outcomes.touch import Touch, TouchesForgotten, TouchKey, TouchVoid
from resegment.schemas.times import EPOCH, parse_instant
from resegment.tables.columns import COLUMNS, KEYS

Row = dict[str, Any]

TOPICS: Final = ("segment-changes", "workflow-commands", "touches", "signals")
"""The topics that are written to tables, without the prefix."""
OPERATIONS: Final = {
    "segment-changes": "segment_event",
    "workflow-commands": "command",
    "touches": "fct_touch",
    "signals": "outcome",
}
FORGOTTEN: Final = "forgotten"
"""What stands in place of a table where a record says that its account is forgotten; and the reason of its stop."""
LIFTED: Final = "lifted"
_GREATEST: Final = 2**63 - 1
MAX_KEY: Final = 2_600
"""Bytes of a primary key: an index of PostgreSQL takes little more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that makes no row."""

    offset: int
    key: str
    reason: str


@dataclass(slots=True)
class Batch:
    """What records of one partition of a topic come to: rows by table, and what was refused.

    Of the accounts in `forgotten` nothing stays that was written before.
    """

    topic: str
    partition: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    @property
    def accounts(self) -> list[str]:
        """Return the accounts that the rows are about, each once."""
        return list(dict.fromkeys(row["account"] for rows in self.rows.values() for row in rows))

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        return sum(map(len, self.rows.values()))


def read_batch(topic: str, partition: int, records: Sequence[Record], gone: set[str] | None = None) -> Batch:
    """Return the rows of records. `topic` is its name without the prefix.

    `gone` are accounts of which nothing counts: forgets and their undoing, in the order of `signals`, are noted there.
    """
    gone = set() if gone is None else gone
    batch = Batch(topic, partition)
    read = _READERS[topic]
    rows: dict[tuple[Any, ...], tuple[str, Row]] = {}
    for record in records:
        try:
            found = read(record, partition)
        except _Unreadable as error:
            batch.refused.append(Refusal(record.offset, _key_of(record), str(error)))
            continue
        if found is None:
            continue
        table, values = found
        if table == FORGOTTEN or values.get("cause") == "forget" or values.get("reason") == FORGOTTEN:
            forgotten = values["account"]
            batch.forgotten.append(forgotten)
            gone.add(forgotten)
            rows = {name: one for name, one in rows.items() if one[1]["account"] != forgotten}
        if table == LIFTED:
            gone.discard(values["account"])
        if table in (FORGOTTEN, LIFTED) or (table == "outcome" and values["account"] in gone):
            continue
        row = {name: _fit(values.get(name)) for name in COLUMNS[table]}
        key = (table, *(row[name] for name in KEYS[table]))
        if not _is_key(key[1:]):
            why = f"its key ({', '.join(KEYS[table])}) is none that a table can hold"
            batch.refused.append(Refusal(record.offset, _key_of(record), why))
            continue
        if key not in rows or (table == "outcome" and _is_newer(row, rows[key][1])):
            rows[key] = table, row
    for table, row in rows.values():
        batch.rows.setdefault(table, []).append(row)
    return batch


def _is_key(values: Sequence[Any]) -> bool:
    """Return whether a primary key can hold these values: all are there, and short enough for an index together."""
    return None not in values and sum(len(str(one).encode()) for one in values) <= MAX_KEY


def _is_newer(row: Row, held: Row) -> bool:
    """Return whether of two revisions of an outcome the one that comes later counts."""
    return bool((row["known_at"], row["id"]) >= (held["known_at"], held["id"]))


class _Unreadable(Exception):
    """Says why a record makes no row."""


def _key_of(record: Record) -> str:
    return (record.key or b"").decode("utf-8", "replace").replace("\0", "\ufffd")[:200]


def _fit(value: Any) -> Any:
    """Return a value as a column can hold it: no NUL in a text, no integer over 64 bits."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    return value if -_GREATEST <= value <= _GREATEST else None


def to_datetime(ms: int) -> datetime:
    """Return an instant as a datetime."""
    return EPOCH + timedelta(milliseconds=ms)


# What the readers read of a message; all else is left alone


class _Cause(msgspec.Struct):
    events: list[str] | None = None
    deadline: str | None = None
    definition: int | None = None
    merged: str | None = None
    unmerged: str | None = None
    forgotten: str | None = None


class _Route(msgspec.Struct):
    workflow: str | None = None
    team: str | None = None


class _Change(msgspec.Struct, rename={"from_": "from"}):
    account: str
    sequence_number: int
    effective_at: str
    from_: str | None = None
    to: str | None = None
    decided_at: str | None = None
    cause: _Cause = msgspec.field(default_factory=_Cause)
    definition_version: str = ""
    supersedes: str | None = None
    play: str | None = None
    route: _Route | None = None
    holdout: bool = False


class _ChangeEvent(msgspec.Struct):
    id: str
    data: _Change


class _CommandCause(msgspec.Struct):
    change: str | None = None
    sequence_number: int | None = None
    effective_at: str | None = None


class _Command(msgspec.Struct):
    action: str
    account: str
    workflow: str
    segment: str
    idempotency_key: str
    owner: str | None = None
    team: str | None = None
    qualification: str | None = None
    play: str | None = None
    accept_by: str | None = None
    reason: str | None = None
    cause: _CommandCause = msgspec.field(default_factory=_CommandCause)


class _CommandEvent(msgspec.Struct):
    time: str
    data: _Command


_changes: Final = msgspec.json.Decoder(_ChangeEvent)
_commands: Final = msgspec.json.Decoder(_CommandEvent)


def _decode(decoder: msgspec.json.Decoder[Any], record: Record) -> Any:
    try:
        return decode_value(decoder, record.value)
    except msgspec.DecodeError as error:
        raise _Unreadable(str(error)[:300]) from error


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else to_datetime(parse_instant(text))
    except (ValueError, OverflowError) as error:
        raise _Unreadable(str(error)[:300]) from error


def _read_change(record: Record, partition: int) -> tuple[str, Row]:
    event = _decode(_changes, record)
    data: _Change = event.data
    effective_at = _instant(data.effective_at)
    route = data.route or _Route()
    return "segment_event", {
        "id": event.id,
        "account": data.account,
        "sequence_number": data.sequence_number,
        "from_segment": data.from_,
        "to_segment": data.to,
        "effective_at": effective_at,
        "decided_at": _instant(data.decided_at) or effective_at,
        "definition_version": data.definition_version,
        "cause": _name_cause(data.cause),
        "cause_events": None if not data.cause.events else msgspec.json.encode(data.cause.events).decode(),
        "cause_deadline": _instant(data.cause.deadline),
        "cause_definition": data.cause.definition,
        "cause_account": data.cause.merged if data.cause.merged is not None else data.cause.unmerged,
        "supersedes": data.supersedes,
        "play": data.play,
        "workflow": route.workflow,
        "team": route.team,
        "holdout": data.holdout,
        "log_partition": partition,
        "log_offset": record.offset,
    }


def _name_cause(cause: _Cause) -> str:
    """Return what made the change, in one word."""
    if cause.definition is not None:
        return "definition"
    if cause.merged is not None:
        return "merge"
    if cause.unmerged is not None:
        return "unmerge"
    if cause.forgotten is not None:
        return "forget" if cause.forgotten == "account" else "forget-person"
    return "deadline" if cause.deadline is not None else "event"


def _read_command(record: Record, partition: int) -> tuple[str, Row]:
    event = _decode(_commands, record)
    data: _Command = event.data
    return "command", {
        **{name: getattr(data, name) for name in _NAMES_OF_COMMAND},
        "change_id": data.cause.change,
        "sequence_number": data.cause.sequence_number,
        "effective_at": _instant(data.cause.effective_at or event.time),
        "accept_by": _instant(data.accept_by),
        "published_at": _log_time(record),
        "log_partition": partition,
        "log_offset": record.offset,
    }


_NAMES_OF_COMMAND: Final = (
    *(
        "idempotency_key",
        "account",
        "action",
        "workflow",
        "owner",
        "team",
        "qualification",
        "segment",
        "play",
    ),
    "reason",
)


def _log_time(record: Record) -> datetime:
    try:
        return to_datetime(max(0, record.timestamp))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _read_signal(record: Record, _: int) -> tuple[str, Row] | None:
    if record.key is None:
        return _read_step(record)
    if b'"outcome"' not in (record.value or b""):
        return None
    try:
        fact = decode_fact(record.value or b"")
    except msgspec.DecodeError as error:
        raise _Unreadable(str(error)[:300]) from error
    if fact.kind != "outcome":
        return None
    one = to_outcome(fact)
    return "outcome", {
        **{name: getattr(one, name) for name in OUTCOME_FIELDS},
        "happened_at": to_datetime(one.at),
        "known_at": to_datetime(one.recorded),
        "opened_at": None if one.opened_at is None else to_datetime(one.opened_at),
        "idempotency_key": one.key,
        "is_retracted": one.retracted,
    }


def _read_step(record: Record) -> tuple[str, Row] | None:
    with suppress(msgspec.DecodeError):
        step = decode_step(record.value or b"") if is_step(record) else None
        if step is not None and step.step in ("forget", "lift"):
            return FORGOTTEN if step.step == "forget" else LIFTED, {"account": step.account}
    return None


OUTCOME_FIELDS: Final = (
    *(
        "account",
        "source",
        "record",
        "id",
        "action",
        "person",
        "deal",
        "channel",
        "sequence",
        "amount",
        "currency",
    ),
    *("amount_usd", "stage"),
)


def _read_touch(record: Record, _: int) -> tuple[str, Row]:
    try:
        one = decode_touch(record.value or b"")
    except ValueError as error:  # msgspec's errors too
        raise _Unreadable(str(error)[:300]) from error
    row: Row = {"account": one.account}
    match one:
        case Touch():
            named = {name: getattr(one, name) for name in TOUCH_FIELDS}
            return "fct_touch", {**row, **named, "touched_at": to_datetime(one.at), "change_id": one.change}
        case TouchVoid():
            return "touch_void", {**row, "change_id": one.change, "voided_at": to_datetime(one.at)}
        case TouchKey():
            key = {"idempotency_key": one.key, "touch": one.touch}
            return "touch_key", {**row, **key, "known_from": to_datetime(one.at)}
        case TouchesForgotten():
            return FORGOTTEN, row


TOUCH_FIELDS: Final = (
    *("touch", "segment", "play", "owner", "team", "workflow", "channel", "definition_version", "version"),
    *("arm", "experiment", "variant"),
)

_READERS: Final = {
    "segment-changes": _read_change,
    "workflow-commands": _read_command,
    "touches": _read_touch,
    "signals": _read_signal,
}
