"""The contracts of today keep what the released ones, docs/contracts/v1, promise."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from resegment.console.definition.contracts import asyncapi, documents
from resegment.schemas.contracts.compatibility import Direction, breaking_changes
from tests.contracts.examples import CONTRACTS

RELEASED = CONTRACTS / "v1"
SCHEMAS = sorted(RELEASED.glob("*.schema.json"))
WRITTEN = {"segment-change", "workflow-command", "dead-letter"}
EXCEPTIONS = {"segment-change.schema.json": {".data.to: may be null now"}}
"""What docs/contracts/compatibility.md names as an exception."""
RULE = "docs/contracts/compatibility.md says what may change within a version, and what to do about the rest"


def direction(name: str) -> Direction:
    return "out" if name in WRITTEN else "in"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_breaks_nobody_who_relies_on_the_released_one(path: Any) -> None:
    released = json.loads(path.read_text())
    today = next((json.loads(text) for name, text in documents().items() if name.name == path.name), None)
    assert today is not None, f"{path.name} is gone: {RULE}"
    broken = set(
        breaking_changes(released, today, direction=direction(path.name.removesuffix(".schema.json")))
    )
    broken -= EXCEPTIONS.get(path.name, set())
    assert not broken, f"{path.name}: {RULE}"


def test_whatever_is_released_is_held() -> None:
    assert {path.name for path in RELEASED.iterdir()} <= {path.name for path in documents()}
    assert {f"{name}.schema.json" for name in WRITTEN} < {path.name for path in SCHEMAS}


def test_topics_messages_and_headers_stay() -> None:
    released, today = yaml.safe_load((RELEASED / "asyncapi.yaml").read_text()), asyncapi()
    for name, channel in released["channels"].items():
        assert today["channels"][name]["address"] == channel["address"], RULE
        assert channel["messages"].items() <= today["channels"][name]["messages"].items(), RULE
    for name, operation in released["operations"].items():
        assert today["operations"][name]["action"] == operation["action"], RULE
    for name, message in released["components"]["messages"].items():
        now = today["components"]["messages"][name]
        way: Direction = "in" if name.endswith(("Structured", "Binary")) else "out"
        if "$ref" not in message["headers"]:
            assert not breaking_changes(message["headers"], now["headers"], direction=way), f"{name}: {RULE}"
        assert now["contentType"] == message["contentType"]
        assert now["bindings"]["kafka"]["key"]["type"] == message["bindings"]["kafka"]["key"]["type"]
