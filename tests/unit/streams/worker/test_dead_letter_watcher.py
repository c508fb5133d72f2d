"""Dead letters that nobody sent again are counted by their age."""

from __future__ import annotations

import pytest

from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.dead_letters import make_proof, mark_retried, to_dead_letter
from resegment.errors import RefusedEvent
from resegment.streams.worker.loops import dead_letter_watcher
from resegment.streams.worker.loops.dead_letter_watcher import WaitingLetters

HOUR = 3_600_000
NOW = 1_000 * HOUR


def record(message: Message, offset: int, at: int) -> RecordedMessage:
    return RecordedMessage(offset, at, message.key, message.value, message.headers)


def letter(of: int, offset: int, at: int) -> RecordedMessage:
    refused = RecordedMessage(of, at, b"acme.com", b"{")
    batch = Batch("triggers.funding", 0, [refused])
    return record(to_dead_letter("dead-letters", batch, refused, RefusedEvent("not-json", "why")), offset, at)


def test_letters_are_counted_by_the_age_of_their_last_refusal() -> None:
    letters = WaitingLetters()
    for of, hours in enumerate((0, 2, 30, 24 * 9)):
        letters.note(0, letter(of, of, NOW - hours * HOUR))
    letters.note(0, letter(3, 9, NOW - HOUR + 1))
    assert letters.count(NOW) == {"1h": 2, "1d": 1, "7d": 1, "older": 0}


def test_one_that_was_sent_again_or_deleted_or_is_none_does_not_count() -> None:
    letters = WaitingLetters()
    first, second = letter(1, 0, NOW), letter(2, 1, NOW)
    letters.note(0, first)
    letters.note(0, second)
    letters.note(0, record(make_proof("dead-letters"), 2, NOW))
    letters.note(0, RecordedMessage(3, NOW, None, b"x", [("resegment-partition", b"\xff"), ("a", b"")]))
    assert letters.count(NOW)["1h"] == 3
    letters.note(0, record(mark_retried("dead-letters", first, NOW), 4, NOW))
    letters.forget_before(1, 100)
    assert letters.count(NOW)["1h"] == 2
    letters.forget_before(0, 2)
    assert letters.count(NOW)["1h"] == 1


def test_of_too_many_the_newest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = WaitingLetters()
    monkeypatch.setattr(dead_letter_watcher, "MOST", 2)
    for of in range(4):
        letters.note(0, letter(of, of, NOW - 2 * HOUR * (of < 2)))
    assert letters.count(NOW) == {"1h": 2, "1d": 0, "7d": 0, "older": 0}
