"""Recognize events that are valid and normalized as they are. Most events are, and need none of the models."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

from resegment.schemas.events import plain_tests, plain_types
from resegment.schemas.fact import KINDS, Kind

TYPES: Final[dict[str, Kind]] = {f"gtm.{kind}.v1": kind for kind in KINDS}
"""The kind of each type of event."""

_OPS: Final = ("assert", "retract")
_LISTS: Final = frozenset({"investors", "lead_investors", "technologies"})
_TEXTS: Final = frozenset({str})
_plain_types: Final = {kind: plain_types(kind) for kind in KINDS}
_plain_tests: Final = {kind: plain_tests(kind) for kind in KINDS}
_names_of: Final = itemgetter("id", "source", "subject", "time", "type", "data")


def find_plain_kind(event: Any) -> Kind | None:
    """Return the kind of an event that is valid and normalized already, except for its times; None for any other.

    The models judge all others, and find what is wrong with them.
    """
    if type(event) is not dict or event.get("specversion") != "1.0":
        return None
    try:
        name, source, subject, time, named, data = _names_of(event)
    except KeyError:
        return None
    if not (
        type(name) is type(source) is type(subject) is type(time) is type(named) is str
        and 0 < len(name) <= 512
        and 0 < len(source) <= 512
        and 0 < len(subject) <= 2048
        and 0 < len(time) <= 64
    ):
        return None
    kind, record = TYPES.get(named), event.get("record", name)
    if (
        kind is None
        or event.get("op", "assert") not in _OPS
        or type(record) is not str
        or not 0 < len(record) <= 512
        or type(event.get("recordedtime", "")) is not str
        or type(event.get("datacontenttype", "")) is not str
        or type(data) is not dict
    ):
        return None
    return kind if _is_plain(kind, data) else None


def _is_plain(kind: Kind, data: dict[str, Any]) -> bool:
    types, tests = _plain_types[kind], _plain_tests[kind]
    for field, value in data.items():
        given = type(value)
        if given is str:
            # Every space of ASCII comes before the letters; other scripts have more of them.
            if (
                not value
                or value[0] <= " "
                or value[-1] <= " "
                or not (value.isascii() or value == value.strip())
            ):
                return False
        elif given is dict or (
            given is list and (field not in _LISTS or not _TEXTS.issuperset(map(type, value)))
        ):
            return False
        if (good := types.get(field)) is not None:
            if given not in good:
                return False
        elif (test := tests.get(field)) is not None and not test(value):
            return False
    return True
