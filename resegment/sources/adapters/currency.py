"""Keep amounts in the currency of their record, where it is not US dollars."""

from __future__ import annotations

from typing import Any

from resegment.sources.adapters.records import Record


def keep_currency(record: Record, data: dict[str, Any], *paths: str) -> None:
    """Rename `NAME_usd` to `NAME` and add the currency, if one of the paths names another one than the US dollar."""
    code = (record.find_text(*paths) or "USD").upper()
    if code == "USD":
        return
    for name in [one for one in data if one.endswith("_usd")]:
        data[name.removesuffix("_usd")] = data.pop(name)
        data["currency"] = code
