"""Decompress the records of a batch, up to a limit: a small batch may hold hundreds of megabytes."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

import cramjam

_GZIP_WINDOW: Final = 31
"""What tells zlib that there is a gzip header."""
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_FIRST_GUESS: Final = 1024 * 1024
"""Bytes of the first buffer; each that is too small is followed by one four times as large."""


class Codec(IntEnum):
    """The compression of a batch, as the lowest bits of its attributes have it."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class Undecodable(Exception):
    """The bytes are not what the codec makes."""


class Decompressed(NamedTuple):
    """What came out, and whether that is all."""

    data: bytes | memoryview
    complete: bool


def decompress(codec: int, data: memoryview, limit: int) -> Decompressed:
    """Decompress `data` to no more than about `limit` bytes. Raises Undecodable."""
    if codec == Codec.NONE:
        return Decompressed(data, True)
    try:
        match codec:
            case Codec.GZIP:
                return _gunzip(data, limit)
            case Codec.SNAPPY:
                return _unsnap(data, limit)
            case Codec.LZ4:
                return _decompress_into(cramjam.lz4.decompress_into, data, limit)
            case Codec.ZSTD:
                return _decompress_into(cramjam.zstd.decompress_into, data, limit)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise Undecodable(str(error)) from error
    raise Undecodable(f"unknown compression codec {codec}")


def _gunzip(data: memoryview, limit: int) -> Decompressed:
    parts: list[bytes] = []
    left, rest = limit, bytes(data)
    while rest:
        member = zlib.decompressobj(_GZIP_WINDOW)
        part = member.decompress(rest, left)
        parts.append(part)
        left -= len(part)
        if not member.eof:
            if left > 0:
                raise Undecodable("the gzip data ends early")
            return Decompressed(b"".join(parts), False)
        rest = member.unused_data
        if rest and left <= 0:
            return Decompressed(b"".join(parts), False)
    return Decompressed(b"".join(parts), True)


def _unsnap(data: memoryview, limit: int) -> Decompressed:
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        return _unsnap_block(bytes(data), limit)
    parts: list[bytes | memoryview] = []
    left, at = limit, _XERIAL_HEADER
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        block = bytes(data[at + 4 : at + 4 + size])
        if size <= 0 or len(block) < size:
            raise Undecodable("a snappy block ends early")
        part, complete = _unsnap_block(block, left)
        parts.append(part)
        left, at = left - len(part), at + 4 + size
        if not complete:
            return Decompressed(b"".join(parts), False)
    return Decompressed(b"".join(parts), True)


def _unsnap_block(block: bytes, limit: int) -> Decompressed:
    """Decompress one block: it says how long its content is, and is not believed without a look at the limit."""
    size = cramjam.snappy.decompress_raw_len(block)
    if size > limit:
        return Decompressed(b"", False)
    out = bytearray(size)
    written = cramjam.snappy.decompress_raw_into(block, out)
    return Decompressed(memoryview(out)[:written], True)


def _decompress_into(into: Callable[[bytes, bytearray], int], data: memoryview, limit: int) -> Decompressed:
    given, size = bytes(data), min(limit, _FIRST_GUESS)
    while True:
        out = bytearray(size)
        try:
            written = into(given, out)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
        else:
            return Decompressed(memoryview(out)[:written], True)
        if size == limit:
            return Decompressed(memoryview(out), False)
        size = min(limit, 4 * size)
