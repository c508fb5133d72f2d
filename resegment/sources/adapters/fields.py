"""The types of fields that adapters and mapping files name: each reads one value of a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, NamedTuple

from resegment.schemas.events import RANGED
from resegment.schemas.times import format_instant
from resegment.schemas.vocabulary import normalize_term, spell_range
from resegment.sources.adapters.dates import Order, read_moment
from resegment.sources.adapters.records import Record, label_of
from resegment.sources.adapters.values import (
    Range,
    read_count,
    read_flag,
    read_money,
    read_money_range,
    read_number,
    read_texts,
)
from resegment.sources.normalizers.countries import find_country
from resegment.sources.normalizers.persons import normalize_person
from resegment.sources.normalizers.rounds import normalize_round
from resegment.sources.normalizers.technologies import find_technology
from resegment.sources.normalizers.titles import read_title


class Read(NamedTuple):
    """What a field may need beside its value."""

    zone: tzinfo | None
    order: Order | None
    record: Record


Reader = Callable[[str, Any, Read], Mapping[str, Any]]
"""Given the field's name and a value, returns the data. Raises ValueError."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the data: the paths that may hold it, the first with a value first, and its type."""

    paths: tuple[str, ...]
    type: str
    read: Reader


def _text(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    found = label_of(value)
    if found is None and isinstance(value, bool):
        found = str(value).lower()
    if found is None:
        raise ValueError("text is expected")
    return {name: found[:10_000]}


def _person(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read a person: an e-mail address in lower case, or what else names the person."""
    found = label_of(value)
    if found is None:
        raise ValueError("the address or the name of a person is expected")
    return {name: normalize_person(found)[:320]}


def _number(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    return {name: read_number(value)}


def _count(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    return _bounds(name, read_count(value), value)


def _money(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read an amount in US dollars; one in another currency is kept with it, and converted once the day is known."""
    found = read_money_range(value)
    if name.endswith("_usd") and found.currency not in (None, "USD"):
        base = name.removesuffix("_usd")
        kept = _bounds(base, found, value) if isinstance(found, Range) else {base: found.amount}
        return {**kept, "currency": found.currency}
    if isinstance(found, Range):
        return _bounds(name, found, value)
    return {name: found.amount}


def _price(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read an amount with its currency: `amount`, `currency`, and `amount_usd` if it is in US dollars."""
    found = read_money(value)
    data: dict[str, Any] = {name: found.amount}
    if found.currency is not None:
        data["currency"] = found.currency
        if found.currency == "USD":
            data[f"{name}_usd"] = found.amount
    return data


def _flag(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    return {name: read_flag(value)}


def _texts(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    found = read_texts(value)
    if not found:
        raise ValueError("a list of texts is expected")
    return {name: found}


def _time(name: str, value: Any, read: Read) -> Mapping[str, Any]:
    return {name: format_instant(read_moment(value, zone=read.zone, order=read.order).ms)}


def _round(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    raw = label_of(value)
    if raw is None:
        raise ValueError("the name of a round is expected")
    term = normalize_round(raw)
    return {name: term} if term == raw else {name: term, f"{name}_raw": raw}


def _term(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    raw = label_of(value)
    if raw is None:
        raise ValueError("a word is expected")
    term = normalize_term(raw)
    return {name: term} if term == raw else {name: term, f"{name}_raw": raw}


def _country(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read a country: as it is written, and its code of ISO 3166-1 if it is known."""
    raw = label_of(value)
    if raw is None:
        raise ValueError("the name of a country is expected")
    code = find_country(raw)
    return {name: raw} if code is None else {name: raw, f"{name}_code": code}


def _technology(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    raw = label_of(value)
    if raw is None:
        raise ValueError("the name of a technology is expected")
    slug = find_technology(raw).slug
    return {name: slug} if slug == raw else {name: slug, f"{name}_raw": raw}


def _technologies(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    found = read_texts(value)
    if not found:
        raise ValueError("a list of technologies is expected")
    return {name: list(dict.fromkeys(find_technology(one).slug for one in found))}


def _job(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read a job's title: the title itself, its function and seniority."""
    raw = label_of(value)
    if raw is None:
        raise ValueError("a title is expected")
    found = read_title(raw)
    data: dict[str, Any] = {name: raw, "function": found.function or "unknown"}
    if found.seniority:
        data["seniority"] = found.seniority
    return data


def _leader(name: str, value: Any, _: Read) -> Mapping[str, Any]:
    """Read a person's title: the title itself, its role, function and seniority."""
    raw = label_of(value)
    if raw is None:
        raise ValueError("a title is expected")
    found = read_title(raw)
    data: dict[str, Any] = {name: raw, "role": found.role or "unknown"}
    if found.function:
        data["function"] = found.function
    if found.seniority:
        data["seniority"] = found.seniority
    return data


def _bounds(name: str, found: float | Range, value: Any) -> Mapping[str, Any]:
    if not isinstance(found, Range):
        return {name: found}
    base = name.removesuffix("_usd")
    suffix = "_usd" if base != name else ""
    data: dict[str, Any] = {f"{name}_raw": label_of(value) or f"{found.low}-{found.high}"}
    if found.low is not None:
        data[f"{base}_min{suffix}"] = found.low
    if found.high is not None:
        data[f"{base}_max{suffix}"] = found.high
    if name in RANGED and (
        spelled := spell_range(
            f"{found.low or 0}+" if found.high is None else f"{found.low or 0}-{found.high}"
        )
    ):
        data[name] = spelled
    return data


READERS: Final[dict[str, Reader]] = {
    "text": _text,
    "person": _person,
    "number": _number,
    "count": _count,
    "money": _money,
    "price": _price,
    "flag": _flag,
    "texts": _texts,
    "time": _time,
    "round": _round,
    "term": _term,
    "country": _country,
    "technology": _technology,
    "technologies": _technologies,
    "job": _job,
    "leader": _leader,
}
"""The types that a mapping file may name."""


def listed(text: str) -> tuple[str, ...]:
    """Return the paths in a text, which has commas between them."""
    return tuple(path.strip() for path in text.split(",") if path.strip())


def field(type_name: str, *paths: str) -> Field:
    """Return a field of a type that is read from the first of the paths with a value. A text may have several paths."""
    return Field(tuple(path for text in paths for path in listed(text)), type_name, READERS[type_name])


def choice(words: Mapping[str, Any], *paths: str, other: str | None = None) -> Field:
    """Return a field whose values are translated by normalized words. Another one is `other`, or else itself."""

    def read(name: str, value: Any, _: Read) -> Mapping[str, Any]:
        raw = label_of(value) if not isinstance(value, bool) else str(value).lower()
        if raw is None:
            raise ValueError("a word is expected")
        term = normalize_term(raw)
        found = words.get(term, other if other is not None else term)
        return {name: found} if found == raw else {name: found, f"{name}_raw": raw}

    return Field(paths, "choice", read)
