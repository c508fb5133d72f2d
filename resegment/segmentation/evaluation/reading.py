"""Read the data of facts: texts without the space around them, and attributes by the types that the file gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from resegment.segmentation.language.attribute_types import MISFIT, AttributeType

Data = dict[str, Any]


def trim(data: Data) -> Data:
    """Return data whose texts have no space around them, and none of which is empty."""
    for value in data.values():
        # Every space of ASCII comes before the letters; other scripts have more of them.
        if type(value) is str and (not value or value[0] <= " " or value[-1] <= " " or not value.isascii()):
            return {name: _trimmed(one) for name, one in data.items()}
    return data


def _trimmed(value: Any) -> Any:
    return value.strip() or None if type(value) is str else value


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
