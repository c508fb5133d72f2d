"""The reference of settings, docs/settings.md, generated from their model."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from resegment.schemas.times import format_duration

_HEAD: Final = """\
# Settings

Every setting is an environment variable. Options on the command line override it. This page is generated from
`resegment/settings.py`: run `make contracts` to update it.

| variable | type | default | meaning |
| --- | --- | --- | --- |
"""
_TYPES: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretStr: "secret",
    timedelta: "duration like `30d`",
}
_BOUNDS: Final = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "pattern": "`{}`",
}


def describe_settings(model: type[BaseSettings]) -> str:
    """Return the page as Markdown."""
    prefix = model.model_config.get("env_prefix", "")
    rows = (
        [f"`{prefix}{name.upper()}`", _takes(field), _default(field), field.description or ""]
        for name, field in model.model_fields.items()
    )
    return _HEAD + "".join(f"| {' | '.join(_cell(one) for one in row)} |\n" for row in rows)


def _takes(field: FieldInfo) -> str:
    inner = [one for one in _members(field.annotation) if one is not NoneType]
    types = [
        ", ".join(f"`{word}`" for word in get_args(one))
        if get_origin(one) is Literal
        else _TYPES.get(one, str(one))
        for one in inner
    ]
    bounds = [
        text.format(_spell(getattr(one, name)))
        for one in field.metadata
        for name, text in _BOUNDS.items()
        if getattr(one, name, None) is not None
    ]
    return ", ".join([" or ".join(types), *bounds])


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return ""
    return f"`{_spell(value)}`"


def _spell(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value // timedelta(milliseconds=1))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
