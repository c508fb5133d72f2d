"""What is refused over HTTP is a dead letter, and is read again once its cause is fixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.agents.batch import Message, RecordedMessage
from resegment.agents.dead_letters import read_dead_letter
from resegment.errors import RefusedEvent
from resegment.http.intake.access import Access, WrongKeys, read_access
from resegment.http.intake.quarantine import is_body, letter_id, make_letter, retry_bodies
from resegment.sources.adapters.port import Context
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import DeadLetter

TOPICS = Topics("t")
ARRIVED = 1_767_225_600_000
MAPPING = "kind: engagement\nsource: /forms\nmap:\n  site: subject\n  key: id\n  what: action\n"


class Publisher:
    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self.sent += messages


def letter_of(message: Message) -> DeadLetter:
    record = RecordedMessage(0, ARRIVED, message.key, message.value, message.headers)
    about = read_dead_letter(record.headers, record.key, record.value)
    return DeadLetter(about["id"], about, message.value, ARRIVED, record)


def refused_body(source: str, body: Any) -> DeadLetter:
    given = body if isinstance(body, bytes) else orjson.dumps(body)
    return letter_of(make_letter(TOPICS, source, given, RefusedEvent("no-account", "why"), ARRIVED))


async def test_a_body_is_read_again_by_the_mapping_as_it_is_now(tmp_path: Path) -> None:
    mapping, keys = tmp_path / "forms.yaml", tmp_path / "keys.yaml"
    keys.write_text("sources:\n  forms: {map: forms.yaml}\n")
    mapping.write_text(MAPPING.replace("site: subject", "page: subject"))
    letter = refused_body("forms", {"site": "acme.com", "key": "1", "what": "demo_request"})
    assert is_body(letter)
    publisher = Publisher()

    found = await retry_bodies([letter], TOPICS, publisher, ARRIVED, read_access(keys), Context())
    assert found == (0, 0, 1)
    (again,) = publisher.sent
    assert letter_id(again) == letter.id

    mapping.write_text(MAPPING)
    publisher.sent.clear()
    assert await retry_bodies([letter], TOPICS, publisher, ARRIVED, read_access(keys), Context()) == (1, 1, 0)
    event, mark = publisher.sent
    read = orjson.loads(event.value or b"")
    assert (event.topic, read["subject"], read["time"]) == (
        "t.triggers.engagement",
        "acme.com",
        "2026-01-01T00:00:00Z",
    )
    assert read_dead_letter(mark.headers, None, None)["retried"] == "2026-01-01T00:00:00Z"


async def test_a_body_is_read_again_with_the_domains_that_are_known_now() -> None:
    letter = refused_body(
        "coresignal", [{"member_id": 11, "status": "started_matching_query", "title": "CRO"}]
    )
    publisher = Publisher()
    known = Context(accounts={"11": "acme.com"})
    assert await retry_bodies([letter], TOPICS, publisher, ARRIVED, Access(), known) == (1, 1, 0)


@pytest.mark.parametrize(
    ("source", "body"), [("nosuch", {"a": 1}), ("hubspot", b"{"), ("events", b"{}"), ("events", b"")]
)
async def test_a_body_that_means_nothing_stays_a_dead_letter(source: str, body: Any) -> None:
    publisher = Publisher()
    found = await retry_bodies([refused_body(source, body)], TOPICS, publisher, ARRIVED, Access(), Context())
    assert found == (0, 0, 1)
    assert [one.topic for one in publisher.sent] == ["t.dead-letters"]


def test_the_same_body_is_one_dead_letter_and_a_large_one_is_cut() -> None:
    one, same, other = (refused_body("hubspot", {"a": number}) for number in (1, 1, 2))
    assert one.id == same.id != other.id
    large = refused_body("hubspot", b"x" * 2_000_000)
    assert not large.is_whole
    assert len(large.original or b"") == 100_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: {forms: x}\n", "map: FILE"),
        ("sources: {forms: {map: nope.yaml}}\n", "nope.yaml"),
        ("sources: {forms: {module: nope.py}}\n", "nope.py"),
        ("sources: [forms]\n", "not a map"),
        ("source: {}\n", "unknown key source"),
    ],
)
def test_a_wrong_source_of_your_own_says_why(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    with pytest.raises(WrongKeys, match=words):
        read_access(file, {})
