"""Partition a key as Kafka's default partitioner does (murmur2), which is the same in every client."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from mypy_extensions import i64

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_HOT_KEYS: Final = 65_536
_LONGEST_HOT: Final = 256
REMEMBERS: Final = __file__.endswith(".py")
"""Whether partitions of keys are remembered: where this module is compiled, to hash a key costs less."""


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, where Kafka's default partitioner puts `key`.

    Raises `ValueError` if there are no partitions.
    """
    if partitions < 1:
        raise ValueError(f"a topic has at least one partition, not {partitions}")
    if not REMEMBERS:
        return _hash(key) % partitions
    return (_hash_hot(key) if len(key) <= _LONGEST_HOT else _hash(key)) % partitions


def _hash(key: bytes) -> int:
    length: i64 = len(key)
    rest: i64 = length & 3
    body: i64 = length - rest
    value: i64 = _SEED ^ length
    at: i64 = 0
    while at < body:
        word: i64 = key[at] | key[at + 1] << 8 | key[at + 2] << 16 | key[at + 3] << 24
        mixed: i64 = word * _MIX & _MASK
        value = (value * _MIX & _MASK) ^ ((mixed ^ mixed >> 24) * _MIX & _MASK)
        at += 4
    if rest:
        tail: i64 = key[body]
        if rest > 1:
            tail |= key[body + 1] << 8
        if rest > 2:
            tail |= key[body + 2] << 16
        value = (value ^ tail) * _MIX & _MASK
    value = (value ^ value >> 13) * _MIX & _MASK
    return (value ^ value >> 15) & _POSITIVE


_hash_hot = lru_cache(maxsize=_HOT_KEYS)(_hash)
