"""The values of a fact's data, as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from resegment.console.dates import reader, spell_dates
from resegment.segmentation.inspection.descriptions import show_value

_DOLLARS: Final = "_usd"
"""Ends the names of fields whose values are in US dollars."""
_SAID: Final = re.compile(rf"(?<=\w{_DOLLARS} = )-?\d+(?:\.\d+)?(?=[,)])")
"""Such a value where a text names a fact, as in `funding (amount_usd = 10700000)`."""


def spell_fields(data: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield each field of a fact's data with its value; amounts of money as the reader's locale writes them.

    >>> dict(spell_fields({"round": "series_a", "amount_usd": 10_700_000}))
    {'round': 'series_a', 'amount_usd': '$10.7M'}
    """
    for name, value in (data or {}).items():
        yield name, _spell(name, value, data or {})


def spell_values(text: str) -> str:
    """Return a text of the core that names facts, with dates and money as the reader writes them.

    >>> spell_values("when funding (amount_usd = 10700000) of 2026-11-02 turns 90 days old")
    'when funding (amount_usd = $10.7M) of Nov 2, 2026 turns 90 days old'
    """
    return _SAID.sub(lambda match: reader().money(float(match[0])), spell_dates(text))


def _spell(name: str, value: Any, data: Mapping[str, Any]) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name.endswith(_DOLLARS):
            return reader().money(value)
        if name == "amount" and isinstance(data.get("currency"), str):
            return reader().money(value, data["currency"])
    return show_value(value)
