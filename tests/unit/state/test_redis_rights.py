"""The scripts need no right in Redis that docs/operations/redis.acl does not give a worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resegment.state import redis

ACL = Path(__file__).parents[3] / "docs" / "operations" / "redis.acl"
SCRIPTS = sorted(Path(redis.__file__).parent.glob("*.lua"))


def rights(user: str) -> set[str]:
    (line,) = (one for one in ACL.read_text().splitlines() if one.startswith(f"user {user} "))
    return {word[1:] for word in line.split() if word.startswith("+")}


def test_every_script_is_read() -> None:
    assert {one.stem for one in SCRIPTS} >= {"owners", "recount", "claim", "commit"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.stem)
def test_a_worker_may_run_each_command_of_a_script(script: Path) -> None:
    called = set(re.findall(r"redis\.call\('([A-Z]+)'|\{'(Z[A-Z]+)'", script.read_text()))
    commands = {(one or other).lower() for one, other in called}
    assert commands
    assert commands <= rights("resegment-worker")
