"""How a file of the journal is framed: groups, each written and synced as one, whose checksum tells whether it is whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

MAGIC: Final = b"RJL1"
HEADER: Final = struct.Struct(">4sIIQ")
"""Magic, length of the payload, checksum of number and payload, number of the group."""
_NUMBER: Final = struct.Struct(">Q")
MAX_PAYLOAD: Final = 1 << 31
"""Bytes of one group: a length beyond it is no length."""


class BrokenFrame(Exception):
    """A group cannot be read at `offset` of its file, and it is not the torn end of what was being written."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(f"at byte {offset:,}: {problem}")
        self.offset, self.problem = offset, problem


class Group(NamedTuple):
    """One group: its number, where its payload is in the file, and where the file continues."""

    number: int
    start: int
    end: int


def frame(number: int, parts: Sequence[bytes]) -> list[bytes]:
    """Return what is written for a group: its header, then the parts of its payload as they are."""
    checksum, size = zlib.crc32(_NUMBER.pack(number)), 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
        size += len(part)
    return [HEADER.pack(MAGIC, size, checksum, number), *parts]


def read_groups(data: bytes | memoryview, first: int | None = None) -> Iterator[Group]:
    """Yield the groups of a file, whose numbers follow each other, from `first` on if given.

    Ends at a torn group: one that is not whole, with no whole one after it. The next group is written only when the
    last one is synced, so what is behind a torn group was never there. Raises BrokenFrame where one is.
    """
    view = memoryview(data)
    at, expected = 0, first
    while at < len(view):
        group = read_group(view, at)
        if group is None or (expected is not None and group.number != expected):
            _check_torn(view, at, expected)
            return
        yield group
        at, expected = group.end, group.number + 1


def read_group(view: memoryview, at: int) -> Group | None:
    """Return the group that begins at `at`; None if there is no whole one."""
    if len(view) - at < HEADER.size:
        return None
    magic, size, checksum, number = HEADER.unpack_from(view, at)
    start = at + HEADER.size
    if magic != MAGIC or size > MAX_PAYLOAD or start + size > len(view):
        return None
    if zlib.crc32(view[start : start + size], zlib.crc32(_NUMBER.pack(number))) != checksum:
        return None
    return Group(number, start, start + size)


def _check_torn(view: memoryview, at: int, expected: int | None) -> None:
    """Raise BrokenFrame if a later group is whole: then this one was whole, too, and something damaged it."""
    rest = bytes(view[at:])
    found = rest.find(MAGIC, 1)
    while found >= 0:
        later = read_group(view, at + found)
        if later is not None and (expected is None or later.number > expected):
            raise BrokenFrame(at, f"damaged, while the data at byte {at + found:,} is whole")
        found = rest.find(MAGIC, found + 1)
