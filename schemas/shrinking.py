"""Fit a segment change or a workflow command into a message that a broker accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

MAX_BYTES: Final = 1_000_000
"""The limit for key and value: with headers and framing they stay below the 1,048,588 bytes that a broker accepts."""
MAX_COMMAND: Final = 400_000
"""The most bytes of a command, before it is cut."""
MAX_ITEMS: Final = 100
"""How many items of a list a change that is too large keeps."""
MAX_TEXT: Final = 1_000
"""How many characters of a text it keeps."""
MAX_TESTS: Final = 20
"""How many tests its reason keeps."""

Json = Any


class ChangeTooLarge(ValueError):
    """A change does not fit into a message even without its evidence and values."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the change has {size} bytes after everything that can be cut was cut")
        self.size = size


def fit_change(value: bytes, room: int) -> bytes:
    """Return the event of a change, cut to at most `room` bytes. An event that fits is returned as it is.

    What is cut depends on the content alone: first lists, sets and texts, then evidence, then values, then the list of
    tests, and at last texts of the message. Raises ChangeTooLarge.
    """
    if len(value) <= room:
        return value
    event = orjson.loads(value)
    for cut in _CUTS:
        cut(event["data"])
        value = orjson.dumps(event)
        if len(value) <= room:
            return value
    raise ChangeTooLarge(len(value))


def fit_command(value: bytes, room: int = MAX_COMMAND) -> bytes:
    """Return the event of a command, cut to about `room` bytes. An event that fits is returned as it is.

    First the fields of the evidence go, then long texts and lists of the message, then the evidence and the message.
    """
    if len(value) <= room:
        return value
    event = orjson.loads(value)
    data = event["data"]
    for one in data.get("why") or ():
        one.pop("evidence", None)
    data["message"] = shorten(data.get("message"))
    if len(value := orjson.dumps(event)) > room:
        data["why"] = data["message"] = None
        value = orjson.dumps(event)
    return value


def _cut_lists(data: Json) -> None:
    for name in ("reason", "values"):
        data[name] = shorten(data.get(name))


def _drop_evidence(data: Json) -> None:
    for one in data["reason"]["holds"]:
        one.pop("evidence", None)


def _drop_values(data: Json) -> None:
    data["values"] = {}
    for one in data["reason"]["holds"]:
        one.pop("value", None)


def _drop_tests(data: Json) -> None:
    for name in ("holds", "no_longer"):
        if data["reason"].get(name):
            data["reason"][name] = data["reason"][name][:MAX_TESTS]


def _shorten_message(data: Json) -> None:
    data["message"] = shorten(data.get("message"))


_CUTS: Final[tuple[Callable[[Json], None], ...]] = (
    _cut_lists,
    _drop_evidence,
    _drop_values,
    _drop_tests,
    _shorten_message,
)


def shorten(value: Json) -> Json:
    """Return JSON with all texts and lists in it cut."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, list):
        return [shorten(one) for one in value[:MAX_ITEMS]]
    if isinstance(value, dict):
        return {name: shorten(one) for name, one in value.items()}
    return value
