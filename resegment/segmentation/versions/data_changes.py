"""Say in words how a part of a file changed that is no condition: `touches 5 → 8`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_SHOWN: Final = 60


def tell_data_changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield how one value became the other, a change each, with the path to it."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{path}.{key}" if path else str(key)
            if key not in new:
                yield f"no {inner} any more"
            elif key not in old:
                yield f"{inner} is new: {show_value(new[key])}"
            else:
                yield from tell_data_changes(old[key], new[key], inner)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, path)
    elif (old, isinstance(old, bool)) != (new, isinstance(new, bool)):
        yield f"{path} {show_value(old)} → {show_value(new)}".lstrip()


def _list_changes(old: list[Any], new: list[Any], path: str) -> Iterator[str]:
    before, after = _by_name(old), _by_name(new)
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    if gone or come:
        yield f"{path}: {', '.join([*(f'+ {one}' for one in come), *(f'− {one}' for one in gone)])}".lstrip()
    for name, value in before.items():
        if name in after:
            yield from tell_data_changes(value, after[name], f"{path}.{name}" if path else name)
    if not gone and not come and list(before) != list(after):
        yield f"{path}: other order".lstrip()


def _by_name(values: list[Any]) -> dict[str, Any]:
    """Return the elements by their names, or by what they are."""
    return {
        str(one["name"]) if isinstance(one, dict) and "name" in one else show_value(one): one
        for one in values
    }


def show_value(value: Any) -> str:
    """Return a value as a file has it, cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {show_value(one)}' for key, one in value.items())}}}"
    elif isinstance(value, list):
        text = f"[{', '.join(map(show_value, value))}]"
    else:
        text = str(value)
        text = f'"{text}"' if " " in text else text
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
