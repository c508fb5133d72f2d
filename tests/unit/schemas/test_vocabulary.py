"""The words of events, and how much of them is remembered."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import read_moment
from resegment.schemas.vocabulary import normalize_technology, normalize_term


def resolve(text: str) -> None:
    with pytest.raises(RefusedEvent):
        registrable_domain(text[:2_000] + ".invalid_host")


def place(text: str) -> None:
    partition_of(text.encode(), 8)


@pytest.mark.parametrize(
    ("read", "size"),
    [
        (normalize_term, 100_000),
        (normalize_technology, 100_000),
        (read_moment, 100_000),
        (resolve, 2_000),
        (place, 100_000),
    ],
)
def test_long_texts_are_not_remembered(read: Callable[[str], object], size: int) -> None:
    texts = 4_000_000 // size
    tracemalloc.start()
    try:
        for number in range(texts):
            read(f"{number:06}" * (size // 6))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < texts * size / 4


@pytest.mark.parametrize("size", [1, 127, 128, 129, 5_000])
def test_a_text_of_any_length_is_normalized(size: int) -> None:
    raw = " A" + "b" * size + " - C "
    assert normalize_term(raw) == "a" + "b" * size + "_c"
    assert normalize_technology(raw) == "a" + "b" * size + "---c"
