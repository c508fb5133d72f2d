"""Partition a key as Kafka's default partitioner does (murmur2), which is the same in every client."""

from __future__ import annotations

import struct
from functools import lru_cache

_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_MASK = 0xFFFFFFFF
_HOT_KEYS = 65_536
_LONGEST_HOT = 256


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, where Kafka's default partitioner puts `key`.

    Raises `ValueError` if there are no partitions.
    """
    if partitions < 1:
        raise ValueError(f"a topic has at least one partition, not {partitions}")
    return (_hash_hot(key) if len(key) <= _LONGEST_HOT else _hash(key)) % partitions


def _hash(key: bytes) -> int:
    return _murmur2(key) & 0x7FFFFFFF


def _murmur2(data: bytes) -> int:
    length = len(data)
    tail = length & 3
    body = length - tail
    value = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", data[:body]):
        mixed = word * _MIX & _MASK
        value = (value * _MIX & _MASK) ^ ((mixed ^ mixed >> 24) * _MIX & _MASK)
    if tail:
        value = (value ^ int.from_bytes(data[body:], "little")) * _MIX & _MASK
    value = (value ^ value >> 13) * _MIX & _MASK
    return value ^ value >> 15


_hash_hot = lru_cache(maxsize=_HOT_KEYS)(_hash)
