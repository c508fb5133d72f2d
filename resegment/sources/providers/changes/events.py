"""Events of the contract that were written by hand or by other tools: with times, numbers and texts in any spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from resegment.errors import RefusedEvent
from resegment.schemas.cloudevents.decoding import read_event
from resegment.schemas.events import Envelope as Attributes
from resegment.schemas.fact import KINDS, Kind
from resegment.schemas.times import format_instant
from resegment.segmentation.language.fields import field_types
from resegment.sources.adapters.dates import read_moment
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import READERS, Field, Read, field, listed
from resegment.sources.adapters.port import Adapter, Context, Event, Item, Remark
from resegment.sources.adapters.records import Record, is_blank
from resegment.sources.adapters.splitting import objects
from resegment.sources.adapters.tables import Table

_PREFIX: Final = "data."
_ATTRIBUTES: Final = frozenset(Attributes.model_fields) - {"data"}
_TIMES: Final = ("time", "recordedtime")
_TYPES: Final = {"number": "number", "bool": "flag", "collection": "texts"}
_COUNTS: Final = {"employees": "count", "revenue_usd": "money"}


def _fields(kind: Kind) -> dict[str, Field]:
    return {
        name: field(_COUNTS.get(name) or _TYPES.get(kind_of, "text"), f"data.{name}")
        for name, kind_of in field_types(kind).items()
    }


_TABLES: Final = tuple(
    Table(
        name=f"{kind} event",
        kind=kind,
        envelope=Envelope(
            subject=("subject",), time=("time",), recorded=("recordedtime",), key=("record|id",)
        ),
        data=_fields(kind),
        ignored=listed("id, source, type, specversion, op, datacontenttype, data"),
    )
    for kind in KINDS
)


def _split(payload: Any, context: Context) -> Iterator[Item]:
    for one in objects(payload, "events"):
        if isinstance(one, RefusedEvent):
            yield one
        else:
            yield from _read(one, context)


def _read(one: Mapping[str, Any], context: Context) -> Iterator[Item]:
    event: Event = {"specversion": "1.0"}
    data: dict[str, Any] = {}
    inner = _parse_data(one.get("data"))
    for name, value in one.items():
        key = str(name).strip()
        if key.startswith(_PREFIX):
            data[key[len(_PREFIX) :]] = value
        elif key in _ATTRIBUTES and not is_blank(value):
            event[key] = value
    if isinstance(inner, Mapping):
        data = {**{str(name): value for name, value in inner.items()}, **data}
    elif inner is not None and not data:
        event["data"] = inner
    remarks: list[Remark] = []
    try:
        for name in _TIMES:
            if name in event:
                event[name] = _read_time(name, event[name], context, remarks)
        kind = str(event.get("type", "")).removeprefix("gtm.").removesuffix(".v1")
        if data:
            event["data"] = _read_data(kind, data, context, remarks)
        read_event(event)
    except RefusedEvent as error:
        yield error
        return
    yield from remarks
    yield event


def _parse_data(inner: Any) -> Any:
    """Return the data of a cell with JSON; anything else as it is."""
    if not isinstance(inner, str):
        return inner
    try:
        found = orjson.loads(inner)
    except orjson.JSONDecodeError:
        return inner
    return found if isinstance(found, dict) else inner


def _read_time(name: str, value: Any, context: Context, remarks: list[Remark]) -> str:
    try:
        moment = read_moment(value, zone=context.zone, order=context.order)
    except ValueError as error:
        raise RefusedEvent("wrong-time", str(error), field=name) from None
    if not moment.zoned and context.zone is None:
        remarks.append(
            Remark(
                "no-zone",
                "a time without a zone is read as UTC: pass --zone, like --zone Europe/Berlin",
                name,
            )
        )
    return format_instant(moment.ms)


def _read_data(
    kind: str, given: Mapping[str, Any], context: Context, remarks: list[Remark]
) -> dict[str, Any]:
    types = field_types(kind) if kind in KINDS else {}
    record = Record(given)
    data: dict[str, Any] = {}
    for name, value in given.items():
        if is_blank(value):
            if kind == "firmographic" and (context.empty == "null" or value is None):
                data[name] = None
            continue
        type_name = (_COUNTS.get(name) if kind == "firmographic" else None) or _TYPES.get(types.get(name, ""))
        if type_name is None:
            data[name] = value.strip() if isinstance(value, str) else value
            continue
        try:
            data.update(READERS[type_name](name, value, Read(context.zone, context.order, record)))
        except ValueError as error:
            remarks.append(Remark("wrong-cell", f"{error}; {name} is left out", f"data.{name}"))
    return data


ADAPTER: Final = Adapter(
    name="events",
    title="Events of the contract",
    reads="CloudEvents of the contract in CSV, JSON or Parquet, with times, numbers and lists in any spelling",
    tables=_TABLES,
    split=_split,
    notes="Columns are `id`, `source`, `type`, `subject`, `time` and `data.NAME`. A wrong cell costs only itself.",
)
