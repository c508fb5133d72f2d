"""The consumer of commands in docs/contracts skips what is no command, and stays up."""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from resegment.agents.batch import RecordedMessage

PATH = Path(__file__).parents[3] / "docs" / "contracts" / "commands_consumer.py"
COMMAND = {
    "type": "gtm.workflow-command.v1",
    "data": {
        "idempotency_key": "1",
        "account": "acme.com",
        "workflow": "crm",
        "action": "enroll",
        "segment": "hot",
    },
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("commands_consumer", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_records_that_are_no_commands_are_skipped_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    consumer = load()
    hostile: list[bytes | None] = [
        *(None, b"", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"[]", b"7", b"{}", b"null"),
        *(
            orjson.dumps(one)
            for one in (
                {**COMMAND, "type": "gtm.segment-change.v1"},
                {**COMMAND, "data": None},
                {**COMMAND, "data": {**COMMAND["data"], "account": ["acme.com"]}},  # type: ignore[dict-item]
                {**COMMAND, "data": {"action": "enroll"}},
            )
        ),
    ]
    records = [
        RecordedMessage(offset, 0, b"k", value)
        for offset, value in enumerate([*hostile, orjson.dumps(COMMAND)])
    ]
    with closing(sqlite3.connect(":memory:")) as store:
        store.executescript(consumer.TABLES)
        consumer.take(store, 3, records)
        assert store.execute("SELECT account, workflow FROM running").fetchall() == [("acme.com", "crm")]
        assert store.execute("SELECT number, next FROM offsets").fetchall() == [(3, len(records))]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(hostile)
    assert said[0] == "skipped: partition 3, offset 0 is not a command"
