"""`resegment privacy keygen`, `init`, `keys` and `rotate`, on a key store in memory."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from resegment.cli import build
from resegment.schemas.privacy.wrapping import parse_operator_key
from resegment.state.keys.keyring import open_keyring
from resegment.state.keys.memory import MemoryKeyStore

OLD, NEW = "b" * 42 + "A", "c" * 42 + "A"


def run(*words: str) -> Result:
    return CliRunner().invoke(build(), ["privacy", *words])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyStore:
    made = MemoryKeyStore()
    monkeypatch.setattr("resegment.state.keys.opening.open_key_store", lambda _: made)
    monkeypatch.setenv("RESEGMENT_KEYS", "redis://keys:6379")
    monkeypatch.setenv("RESEGMENT_KEY", OLD)
    return made


def test_a_new_key_is_one_that_can_be_given() -> None:
    first, second = run("keygen").stdout, run("keygen").stdout
    assert first != second
    parse_operator_key(first)


def test_init_makes_the_key_store_ready_once(store: MemoryKeyStore) -> None:
    assert "is ready" in run("init").stderr
    assert "already" in run("init").stderr


def test_without_the_settings_the_commands_say_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESEGMENT_KEYS", raising=False)
    assert "RESEGMENT_KEYS" in run("init").stderr
    monkeypatch.setenv("RESEGMENT_KEYS", "redis://keys:6379")
    assert "RESEGMENT_KEY is not" in run("keys").stderr


def test_a_rotation_is_counted_and_the_older_key_opens_nothing_after_it(
    store: MemoryKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init")

    async def seal_some() -> None:
        keys = await open_keyring(store, parse_operator_key(OLD), "resegment")
        await keys.pairs([("acme.com", "jane"), ("acme.com", None)])
        await store.destroy([keys.names.texts("acme.com")], forget=True)

    asyncio.run(seal_some())
    monkeypatch.setenv("RESEGMENT_KEY", f"{NEW},{OLD}")
    before = json.loads(run("keys", "--json").stdout)
    assert before == {"store": "memory", "live": 2, "destroyed": 1, "forgotten": 1, "older": 2, "pending": 0}
    assert "2 keys wrapped again" in run("rotate").stderr
    assert "0 keys wrapped again, 2 were already" in run("rotate").stderr
    monkeypatch.setenv("RESEGMENT_KEY", NEW)
    assert "Older operator key 0" in run("keys").stdout
    monkeypatch.setenv("RESEGMENT_KEY", OLD)
    assert "does not open" in run("keys").stderr
