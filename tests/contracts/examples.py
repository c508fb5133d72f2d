"""The events of docs/contracts/examples, from which tests of the contracts begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts"
EVENTS: list[dict[str, Any]] = [
    orjson.loads(line) for line in (CONTRACTS / "examples" / "events.jsonl").read_bytes().splitlines()
]
BY_KIND: dict[str, dict[str, Any]] = {
    event["type"].split(".")[1]: event for event in EVENTS if event.get("op", "assert") == "assert"
}
"""One event of each kind, with every field of its data."""
