"""Find the records in payloads: lists inside objects, JSON:API documents, and wrapped responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import Context, Item, Split
from resegment.sources.adapters.records import Record, as_list, normalize_name
from resegment.sources.adapters.tables import Table

Pair = tuple[Table, Mapping[str, Any]]


def objects(payload: Any, *containers: str) -> Iterator[Mapping[str, Any] | RefusedEvent]:
    """Yield the objects of a payload: those of a list, or those in one of the containers, or the payload itself."""
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        record = Record(one)
        for path in containers:
            inner = record.find(path)
            if isinstance(inner, list | Mapping):
                yield from objects(inner)
                break
        else:
            yield one


def split_by(
    choose: Callable[[Mapping[str, Any], Context], Iterator[Pair | Item]], *containers: str
) -> Split:
    """Return a split that lets a function choose the tables of each object of a payload."""

    def split(payload: Any, context: Context) -> Iterator[Pair | Item]:
        for one in objects(payload, *containers):
            if isinstance(one, RefusedEvent):
                yield one
            else:
                yield from choose(one, context)

    return split


def split_into(table: Table, *containers: str) -> Split:
    """Return a split for which each object of a payload is a record of the one table."""
    return split_by(lambda one, _: iter([(table, one)]), *containers)


def merge_attributes(one: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return an object with the fields of its inner objects of these names at the top; its own fields come first."""
    wanted = {normalize_name(name) for name in names}
    flat = {str(name): value for name, value in one.items() if normalize_name(str(name)) not in wanted}
    for name, value in one.items():
        if normalize_name(str(name)) in wanted:
            if isinstance(value, Mapping):
                for inner, found in value.items():
                    flat.setdefault(str(inner), found)
            else:
                flat.setdefault(str(name), value)
    return flat


def ignored(what: str, why: str, field: str | None = None) -> RefusedEvent:
    """Return the refusal of a record that is known, and gives no event."""
    return RefusedEvent("ignored", f"{what[:60]}: {why}", field=field)


def unknown(what: object, field: str | None = None) -> RefusedEvent:
    """Return the refusal of a type that is not known."""
    return RefusedEvent("unknown-type", f"{str(what)[:60]!r} is no type that is known", field=field)
