"""Dead letters: what is kept of a record, and what is sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.dead_letters import MAX_BYTES, read_dead_letter, to_dead_letter, to_retry
from resegment.errors import RefusedEvent

REFUSED = RefusedEvent("decision-failed", "a rule raised")
TIME = 1_769_850_000_007


def letter_of(record: RecordedMessage, topic: str = "signals") -> RecordedMessage:
    made = to_dead_letter("dead-letters", Batch(topic, 3, [record]), record, REFUSED)
    return RecordedMessage(0, 0, made.key, made.value, made.headers)


def size(record: RecordedMessage) -> int:
    return sum(
        map(len, (record.key or b"", record.value or b"", *(part for one in record.headers for part in one)))
    )


@pytest.mark.parametrize("place", ["key", "value", "headers"])
def test_a_record_as_large_as_a_broker_takes_fits_into_its_letter_and_is_told_to_be_cut_off(
    place: str,
) -> None:
    big = b"x" * 1_048_000
    record = RecordedMessage(
        7, TIME, big if place == "key" else b"k", big if place == "value" else b"v",
        [("h", big)] if place == "headers" else [],
    )  # fmt: skip
    letter = letter_of(record)
    assert size(letter) < 1_030_000
    assert read_dead_letter(letter.headers, letter.key, letter.value)["truncated"] == str(
        len(record.value or b"")
    )


@pytest.mark.parametrize("letter", ["x", "ü", "\udcff"])
def test_a_reason_that_quotes_a_huge_name_fits_into_a_message(letter: str) -> None:
    name = letter * 600_000
    record = RecordedMessage(7, TIME, b"k", b"v", [("h", b"1")])
    refused = RefusedEvent("wrong-envelope", f"{name} is no attribute", field=name)
    made = to_dead_letter("dead-letters", Batch("accounts", 3, [record]), record, refused, endpoint="crm")
    assert sum(len(value or b"") for _, value in made.headers) < 20_000
    about = read_dead_letter(made.headers, made.key, made.value)
    assert about["reason"] == "wrong-envelope"
    assert about["value"] == "v"


def test_headers_of_long_names_count_with_their_bytes() -> None:
    record = RecordedMessage(7, TIME, b"k", b"v", [("ü" * 510_000, b"1")])
    made = to_dead_letter("dead-letters", Batch("accounts", 3, [record]), record, REFUSED)
    assert all(name.startswith("dl_") for name, _ in made.headers)


def test_what_fits_is_kept_to_the_byte() -> None:
    record = RecordedMessage(7, TIME, b"k", b"v" * (MAX_BYTES - 20), [("h", b"1")])
    again = to_retry(letter_of(record), "signals")
    assert (again.key, again.value, list(again.headers)) == (record.key, record.value, [("h", b"1")])


def test_a_signal_is_sent_again_with_its_own_time_for_that_moves_the_clock() -> None:
    record = RecordedMessage(7, TIME, b"k", b"v")
    again = to_retry(letter_of(record), "signals")
    assert (again.topic, again.partition, again.timestamp) == ("signals", 3, TIME)


def test_a_trigger_is_sent_again_as_one_of_now_for_old_ones_would_be_deleted() -> None:
    record = RecordedMessage(7, TIME, b"k", b"v")
    assert to_retry(letter_of(record, "triggers.funding"), "signals").timestamp is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["dl_topic", "dl_partition", "dl_offset", "dl_reason", "dl_endpoint", "dl_x", "x"]
            ),
            st.none() | st.binary() | st.integers().map(lambda one: str(one).encode()),
        )
    ),
    st.none() | st.binary(),
)
def test_any_record_in_the_topic_of_dead_letters_can_be_read(
    headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    about = read_dead_letter(headers, value, value)
    assert isinstance(about["id"], str)
    assert isinstance(about["partition"], int)
    assert isinstance(about["offset"], int)
