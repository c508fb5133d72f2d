"""Tell whether two facts of different sources are the same, and where to look for those that may be."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from fractions import Fraction
from typing import Any, Final, TypeGuard

from resegment.schemas.state import Entry
from resegment.segmentation.language.sameness import Rule

_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PRICED: Final = ("", "amount")
"""The key of every round with an amount."""
_VAGUE: Final = "other"
Data = dict[str, Any]


class Likeness:
    """Compares the facts of one kind."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.reach = rule, rule.reach

    def keys(self, entry: Entry) -> tuple[Hashable, ...]:
        """Return keys, of which two facts that are the same share one at least."""
        data = entry.data or {}
        if self.rule.kind == "funding":
            named, priced = data.get("round"), self.rule.amount is not None and _dollars(data) is not None
            return (*(((named,),) if isinstance(named, str) else ()), *((_PRICED,) if priced else ()))
        change = data.get("change")
        if not isinstance(change, str):
            return ()
        if self.rule.kind == "leadership":
            role = data.get("role")
            return ((change, role),) if isinstance(role, str) else ()
        return tuple((change, *one) for one in (_address(data), _posting(data)) if one is not None)

    def are_same(self, one: Entry, other: Entry) -> bool:
        """Whether two facts that share a key are the same."""
        if one.source == other.source:
            return False
        apart = abs(one.time - other.time)
        if self.rule.kind == "leadership":
            mine, theirs = _words(one.data, "person"), _words(other.data, "person")
            if mine is not None and theirs is not None:
                return mine == theirs and apart <= self.reach
            # A title that names no role has the role `unknown`: two of those may be any two persons.
            return apart <= self.rule.within and (one.data or {}).get("role") != "unknown"
        if apart > self.rule.within:
            return False
        share = self.rule.amount
        if self.rule.kind == "funding" and not _are_of_one_round(one.data or {}, other.data or {}):
            return False
        return share is None or _are_near(_dollars(one.data), _dollars(other.data), share)


def _are_of_one_round(one: Data, other: Data) -> bool:
    """Whether two rounds that share a key may be one: they have one name, or one says nothing and both have an amount."""
    mine, theirs = one.get("round"), other.get("round")
    if isinstance(mine, str) and mine == theirs:
        return True
    vague = not isinstance(mine, str) or not isinstance(theirs, str) or _VAGUE in (mine, theirs)
    return vague and _dollars(one) is not None and _dollars(other) is not None


def _words(data: Data | None, field: str) -> str | None:
    """Return a text without regard to case and to the amount of space."""
    value = (data or {}).get(field)
    return " ".join(value.casefold().split()) or None if isinstance(value, str) else None


def _address(data: Data) -> tuple[str, str] | None:
    url = data.get("url")
    if not isinstance(url, str):
        return None
    plain = _SCHEME.sub("", url.strip()).partition("#")[0]
    host, slash, path = plain.partition("/")
    plain = host.lower().removeprefix("www.") + slash + path
    return ("url", plain.rstrip("/")) if plain.rstrip("/") else None


def _posting(data: Data) -> tuple[str, str, str] | None:
    title, location = _words(data, "title"), _words(data, "location")
    return None if title is None or location is None else ("posting", title, location)


def _dollars(data: Data | None) -> Fraction | None:
    """Return an amount in US dollars, exactly; None if there is none."""
    data = data or {}
    amount = data.get("amount_usd")
    if not _is_number(amount):
        amount = data.get("amount") if data.get("currency") == "USD" else None
    return Fraction(amount) if _is_number(amount) else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_near(one: Fraction | None, other: Fraction | None, share: Fraction) -> bool:
    if one is None or other is None:
        return True
    return abs(one - other) <= share * max(abs(one), abs(other))
