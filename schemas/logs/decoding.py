"""Decode a record of a topic, or what a store keeps: whatever it is not is the same error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol[T_co]):
    """A decoder of msgspec."""

    def decode(self, value: bytes, /) -> T_co:
        """Return what bytes say."""
        ...


def decode_value(decoder: Decoder[T_co], value: bytes | None) -> T_co:
    """Return what a record says; one without a value is empty.

    Raises msgspec.DecodeError, also for text that is not UTF-8 and for what is nested too deep.
    """
    try:
        return decoder.decode(value or b"")
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from error


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists nest in more than so many levels."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, Mapping) else node)
            if isinstance(child, Mapping | list)
        ]
        if not level:
            return False
    return True
