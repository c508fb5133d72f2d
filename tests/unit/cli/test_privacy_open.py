"""`resegment privacy open` opens lines of the topics, and names the lines that do not open."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from typer.testing import CliRunner

from resegment.agents.batch import Message
from resegment.cli import build
from resegment.schemas.fact import encode_fact
from resegment.state.keys.keyring import Keyring
from resegment.streams.sealing.sealer import MessageSealer
from tests.unit.schemas.privacy.test_messages import PERSON, change, command
from tests.unit.streams.sealing.test_sealing import TOPICS, given, learned, open_ring
from tests.unit.streams.tables.test_pseudonyms import outcome, sealed

VALUES = [change(), command(), learned(), encode_fact(outcome())]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    _, made = asyncio.run(open_ring())

    async def open_keys(_: object) -> Keyring:
        return made

    monkeypatch.setattr("resegment.streams.sealing.keys.open_keys", open_keys)
    monkeypatch.setenv("RESEGMENT_KEYS", "redis://keys:6379")
    monkeypatch.setenv("RESEGMENT_KEY", "b" * 43)
    return made


def lines_of(ring: Keyring) -> list[bytes]:
    async def seal() -> list[bytes]:
        topics = TOPICS.segment_changes, TOPICS.workflow_commands, TOPICS.routing_events
        messages = [Message(topic.name, None, one) for topic, one in zip(topics, VALUES, strict=False)]
        found = [one.value or b"" for one in await MessageSealer(given(ring), TOPICS).seal(messages)]
        return [*found, encode_fact(await sealed(ring, outcome()))]

    return asyncio.run(seal())


def run(*lines: bytes) -> tuple[int, list[bytes], str]:
    done = CliRunner().invoke(build(), ["privacy", "open"], input=b"\n".join(lines) + b"\n")
    return done.exit_code, done.stdout_bytes.splitlines(), done.stderr


def test_what_is_sealed_is_printed_opened_and_the_rest_as_it_is(ring: Keyring) -> None:
    lines = lines_of(ring)
    assert not any(b"Philippa" in one for one in lines)
    code, printed, _ = run(*lines, change(), b"no json", b"")
    assert code == 0
    assert printed[:3] == VALUES[:3]
    assert orjson.loads(printed[3]) == orjson.loads(VALUES[3])
    assert printed[4:] == [change(), b"no json", b""]


def test_a_line_that_was_changed_is_printed_as_it_is_and_named(ring: Keyring) -> None:
    lines = lines_of(ring)
    moved = lines[0].replace(b'"id":"c1"', b'"id":"c2"')
    code, printed, said = run(lines[1], moved, lines[3].replace(b'"acme.com"', b'"other.com"'))
    assert (code, printed[0], printed[1]) == (1, VALUES[1], moved)
    assert "do not open" in said
    assert ": 2, 3" in said
    assert PERSON not in said


def test_what_was_forgotten_is_left_out_and_messages_say_so(ring: Keyring) -> None:
    lines = lines_of(ring)
    asyncio.run(ring.store.destroy([ring.names.account("acme.com")], forget=True))
    ring.drop()
    code, printed, said = run(*lines)
    assert (code, len(printed)) == (0, 3)
    assert "1 fact left out" in said
    assert not any(b"Philippa" in one for one in printed)
    assert all(b'"forgotten":true' in one for one in printed)


def test_without_keys_the_command_says_which_settings_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESEGMENT_KEYS", raising=False)
    code, _, said = run(b"")
    assert code == 2
    assert "RESEGMENT_KEYS" in said
