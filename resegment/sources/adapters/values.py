"""Read numbers, money, head counts, flags and lists as exports write them. Each raises ValueError with the text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from resegment.sources.adapters.records import Record, as_text, is_blank, label_of

Number = int | float

_GROUPED: Final = re.compile(r"[-+]?\d{1,3}(?:[,'\u2019\u00a0\u202f ]\d{3})+(?:\.\d+)?")
_GROUPED_BY_DOTS: Final = re.compile(r"[-+]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|[-+]?\d{1,3}(?:\.\d{3})+,\d+")
_PLAIN: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_COMMA: Final = re.compile(r"[-+]?\d+,\d{1,2}")
_SCALED: Final = re.compile(
    r"([-+]?[\d.,'\u2019\u00a0 ]*\d)\s*(k|thousand|m|mm|mn|mio|million|millions|b|bn|billion|billions|mrd|milliarden?|milliards?|t|tn|trillion)?\b\.?",
    re.IGNORECASE,
)
_SCALES: Final = {"k": 3, "t": 12, "m": 6, "b": 9}
_SYMBOLS: Final = {
    "us$": "USD", "usd$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD",
    "r$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₪": "ILS", "₽": "RUB", "zł": "PLN", "euros": "EUR", "euro": "EUR",
}  # fmt: skip
_CODE: Final = re.compile(r"(?<![A-Za-z])([A-Z]{3})(?![A-Za-z])")
_RANGE: Final = re.compile(r"(.+?)\s*(?:-|\u2013|\u2014|\bto\b|\.\.|_)\s*(.+)")
_OVER: Final = re.compile(
    r"(?:(?:over|more than|above|from|>=?)\s*(.+)|(.+?)\s*(?:\+|or more|and more|and above|plus))",
    re.IGNORECASE,
)
_UNDER: Final = re.compile(r"(?:under|less than|below|up to|fewer than|<=?)\s*(.+)", re.IGNORECASE)
_UNITS: Final = re.compile(
    r"\s*(?:employees|employee|people|staff|fte|ftes|headcount|mitarbeiter(?:innen|:innen|\*innen)?|beschäftigte|employés|salariés|"
    r"collaborateurs|empleados|trabajadores|medewerkers|werknemers|funcionários|colaboradores)\.?$",
    re.IGNORECASE,
)
_DOTTED: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.,]|\s*[km]\b)", re.IGNORECASE)
_TRUE: Final = frozenset({"true", "yes", "y", "t", "1", "on", "wahr", "ja", "oui", "si"})
_FALSE: Final = frozenset({"false", "no", "n", "f", "0", "off", "falsch", "nein", "non"})
LARGEST: Final = 10**18


class Range(NamedTuple):
    """A number that is known by its bounds, both included. None means no bound."""

    low: Number | None
    high: Number | None
    currency: str | None = None


class Money(NamedTuple):
    """An amount. `currency` is an ISO 4217 code, if the text has one."""

    amount: Number
    currency: str | None


def read_number(value: Any) -> Number:
    """Read `1200`, `"1,200"`, `"1 200.5"`, `"12k"`, `1200.0`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        value = _unwrap(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _sane(value)
    text = as_text(value)
    if text is None:
        raise ValueError(f"{_shown(value)} is no number")
    if _PLAIN.fullmatch(text):
        return _plain(text)
    match = _SCALED.fullmatch(_UNITS.sub("", text).removesuffix("%").strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no number")
    number = _digits(match[1], text)
    if match[2]:
        word = match[2].lower()
        scale = 3 if word == "thousand" else 9 if word.startswith(("mrd", "milliard")) else _SCALES[word[0]]
        number = number * 10**scale
    return _sane(number)


def read_count(value: Any) -> Number | Range:
    """Read a head count: a number, `"51-200"`, `"10,001+"`, `"11 to 50 employees"`, or an object or list with two bounds."""
    if isinstance(value, list) and len(value) == 2:
        return _range(value[0], value[1], value)
    if isinstance(value, Mapping):
        record = Record(value)
        low, high = (
            record.find("min", "low", "from", "gte", "start"),
            record.find("max", "high", "to", "lte", "end"),
        )
        if low is not None or high is not None:
            return _range(low, high, value)
    text = as_text(_unwrap(value))
    if text is None or not isinstance(value, str):
        return _not_negative(read_number(value))
    text = re.sub(r"^(?:c_|size_)", "", _UNITS.sub("", text), flags=re.IGNORECASE)
    # Nobody counts a part of a person: the dots in `1.001-5.000` are between thousands.
    if re.fullmatch(r"\d{1,3}\.000", text):
        raise ValueError(f"{text!r} may be {text[:-4]} or {text[:-4]},000")
    text = _DOTTED.sub(lambda match: match[0].replace(".", ""), text)
    try:
        return _not_negative(read_number(text))
    except ValueError:
        pass
    if (match := _OVER.fullmatch(text)) is not None:
        return _range(match[1] or match[2], None, text)
    if (match := _UNDER.fullmatch(text)) is not None:
        return _range(0, match[1], text)
    if (match := _RANGE.fullmatch(text)) is not None:
        return _range(match[1], "" if match[2].lower() in ("max", "more", "infinity") else match[2], text)
    raise ValueError(f"{text[:40]!r} is no head count")


def read_money(value: Any) -> Money:
    """Read `12000000`, `"$12,000,000"`, `"€1.2M"`, `"USD 3 million"`, `{"value": 5, "currency": "EUR"}`."""
    if isinstance(value, Mapping):
        record = Record(value)
        found = record.find("value", "amount", "value_usd", "amount_usd")
        if found is None:
            raise ValueError(f"{_shown(value)} is no amount of money")
        usd = record.find("value", "amount") is None
        inner = read_money(found)
        code = record.find_text("currency", "currency_code")
        return Money(inner.amount, "USD" if usd else (code or inner.currency or "").upper() or None)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Money(_sane(value), None)
    text = as_text(value)
    if text is None:
        raise ValueError(f"{_shown(value)} is no amount of money")
    currency, rest = _take_currency(text)
    return Money(read_number(rest), currency)


def read_money_range(value: Any) -> Money | Range:
    """Read an amount of money or a range of it, like `"$1M-$10M"`, `"10M-50M"`, `"$1B+"`."""
    try:
        return read_money(value)
    except ValueError:
        text = as_text(value)
        if text is None:
            raise
    currency = _take_currency(text)[0]
    plain = re.sub(rf"[$€£]|\b(?:USD|EUR|GBP|{currency or 'USD'})\b", "", text).strip()
    try:
        found = read_count(plain)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no amount of money") from None
    return found._replace(currency=currency) if isinstance(found, Range) else Money(found, currency)


def read_flag(value: Any) -> bool:
    """Read `true`, `"TRUE"`, `"yes"`, `1`."""
    if isinstance(value, bool):
        return value
    text = (as_text(value) or "").lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{_shown(value)} is neither true nor false")


def read_texts(value: Any, separators: str = ";,|\n") -> list[str]:
    """Read a list: JSON texts or objects with names, or one text that is split at the first separator it contains."""
    if isinstance(value, str):
        text = value.strip()
        separator = next((one for one in separators if one in text), None)
        parts: list[Any] = [text] if separator is None else text.split(separator)
    elif isinstance(value, list):
        parts = value
    else:
        parts = [value]
    found = (label_of(part) for part in parts if not is_blank(part))
    return list(dict.fromkeys(one for one in found if one))


def _unwrap(value: Any) -> Any:
    """Return the value inside an object such as `{"value": 5}`."""
    return (
        Record(value).find("value", "amount", "count", "number", "exact")
        if isinstance(value, Mapping)
        else value
    )


def _range(low: Any, high: Any, given: Any) -> Range:
    bounds = [None if is_blank(one) else read_number(one) for one in (low, high)]
    # "1-10M" means one to ten million.
    if isinstance(low, str) and isinstance(high, str) and bounds[0] is not None and bounds[1] is not None:
        scale = re.search(r"[A-Za-z]+$", high.strip())
        if scale and not re.search(r"[A-Za-z]$", low.strip()):
            bounds[0] = read_number(f"{low.strip()}{scale[0]}")
    first, last = bounds
    if (first is None and last is None) or (first is not None and last is not None and first > last):
        raise ValueError(f"{_shown(given)} is no range")
    return Range(first, last)


def _take_currency(text: str) -> tuple[str | None, str]:
    lower = text.lower()
    for symbol, code in _SYMBOLS.items():
        if symbol in lower:
            place = lower.index(symbol)
            rest = text[:place] + " " + text[place + len(symbol) :]
            named = _CODE.search(rest)
            return (named[1] if named else code), (_CODE.sub(" ", rest) if named else rest).strip()
    if (named := _CODE.search(text)) is not None:
        return named[1], _CODE.sub(" ", text, count=1).strip()
    return None, text


def _digits(text: str, given: str) -> Number:
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return _plain(text)
    if _GROUPED.fullmatch(text):
        return _plain(re.sub(r"[,'\u2019\u00a0\u202f ]", "", text))
    if _GROUPED_BY_DOTS.fullmatch(text):
        return _plain(text.replace(".", "").replace(",", "."))
    if _COMMA.fullmatch(text):
        return _plain(text.replace(",", "."))
    raise ValueError(f"{given[:40]!r} is no number")


def _plain(text: str) -> Number:
    return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else _sane(float(text))


def _sane(number: Number) -> Number:
    """Return a number, whole ones as int. Raises ValueError for those that no count or amount can be."""
    if isinstance(number, float):
        if math.isnan(number) or math.isinf(number):
            raise ValueError("no finite number")
        number = round(number, 6)
        if number.is_integer():
            number = int(number)
    if abs(number) > LARGEST:
        raise ValueError(f"{str(number)[:30]} is too large")
    return number


def _not_negative(number: Number) -> Number:
    if number < 0:
        raise ValueError(f"{number} is less than 0")
    return number


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return repr(value)[:40]
