from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from resegment.schemas.partitioning import partition_of


@given(st.binary(max_size=300), st.integers(1, 500))
def test_every_key_goes_where_the_clients_would_put_it(key: bytes, partitions: int) -> None:
    aiokafka = DefaultPartitioner()(key, list(range(partitions)), list(range(partitions)))
    assert partition_of(key, partitions) == aiokafka == (murmur2(key) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(
    ("key", "java"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"abc", 479470107),
        (b"a-little-bit-long-string", -985981536),
    ],
)
def test_keys_hash_as_in_the_java_client(key: bytes, java: int) -> None:
    assert partition_of(key, 2**31 - 1) == (java & 0x7FFFFFFF) % (2**31 - 1)


def test_a_topic_without_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        partition_of(b"acme.com", 0)
