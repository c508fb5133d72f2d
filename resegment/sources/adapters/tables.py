"""Describe a provider's records as data: which field of an event comes from which fields of the record.

The same description converts records and writes the reference, so they cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.schemas.fact import Kind
from resegment.sources.adapters.envelope import Envelope, Waiting
from resegment.sources.adapters.fields import Field, Read
from resegment.sources.adapters.port import Context, Event, Item, Remark, digest_of, make_event
from resegment.sources.adapters.records import Record, as_text, is_blank, normalize_name

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def _no_more(_: Record, data: dict[str, Any]) -> None:
    """Leave the data as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one type of record becomes an event.

    `rest` names the data field of any other field of the record, or None to leave it out. `refine` changes the data; it
    may raise RefusedEvent.
    """

    name: str
    kind: Kind
    envelope: Envelope
    data: Mapping[str, Field]
    constants: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    ignored: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    refine: Callable[[Record, dict[str, Any]], None] = _no_more
    rest: Callable[[str], str | None] | None = None

    def convert(self, given: Mapping[str, Any], adapter: str, context: Context) -> Iterator[Item]:
        """Yield the event of a record after remarks about it, or its refusal."""
        remarks: list[Remark] = []
        try:
            event = self._event(Record(given), adapter, context, remarks)
        except RefusedEvent as error:
            yield error
            return
        yield from remarks
        yield event

    def _event(self, record: Record, adapter: str, context: Context, remarks: list[Remark]) -> Event:
        envelope = self.envelope
        op = envelope.op(record)
        waiting = Waiting(adapter, remarks) if context.unresolved else None
        subject = envelope.find_subject(record, context, self.name, waiting)
        time = envelope.find_time(record, envelope.time, context, remarks)
        known = envelope.recorded if op == "assert" else (*envelope.withdrawn, *envelope.recorded)
        recorded = envelope.find_time(record, known, context, remarks)
        if op == "retract" and recorded is None:
            recorded = context.at
        if time is None:
            time = recorded if recorded is not None else context.at
        if envelope.identity == "snapshot" and recorded is None:
            recorded = time if context.at is None else context.at
        if time is None:
            columns = [
                one for one in envelope.time if not one.startswith("__")
            ]  # without the stamp of connectors
            looked = f" (looked for {' or '.join(columns[:3])})" if columns else ""
            raise RefusedEvent(
                "no-time",
                f"the {self.name} does not say when it was so{looked}: pass --at TIME",
                field=columns[0] if columns else "time",
            )
        data = {} if op == "retract" else self._data(record, context, remarks)
        if "currency" in data:
            self._add_usd(data, time, remarks)
        name = envelope.name_record(record, subject, time, self.name)
        if envelope.identity == "derived":
            name = f"{name}:{digest_of(self.kind, time, data)}"
        return make_event(
            kind=self.kind,
            source=f"/{adapter}",
            record=name,
            subject=subject,
            time=time,
            recorded=recorded,
            op=op,
            data=data,
            event_id=name if envelope.identity == "event" else None,
        )

    def _data(self, record: Record, context: Context, remarks: list[Remark]) -> dict[str, Any]:
        data: dict[str, Any] = dict(self.constants)
        for name, one in self.data.items():
            self._read_field(record, name, one, data, context, remarks)
        if self.rest is not None:
            self._read_rest(record, data)
        self.refine(record, data)
        missing = next((name for name in self.required if is_blank(data.get(name))), None)
        if missing is not None:
            paths = self.data[missing].paths if missing in self.data else (missing,)
            raise RefusedEvent(
                "no-value",
                f"the {self.name} has no {missing} (looked for {', '.join(paths[:4])})",
                field=paths[0],
            )
        if self.kind == "firmographic" and not data:
            raise RefusedEvent("no-value", f"the {self.name} has no attribute with a value")
        return data

    def _add_usd(self, data: dict[str, Any], time: int, remarks: list[Remark]) -> None:
        """Add amounts in US dollars, at the rate of the day."""
        from resegment.sources.normalizers.rates import NO_RATE, add_usd  # noqa: PLC0415  # only for other currencies

        named = {
            name.removesuffix("_usd") for name, one in self.data.items() if one.type in ("money", "price")
        }
        money = sorted({"amount", *named})
        unknown = add_usd(data, money, time)
        if unknown is not None:
            remarks.append(Remark(NO_RATE, unknown, "currency"))

    def _read_field(
        self,
        record: Record,
        name: str,
        one: Field,
        data: dict[str, Any],
        context: Context,
        remarks: list[Remark],
    ) -> None:
        wrong: tuple[str, str] | None = None
        for path, value in record.find_all(*one.paths):
            try:
                data.update(
                    one.read(name, value, Read(context.zone, context.order or self.envelope.order, record))
                )
            except ValueError as error:
                wrong = wrong or (path, str(error))
            else:
                return
        if wrong is not None:
            remarks.append(Remark("wrong-cell", f"{wrong[1]}; {name} is left out", record.spell(wrong[0])))
        elif context.empty == "null" and self.kind == "firmographic" and record.has(*one.paths):
            data[name] = None

    def _read_rest(self, record: Record, data: dict[str, Any]) -> None:
        assert self.rest is not None
        taken = self.taken()
        for name, value in record.given.items():
            if is_blank(value) or isinstance(value, Mapping | list) or normalize_name(str(name)) in taken:
                continue
            field_name = self.rest(str(name))
            if field_name and field_name not in data:
                data[field_name] = as_text(value) if isinstance(value, str) else value

    def taken(self) -> frozenset[str]:
        """Return the normalized first names of all paths that are mapped or ignored."""
        return _taken(self)


_FOUND: dict[int, frozenset[str]] = {}


def _taken(table: Table) -> frozenset[str]:
    found = _FOUND.get(id(table))
    if found is None:
        paths = [*table.envelope.paths(), *table.ignored]
        paths.extend(path for one in table.data.values() for path in one.paths)
        found = frozenset(normalize_name(path.partition(".")[0]) for path in paths)
        _FOUND[id(table)] = found
    return found


def snake_case(name: str) -> str | None:
    """Return the name of a custom field as an attribute: `Renewal Date`, `Renewal_Date__c` -> `renewal_date`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip().removesuffix("__c"))
    return re.sub(r"[^0-9a-z]+", "_", spaced.lower()).strip("_")[:64] or None
