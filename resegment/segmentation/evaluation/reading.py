"""Read the data of facts: texts trimmed and cut, and attributes by the types that the file gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from resegment.segmentation.language.attribute_types import MISFIT, AttributeType

Data = dict[str, Any]
MOST_SHARED: Final = 4
"""The most fields of data that facts share."""
MAX_SHARED: Final = 40
"""The most characters of a text in them."""
ALL_SHARED: Final = 16_384
"""How many different data are remembered to be shared."""
_shared: dict[tuple[Any, ...], Data] = {}
_PLAIN: Final = frozenset({int, float, bool, type(None)})
MAX_TEXT: Final = 4_000
"""The most characters of a text that an account keeps and tests read. The rest of a longer one is cut off."""


def trim(data: Data) -> Data:
    """Return data whose texts have no space around them, are not empty, and have no more than MAX_TEXT characters."""
    for value in data.values():
        if type(value) is str:
            # A text without space around it is returned as it is, not copied.
            if not value or value.strip() is not value or len(value) > MAX_TEXT:
                return {name: _trimmed(one) for name, one in data.items()}
        elif (type(value) is list or type(value) is dict) and _is_long(value):
            return {name: _trimmed(one) for name, one in data.items()}
    return data


def _trimmed(value: Any) -> Any:
    return value.strip()[:MAX_TEXT] or None if type(value) is str else _cut(value)


def _is_long(value: Any) -> bool:
    """Whether a text inside a list or a map is too long."""
    if type(value) is str:
        return len(value) > MAX_TEXT
    if type(value) is dict:
        return any(_is_long(one) for pair in value.items() for one in pair)
    if type(value) is not list:
        return False
    try:
        if len("".join(value)) <= MAX_TEXT:  # nearly all lists are of a few short texts
            return False
    except TypeError:
        pass
    return any(_is_long(one) for one in value)


def _cut(value: Any) -> Any:
    """Cut the texts inside a list or a map."""
    if type(value) is str:
        return value[:MAX_TEXT]
    if type(value) is list:
        return [_cut(one) for one in value]
    if type(value) is dict:
        return {name[:MAX_TEXT]: _cut(one) for name, one in value.items()}
    return value


def share(data: Data | None) -> Data | None:
    """Return equal data that other facts have already, where they are a few short values. Nobody changes data."""
    if not data or len(data) > MOST_SHARED:
        return data
    key = (*data.items(), *map(type, data.values()))
    try:
        found = _shared.get(key)
    except TypeError:
        return data  # a list or a map is not shared
    if found is None:
        for value in data.values():
            kind = type(value)
            if len(value) > MAX_SHARED if kind is str else kind not in _PLAIN:
                return data
        if len(_shared) >= ALL_SHARED:
            _shared.clear()
        found = _shared[key] = data
    return found


def says_the_same(data: Data | None, other: Data | None) -> bool:
    """Whether the data of two snapshots are equal. 1, 1.0 and true are not."""
    return data is other or (data == other and repr(data) == repr(other))


def apply_types(types: Mapping[str, AttributeType], data: Data, misfits: Counter[str]) -> tuple[Data, Data]:
    """Return the data as the types have them, and the values that this changed, as they were.

    A value that does not fit is left out, and counted by its field.
    """
    read: Data = {}
    changed: Data = {}
    for name, value in data.items():
        kind = types.get(name)
        typed = value if kind is None else kind.convert(value)
        if typed is not value:
            changed[name] = value
        if typed is MISFIT:
            misfits[name] += 1
        else:
            read[name] = typed
    return read, changed
