"""The scripts need no right in Redis that docs/operations/redis.acl does not give a worker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from resegment.state import redis
from resegment.state.redis.owners import OwnerStore

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


ANSWERS = {
    "zrange": [],
    "zrank": 4,
    "zcard": 7,
    "hmget": [msgspec.msgpack.encode(("w", "sales", "", False, "acme.com\0k", False))],
}


class Asked:
    """A Redis that notes which commands it gets."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.answers: list[Any] = []

    def pipeline(self, *, transaction: bool) -> Asked:
        return self

    def __getattr__(self, name: str) -> Any:
        def note(*_: Any) -> None:
            self.commands.append(name)
            self.answers.append(ANSWERS.get(name))

        return note

    async def execute(self) -> list[Any]:
        answers, self.answers = self.answers, []
        return answers


@pytest.mark.parametrize("keys", [None, ["k"]])
async def test_somebody_who_only_looks_may_see_the_line_of_a_team(keys: list[str] | None) -> None:
    asked = Asked()
    look = await OwnerStore(cast("Redis", asked), "resegment").look_at_line("sales", "2026-03-01", keys)
    assert ("zrange" in asked.commands) == (keys is None)
    assert (look.places, look.length) == (({}, 0) if keys is None else ({"k": 4}, 7))
    assert set(asked.commands) <= rights("resegment-look")
