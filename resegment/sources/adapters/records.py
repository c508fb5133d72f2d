"""Read payloads of any shape by tolerant paths: names match whatever their case, spaces and underscores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

BLANK: Final = frozenset({"", "null", "none", "n/a", "na", "nan", "nil", "undefined", "-", "#n/a", "(blank)"})
"""Texts that stand for no value in the exports of many tools, in lower case."""


@lru_cache(maxsize=16_384)
def normalize_name(name: str) -> str:
    """Return the letters and digits of a name in lower case: `Annual Revenue`, `annual_revenue` -> `annualrevenue`."""
    return "".join(character for character in name.lower() if character.isalnum())


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """Return the normalized names of a path: `company.Domain Name` -> `("company", "domainname")`."""
    return tuple(normalize_name(part) for part in path.split("."))


def is_blank(value: Any) -> bool:
    """Whether a value is none: null, an empty list or object, NaN, or a text such as `N/A`."""
    if value is None or value != value:  # noqa: PLR0124  # NaN is the one value that differs from itself
        return True
    if isinstance(value, str):
        return value.strip().lower() in BLANK
    return isinstance(value, list | dict) and not value


class Record:
    """One record of a payload. Paths walk into objects, and into the first object of a list.

    >>> Record({"Company": [{"Web Site": "acme.com"}]}).find("company.website")
    'acme.com'
    """

    __slots__ = ("_levels", "given")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self._levels: dict[int, dict[str, Any]] = {}

    def find(self, *paths: str) -> Any:
        """Return the first value at one of the paths that is not blank; None if there is none."""
        for path in paths:
            value = self._walk(path)
            if not is_blank(value):
                return value
        return None

    def find_text(self, *paths: str) -> str | None:
        """Return the first value at one of the paths that is a text or a number, as text."""
        for path in paths:
            text = as_text(self._walk(path))
            if text is not None:
                return text
        return None

    def find_all(self, *paths: str) -> Iterator[tuple[str, Any]]:
        """Yield each path that has a value, with the value."""
        for path in paths:
            value = self._walk(path)
            if not is_blank(value):
                yield path, value

    def spell(self, path: str) -> str:
        """Return a path as the record spells its names."""
        node: Any = self.given
        spelled: list[str] = []
        for name in split_path(path):
            node = _first_object(node)
            found = (
                None
                if node is None
                else next((one for one in node if normalize_name(str(one)) == name), None)
            )
            if node is None or found is None:
                return path
            spelled.append(str(found)[:200])
            node = node[found]
        return ".".join(spelled)

    def has(self, *paths: str) -> bool:
        """Whether one of the paths exists, even with a blank value."""
        return any(self._exists(path) for path in paths)

    def records(self, *paths: str) -> list[Record]:
        """Return the objects at the first path that has any: those of a list, or a single one."""
        for path in paths:
            value = self._walk(path)
            found = [Record(one) for one in as_list(value) if isinstance(one, Mapping)]
            if found:
                return found
        return []

    def _walk(self, path: str) -> Any:
        node: Any = self.given
        for name in split_path(path):
            node = _first_object(node)
            if node is None:
                return None
            node = self._level(node).get(name)
        return node

    def _exists(self, path: str) -> bool:
        *outer, last = split_path(path)
        node: Any = self.given
        for name in outer:
            node = _first_object(node)
            if node is None:
                return False
            node = self._level(node).get(name)
        node = _first_object(node)
        return node is not None and last in self._level(node)

    def _level(self, node: Mapping[str, Any]) -> dict[str, Any]:
        level = self._levels.get(id(node))
        if level is None:
            level = {}
            for name, value in node.items():
                key = normalize_name(str(name))
                if key not in level or is_blank(level[key]):
                    level[key] = value
            self._levels[id(node)] = level
        return level


def _first_object(node: Any) -> Mapping[str, Any] | None:
    if isinstance(node, Mapping):
        return node
    if isinstance(node, list):
        return next((one for one in node if isinstance(one, Mapping)), None)
    return None


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, nothing as an empty list, and any other value as a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def as_text(value: Any) -> str | None:
    """Return a text without the space around it, or a number as text; None for anything else and for blank texts."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        return None if text.lower() in BLANK else text
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # NaN
            return None
        return _whole(int(value)) if value.is_integer() else repr(value)
    return None


def _whole(value: int) -> str | None:
    return str(value) if abs(value) < 10**40 else None


def label_of(value: Any) -> str | None:
    """Return the text of a value, or of the field of an object that names it, or else of its first text; of a list, the first."""
    if isinstance(value, list):
        return next((text for one in value if not isinstance(one, list) and (text := label_of(one))), None)
    if isinstance(value, Mapping):
        record = Record(value)
        named = record.find_text("name", "value", "label", "title", "display_name", "full_name", "id")
        return named or next((text for one in value.values() if (text := as_text(one))), None)
    return as_text(value)
