"""The log as which a state is stored."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from msgspec.structs import astuple

from resegment.schemas.logs.log_framing import begin_log, join_logs
from resegment.schemas.logs.state_log import (
    SLACK,
    StateLog,
    decode_head,
    decode_state,
    encode_state,
    open_log,
)
from resegment.schemas.state import AccountState, Entry, Membership


def entry(number: int, *, size: int = 20) -> Entry:
    return Entry(0, number, number, number, "s", f"i{number}", None, {"text": "x" * size})


def snapshot(draw: random.Random, number: int, stored: Stored) -> Entry:
    """Return a snapshot that shares what it says with the newest one, if there is one."""
    newest = next((one for one in reversed(stored.state.entries) if one.kind == 7), None)
    data, raw = {"employees": number}, draw.choice([None, {"plan": number}])
    if newest is not None and newest.data is not None and draw.random() < 0.8:
        data, raw = newest.data, newest.raw
    recorded = number + draw.choice([0, 0, 5, -5])
    one = Entry(7, number, recorded, recorded + draw.choice([0, 3]), draw.choice("st"), f"crm-{number:06}")
    one.record = draw.choice([None, None, None, "r"])
    one.data, one.raw, one.retracted = data, raw, draw.random() < 0.05
    return one


class Stored:
    """An account whose changes are noted and written, and what a store then has."""

    def __init__(self) -> None:
        self.state, self.log, self.value = AccountState(), StateLog(), b""
        self.wholes = 0
        self.sizes: list[int] = []

    def add(self, one: Entry) -> None:
        self.state.entries.append(one)
        self.log.add(self.state.entries)

    def remove(self, place: int) -> None:
        del self.state.entries[place]
        self.log.remove(place)

    def write(self) -> bytes | None:
        """Write what has changed; return what crossed the network."""
        write = self.log.write(self.state)
        if write is None:
            return None
        self.wholes += not write.appends
        self.value = join_logs((self.value, write.data)) if write.appends else write.data
        assert self.log.size == len(self.value)
        return write.data


@pytest.mark.parametrize("seed", range(30))
def test_what_is_read_is_what_was_written_however_it_changed(seed: int) -> None:
    draw = random.Random(seed)
    stored = Stored()
    for number in range(draw.choice([20, 400])):
        state = stored.state
        for _ in range(draw.choice([0, 1, 1, 2])):
            repeated = stored.state.entries and draw.random() < 0.5
            one = (
                snapshot(draw, number, stored) if repeated else entry(number, size=draw.choice([0, 20, 300]))
            )
            stored.add(one)
        if state.entries and draw.random() < 0.4:
            stored.remove(draw.randrange(len(state.entries)))
        if state.entries and draw.random() < 0.2:
            place = draw.randrange(len(state.entries))
            state.entries[place].older = [f"o{number}"]
            stored.log.replace(place, state.entries[place])
        if draw.random() < 0.3:
            state.membership = Membership(draw.choice(["hot", "cold"]), number, {"hot": number})
            state.before = draw.choice([None, Membership("hot", 1)])
        if draw.random() < 0.3:
            state.deadline = draw.choice([None, number])
            state.active_gates = draw.choice([(), ("gate",)])
            state.sequence, state.parent = draw.choice([0, number]), draw.choice([None, "p.com"])
        if draw.random() < 0.7:
            stored.write()
            assert decode_state(stored.value) == state
            assert decode_head(stored.value) == AccountState([], *astuple(state)[1:])
            assert decode_state(encode_state(state)) == state
        if stored.value and draw.random() < 0.2:  # another worker reads it
            stored.write()
            stored.state, stored.log = open_log(stored.value)


def test_snapshots_that_say_the_same_take_few_bytes_and_share_their_data() -> None:
    stored, data = Stored(), {"employees": 60, "plan": "professional", "industry": "manufacturing"}
    for night in range(365):
        time = (19_000 + night) * 86_400_000
        stored.add(
            Entry(7, time, time + 9_000, time + 10_000, "/crm", f"acme.com-2026-{night:04}", None, data)
        )
        stored.write()
    assert decode_state(stored.value) == stored.state
    assert len({id(one.data) for one in decode_state(stored.value).entries}) == 1
    assert len(stored.value) < 365 * 40
    assert len(encode_state(stored.state)) < 365 * 24


@pytest.mark.parametrize("distance", [0, -1, 2])
def test_a_snapshot_that_repeats_one_that_is_not_there_is_no_state(distance: int) -> None:
    repeat = msgspec.msgpack.encode(msgspec.msgpack.encode((distance, 1, 0, 0, 0, "b")))
    log = begin_log(2) + msgspec.msgpack.encode(entry(1)) + repeat
    with pytest.raises(msgspec.DecodeError):
        decode_state(log)


def test_nothing_is_written_where_nothing_has_changed() -> None:
    stored = Stored()
    assert stored.write() is not None
    assert stored.write() is None
    stored.state.deadline = 5
    assert stored.write() is not None
    state, log = open_log(stored.value)
    assert log.write(state) is None
    state.entries = [*state.entries]  # which nobody has noted
    assert log.write(state) is not None


def test_a_long_field_is_written_when_it_changes_and_then_no_more() -> None:
    stored = Stored()
    persons = tuple(f"person-{number}@acme.com" for number in range(1_000))
    for number in range(20):
        stored.add(entry(number, size=500))
    stored.write()
    stored.state.do_not_contact = persons
    assert len(stored.write() or b"") > 20_000
    written = []
    for number in range(100, 200):
        stored.add(entry(number))
        written.append(len(stored.write() or b""))
    assert max(written) < 100
    assert decode_state(stored.value).do_not_contact == persons


def test_what_an_event_writes_does_not_depend_on_how_many_facts_there_are() -> None:
    assert bytes_per_event(2_000) < 1.3 * bytes_per_event(10)


def bytes_per_event(held: int) -> float:
    """Return what an event writes on average, where each adds a fact and drops the oldest."""
    stored, first, count = Stored(), 100_000, 12 * held
    for number in range(first, first + held):
        stored.add(entry(number, size=80))
    stored.write()
    total = 0
    for number in range(first + held, first + held + count):
        stored.add(entry(number, size=80))
        stored.remove(0)
        stored.state.deadline = number
        write = stored.log.write(stored.state)
        assert write is not None
        total += len(write.data)
    return total / count


def test_a_log_takes_no_more_than_its_facts_twice_and_some() -> None:
    stored = Stored()
    for number in range(5_000):
        stored.state.deadline = number
        stored.write()
        assert len(stored.value) < 1_200
    for number in range(50):
        stored.add(entry(number, size=1_000))
        stored.write()
    facts = len(encode_state(stored.state))
    for number in range(50, 2_000):
        stored.add(entry(number, size=1_000))
        stored.remove(0)
        stored.write()
        assert len(stored.value) < 2 * facts + 2_000


def test_the_log_of_an_account_with_few_facts_takes_half_as_much_as_they_do_and_some() -> None:
    stored, longest = Stored(), 0
    for number in range(10):
        stored.add(entry(number, size=100))
    stored.write()
    facts = len(encode_state(stored.state))
    for number in range(10, 500):
        stored.add(entry(number, size=100))
        stored.remove(0)
        stored.write()
        longest = max(longest, len(stored.value))
    assert 1.2 * facts < longest < 1.5 * facts + SLACK + 50


def test_a_state_of_an_earlier_release_is_written_as_a_whole_when_it_changes_and_from_then_on_appended_to() -> (
    None
):
    fact = [0, 1, 2, 3, "s", "i", None, {"round": "seed"}, False, None, 0]
    state, log = open_log(msgspec.msgpack.encode([[fact] * 20, ["a", 5, {}], 1]))
    state.sequence = 2
    write = log.write(state)
    assert write is not None
    assert not write.appends
    assert decode_state(write.data) == state
    state.sequence = 3
    write = log.write(state)
    assert write is not None
    assert write.appends


def stored_log(*items: Any) -> bytes:
    return begin_log(len(items)) + b"".join(map(msgspec.msgpack.encode, items))


def whole_log(*fields: Any) -> bytes:
    """Return the log of a state that was written as a whole, of any fields."""
    state = msgspec.msgpack.encode(fields)
    return begin_log(1) + b"\xc6" + len(state).to_bytes(4, "big") + state


def test_a_small_state_is_written_as_a_whole_and_a_larger_one_is_appended_to() -> None:
    stored = Stored()
    appended = []
    for number in range(20):
        stored.add(entry(number))
        write = stored.log.write(stored.state)
        assert write is not None
        appended.append(write.appends)
    assert not appended[0]
    assert not all(appended[1:10])
    assert sum(appended[10:]) > 7
    assert whole_log(*astuple(AccountState())) == encode_state(AccountState())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"", "truncated"),
        (begin_log(2) + b"\x80", "truncated"),
        (stored_log(0), "not there"),
        (stored_log(-3, entry(1)), "not there"),
        (stored_log({99: 1}), "later version"),
        (whole_log(*astuple(AccountState()), 1), "at most"),
        (whole_log([entry(1)])[:-2], "truncated"),
        (whole_log(["no fact"]), "array"),
        (stored_log({1: 7}), "array"),
        (stored_log({2: "seven"}), "int"),
        (stored_log({0: "seven"}), "int"),
        (stored_log({0: 1.5}), "int"),
        (stored_log("text"), "str"),
    ],
)
def test_what_is_no_state_is_refused(value: bytes, problem: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=problem):
        decode_state(value)


def test_the_segment_is_read_of_both_formats_without_decoding_facts() -> None:
    broken = msgspec.msgpack.encode(["no fact"])
    state = AccountState([], Membership("hot", 7, {"cold": 3}))
    array = msgspec.msgpack.encode([broken, ["hot", 7, {"cold": 3}], 1])
    assert decode_head(array) == decode_head(encode_state(state)) == state
    assert decode_head(encode_state(AccountState())) == AccountState()
