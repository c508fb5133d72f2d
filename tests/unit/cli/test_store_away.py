"""Every command that talks to Redis, while Redis does not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resegment.cli import build

NOBODY = "127.0.0.1:1"
"""A port on which nothing listens."""
SEGMENTS = "examples/segments.yaml"
COMMANDS = (
    f"worker --segments {SEGMENTS}",
    f"up --segments {SEGMENTS}",
    "deliver --webhooks {webhooks}",
    "ingest {events}",
    "explain acme.com",
    "play acme.com",
    "accounts",
    "changes",
    "status",
    "dead-letters list",
    "dead-letters show a:0:1",
    "dead-letters retry a:0:1",
    "routing show",
    "routing set all",
    "routing list",
    "routing enroll acme.com",
    "owners list",
    "owners leave ada",
    "owners return ada",
    "owners recount",
    "webhooks list --webhooks {webhooks}",
    "webhooks enable crm --webhooks {webhooks}",
    "webhooks disable crm --webhooks {webhooks}",
    f"rebuild --segments {SEGMENTS}",
    f"rebuild --partition 1 --segments {SEGMENTS}",
    f"verify --segments {SEGMENTS}",
    f"repartition new --partitions 8 --segments {SEGMENTS}",
    "prefix delete trial",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_that_redis_does_not_answer(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks, events = tmp_path / "webhooks.yaml", tmp_path / "events.jsonl"
    webhooks.write_text("endpoints: {crm: {url: https://example.com/hook, secrets: [{env: SECRET}]}}\n")
    events.write_text(json.dumps({"specversion": "1.0"}) + "\n")
    monkeypatch.setenv("RESEGMENT_KAFKA", NOBODY)
    monkeypatch.setenv("RESEGMENT_REDIS", f"redis://{NOBODY}")
    monkeypatch.setenv("RESEGMENT_FOLDER", str(tmp_path))
    monkeypatch.setenv("RESEGMENT_HTTP_PORT", "0")
    monkeypatch.setenv("SECRET", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")

    result = CliRunner().invoke(build(), command.format(webhooks=webhooks, events=events).split())

    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: Redis: cannot " in result.stderr
    assert "Traceback" not in result.stderr
