"""Read mapping files: which column of any file becomes which part of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any, Final, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Path, Problems
from resegment.documents.yaml import parse_document
from resegment.errors import RefusedEvent, UserError
from resegment.schemas.events import DATA
from resegment.schemas.fact import KINDS, Kind
from resegment.segmentation.language.fields import field_types
from resegment.sources.adapters.connect import GONE, STAMP
from resegment.sources.adapters.dates import Order
from resegment.sources.adapters.envelope import Envelope, Identity
from resegment.sources.adapters.fields import READERS, Field, Read
from resegment.sources.adapters.port import Adapter, Context, Item
from resegment.sources.adapters.records import Record, as_list, as_text
from resegment.sources.adapters.tables import Table, snake_case
from resegment.sources.adapters.values import read_texts

ENVELOPE: Final = ("subject", "time", "recordedtime", "id", "record", "kind", "op")
"""What a column may give beside a field of the data."""
_KEYS: Final = (
    "map",
    "kind",
    "source",
    "zone",
    "dates",
    "constants",
    "empty",
    "rest",
    "account",
    "id",
    "record",
    "snapshot",
    "preset",
)
_COLUMN_KEYS: Final = ("field", "type", "values", "split", "other")
_TYPES: Final = {"text": "text", "number": "number", "bool": "flag", "collection": "texts", "any": "text"}
_RETRACTED: Final = frozenset({"retract", "d", "delete", "deleted", "true", "1", "yes", "archived"})
_GUESSED: Final = {
    "technology": "technology",
    "technologies": "technologies",
    "employees": "count",
    "revenue_usd": "money",
    "amount": "price",
    "amount_usd": "money",
    "round": "round",
}


class WrongMapping(UserError):
    """A mapping file with errors; `diagnostics` has all of them."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(map(str, diagnostics)), remedy="Correct the mapping file.")
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """The paths of one field, and how it is read."""

    name: str
    field: Field


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping file that was read. `envelope` has the paths of each part of the envelope."""

    kind: Kind | None
    source: str | None
    preset: str | None
    fields: tuple[FieldMapping, ...]
    envelope: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str]
    constants: Mapping[str, Any]
    snapshot: bool
    rest: bool
    account: str | None
    zone: tzinfo | None
    order: Order | None
    empty: Literal["absent", "null"]

    def apply(self, context: Context) -> Context:
        """Return the context with what the mapping file says; options of the command come first."""
        return replace(
            context,
            zone=context.zone or self.zone,
            order=context.order or self.order,
            account=context.account or self.account,
            empty="null" if self.empty == "null" else context.empty,
        )


def read_mapping(text: bytes, file: str) -> Mapped:
    """Read a mapping file. Raises WrongMapping with every error and its place."""
    try:
        document = parse_document(text, file)
    except InvalidSegments as error:
        raise WrongMapping(error.diagnostics) from None
    problems = Problems(document.places, keys=document.keys)
    problems.found.extend(document.errors)
    if not isinstance(document.data, dict):
        problems.error("wrong-type", "a mapping file is a map, with the columns below map:", ())
        raise WrongMapping(problems.errors)
    found = _Reading(document.data, problems).read()
    if problems.errors or found is None:
        raise WrongMapping(tuple(one for one in problems.in_order() if one.severity == "error"))
    return found


class _Reading:
    """Reads the parts of a mapping file one after another, and notes what is wrong."""

    def __init__(self, data: dict[str, Any], problems: Problems) -> None:
        self._data = data
        self._problems = problems
        self._paths: dict[str, list[str]] = {}
        self._fields: dict[str, tuple[list[str], Path, dict[str, Any]]] = {}
        self._kinds: dict[str, str] = {}

    def read(self) -> Mapped | None:
        for key in self._data:
            if key not in _KEYS:
                self._unknown("key", key, _KEYS, (key,))
        kind = self._one_of("kind", KINDS)
        columns = self._data.get("map")
        if not isinstance(columns, dict) or not columns:
            self._problems.error(
                "missing", "no columns are mapped", ("map",), remedy="Write map: {Company Domain: subject}"
            )
            return None
        for column, target in columns.items():
            self._read_column(str(column), target)
        for name in ("id", "record"):
            for one in as_list(self._data.get(name)):
                self._paths.setdefault(name, []).append(str(one))
        preset = self._text("preset")
        if kind is None and "kind" not in self._paths and preset is None and "kind" not in self._data:
            self._problems.error(
                "missing",
                f"kind is missing: one of {', '.join(KINDS)}",
                (),
                remedy="Write kind: firmographic",
            )
        fields = tuple(
            FieldMapping(name, self._field(name, paths, path, options, kind))
            for name, (paths, path, options) in self._fields.items()
        )
        snapshot = self._data.get("snapshot", kind == "firmographic")
        if not isinstance(snapshot, bool):
            self._problems.error("wrong-type", "snapshot is true or false", ("snapshot",))
        return Mapped(
            kind=cast("Kind | None", kind),
            source=self._text("source"),
            preset=preset,
            fields=fields,
            envelope={name: tuple(paths) for name, paths in self._paths.items()},
            kinds=self._kinds,
            constants=self._constants(),
            snapshot=snapshot is True,
            rest=self._one_of("rest", ("keep", "drop")) == "keep",
            account=self._text("account"),
            zone=self._zone(),
            order=cast("Order | None", self._one_of("dates", ("mdy", "dmy"))),
            empty=cast('Literal["absent", "null"]', self._one_of("empty", ("absent", "null")) or "absent"),
        )

    def _read_column(self, column: str, target: Any) -> None:
        path: Path = ("map", column)
        options: dict[str, Any] = {}
        if isinstance(target, dict):
            options = target
            for key in options:
                if key not in _COLUMN_KEYS:
                    self._unknown("key", str(key), _COLUMN_KEYS, (*path, str(key)))
            target = options.get("field")
        targets = target if isinstance(target, list) else [target]
        for one in targets:
            if not isinstance(one, str) or not one:
                self._problems.error(
                    "wrong-type", "expected the name of a field, or {field: NAME, type: TYPE}", path
                )
            elif one in ENVELOPE:
                self._paths.setdefault(one, []).append(column)
                if one == "kind":
                    self._kinds.update(
                        {
                            str(key).strip().lower(): str(value)
                            for key, value in self._values(options, path).items()
                        }
                    )
            else:
                name = one.removeprefix("data.")
                paths, _, _ = self._fields.setdefault(name, ([], path, options))
                paths.append(column)

    def _field(
        self, name: str, paths: list[str], path: Path, options: dict[str, Any], kind: str | None
    ) -> Field:
        type_name = options.get("type")
        listed = {} if kind is None or kind not in DATA else field_types(kind)
        if type_name is None:
            type_name = _GUESSED.get(name) or _TYPES.get(listed.get(name, "text"), "text")
        elif type_name not in READERS:
            self._unknown("type", str(type_name), tuple(READERS), (*path, "type"))
            type_name = "text"
        values = {str(key).strip().lower(): value for key, value in self._values(options, path).items()}
        other = options.get("other")
        split = options.get("split")
        if split is not None and (not isinstance(split, str) or not split):
            self._problems.error("wrong-type", "split is one or more characters, like ;", (*path, "split"))
            split = None
        base = Field(tuple(paths), type_name, READERS[type_name])
        if split is not None:
            return Field(tuple(paths), "texts", lambda name, value, _: {name: read_texts(value, str(split))})
        return replace(base, read=_translating(base, values, other)) if values else base

    def _values(self, options: dict[str, Any], path: Path) -> dict[Any, Any]:
        values = options.get("values", {})
        if not isinstance(values, dict):
            self._problems.error("wrong-type", "values is a map, like {Closed Won: won}", (*path, "values"))
            return {}
        return values

    def _constants(self) -> dict[str, Any]:
        constants = self._data.get("constants", {})
        if not isinstance(constants, dict):
            self._problems.error("wrong-type", "constants is a map, like {change: joined}", ("constants",))
            return {}
        return {str(name): value for name, value in constants.items()}

    def _zone(self) -> tzinfo | None:
        name = self._text("zone")
        if name is None:
            return None
        try:
            return read_zone(name)
        except ValueError as error:
            self._problems.error("wrong-zone", str(error), ("zone",))
            return None

    def _text(self, key: str) -> str | None:
        value = self._data.get(key)
        if value is None or isinstance(value, str):
            return value
        self._problems.error("wrong-type", "expected one word", (key,))
        return None

    def _one_of(self, key: str, words: tuple[str, ...]) -> str | None:
        value = self._data.get(key)
        if key == "empty" and key in self._data and value is None:
            return "null"
        if value is None or value in words:
            return value
        self._unknown("value", str(value), words, (key,))
        return None

    def _unknown(self, what: str, given: str, words: tuple[str, ...], path: Path) -> None:
        close = get_close_matches(given, words, 1)
        hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(words)}"
        self._problems.error(
            f"unknown-{what}", f"{given[:60]!r} is no known {what}", path, remedy=hint, at_key=what == "key"
        )


def _translating(
    base: Field, values: Mapping[str, Any], other: Any
) -> Callable[[str, Any, Read], Mapping[str, Any]]:
    def read(name: str, value: Any, read: Read) -> Mapping[str, Any]:
        key = (as_text(value) or str(value)).strip().lower()
        if key in values:
            return {name: values[key]}
        if other is not None:
            return {name: other}
        return base.read(name, value, read)

    return read


def read_zone(name: str) -> tzinfo:
    """Return a time zone by its name, such as Europe/Berlin. Raises ValueError."""
    try:
        return ZoneInfo(name.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name[:60]!r} is no time zone: write a name like Europe/Berlin or UTC") from None


def build_adapter(mapped: Mapped, base: Adapter | None = None) -> Adapter:
    """Return the adapter that a mapping file describes, or an adapter with the fields of the file added."""
    if base is not None and base.unwrap is None:
        return _extend(base, mapped)
    unwrap = as_list if base is None else base.unwrap
    assert unwrap is not None
    name = (mapped.source or "file").strip("/") or "file"
    kinds = (mapped.kind,) if mapped.kind is not None else KINDS
    tables = {kind: _table(kind, mapped) for kind in kinds}

    def split(payload: Any, _: Context) -> Iterator[tuple[Table, Mapping[str, Any]] | Item]:
        for one in unwrap(payload):
            if isinstance(one, RefusedEvent):
                yield one
            elif not isinstance(one, Mapping):
                yield RefusedEvent("wrong-payload", "an object is expected")
            elif mapped.kind is not None:
                yield tables[mapped.kind], one
            else:
                yield _choose(one, mapped, tables)

    return Adapter(
        name=name,
        title="your mapping file",
        reads="CSV, Parquet and JSON",
        tables=tuple(tables.values()),
        split=split,
    )


def _choose(
    one: Mapping[str, Any], mapped: Mapped, tables: Mapping[Kind, Table]
) -> tuple[Table, Mapping[str, Any]] | Item:
    paths = mapped.envelope.get("kind", ())
    given = Record(one).find_text(*paths) or ""
    word = mapped.kinds.get(given.strip().lower(), given)
    kind = word.removeprefix("gtm.").removesuffix(".v1")
    if kind not in KINDS:
        return RefusedEvent(
            "unknown-kind",
            f"{given[:60]!r} is none of {', '.join(KINDS)}",
            field=paths[0] if paths else "kind",
        )
    return tables[kind], one


def _table(kind: Kind, mapped: Mapped) -> Table:
    envelope = mapped.envelope
    key = envelope.get("record") or envelope.get("id", ())
    deleted = (*envelope.get("op", ()), GONE)

    def op(record: Record) -> Literal["assert", "retract"]:
        found = record.find(*deleted)
        return "retract" if str(found).strip().lower() in _RETRACTED else "assert"

    identity: Identity = "snapshot" if mapped.snapshot and "record" not in envelope else "record"
    return Table(
        name="row",
        kind=kind,
        envelope=Envelope(
            key=key,
            subject=envelope.get("subject", ()),
            known_as=envelope.get("subject", ()),
            time=(*envelope.get("time", ()), STAMP),
            recorded=(*envelope.get("recordedtime", ()), STAMP),
            identity=identity if key else "derived",
            op=op,
        ),
        data={one.name: one.field for one in mapped.fields},
        constants=mapped.constants,
        rest=snake_case if mapped.rest else None,
    )


def _extend(base: Adapter, mapped: Mapped) -> Adapter:
    """Return an adapter whose tables of the mapping's kind have its fields, constants and paths too."""
    kind = mapped.kind or next((one.kind for one in base.tables if one.kind == "firmographic"), None)

    def extend(table: Table) -> Table:
        if kind is not None and table.kind != kind:
            return table
        return replace(
            table,
            envelope=replace(
                table.envelope,
                subject=(*mapped.envelope.get("subject", ()), *table.envelope.subject),
                time=(*mapped.envelope.get("time", ()), *table.envelope.time),
                recorded=(*mapped.envelope.get("recordedtime", ()), *table.envelope.recorded),
            ),
            data={**table.data, **{one.name: one.field for one in mapped.fields}},
            constants={**table.constants, **mapped.constants},
        )

    others = {id(table): extend(table) for table in base.tables}

    def split(payload: Any, context: Context) -> Iterator[tuple[Table, Mapping[str, Any]] | Item]:
        for item in base.split(payload, context):
            if isinstance(item, tuple) and isinstance(item[0], Table):
                yield others.get(id(item[0]), item[0]), item[1]
            else:
                yield item

    return replace(base, tables=tuple(others.values()), split=split)
