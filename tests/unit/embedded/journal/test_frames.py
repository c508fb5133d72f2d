"""A file is read up to its last whole group; what is behind is a torn end or damage, and these are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.embedded.journal.frames import HEADER, BrokenFrame, frame, read_groups

PAYLOADS = st.lists(st.lists(st.binary(max_size=40), max_size=3), min_size=1, max_size=6)


def written(payloads: list[list[bytes]]) -> bytes:
    return b"".join(part for number, parts in enumerate(payloads, 1) for part in frame(number, parts))


def read(data: bytes) -> list[bytes]:
    return [data[one.start : one.end] for one in read_groups(data, 1)]


@given(PAYLOADS)
def test_what_was_written_is_read_back(payloads: list[list[bytes]]) -> None:
    assert read(written(payloads)) == [b"".join(parts) for parts in payloads]


@settings(max_examples=60)
@given(PAYLOADS, st.data())
def test_a_file_that_ends_anywhere_is_read_up_to_its_last_whole_group(
    payloads: list[list[bytes]], data: st.DataObject
) -> None:
    file = written(payloads)
    ends = [0]
    for parts in payloads:
        ends.append(ends[-1] + HEADER.size + sum(map(len, parts)))
    cut = data.draw(st.integers(0, len(file)))
    whole = sum(1 for end in ends[1:] if end <= cut)
    assert read(file[:cut]) == [b"".join(parts) for parts in payloads[:whole]]


@settings(max_examples=60)
@given(PAYLOADS, st.data())
def test_damage_before_the_last_group_is_reported(payloads: list[list[bytes]], data: st.DataObject) -> None:
    file = bytearray(written([*payloads, [b"last"]]))
    at = data.draw(st.integers(0, len(file) - HEADER.size - 4 - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BrokenFrame) as raised:
        read(bytes(file))
    assert raised.value.offset <= at


def test_garbage_in_the_last_group_is_a_torn_end() -> None:
    """After a power cut, a group that was being written may have its length, but not its bytes."""
    first, last = b"".join(frame(1, [b"kept"])), b"".join(frame(2, [b"half written"]))
    torn = last[:-6] + b"\0" * 6
    assert read(first + torn) == [b"kept"]
    assert read(first + torn + b"\0" * 4096) == [b"kept"]


def test_a_group_of_an_older_write_behind_a_torn_one_is_no_damage() -> None:
    """A file that was cut off and written again may still have old bytes on disk behind a torn group."""
    file = b"".join(frame(1, [b"kept"])) + b"\0" * 30 + b"".join(frame(1, [b"old"]))
    assert read(file) == [b"kept"]
