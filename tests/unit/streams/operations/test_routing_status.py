"""How many accounts a team was granted today: its own day counts, in `status` as in `routing show`."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis

from resegment.schemas.definitions.records import encode_definition_record
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.operations.routing_status import TeamLook, find_teams, look_at_routing
from tests.builders import definition_of

LATE = 1_772_845_200_000  # 2026-03-07T01:00:00Z: still the 6th in New York


class Owners:
    """A Redis with the counters of one team."""

    def pipeline(self, *, transaction: bool) -> Owners:
        assert not transaction
        self._answers: list[Any] = []
        return self

    def hgetall(self, key: str) -> None:
        granted = {b"2026-03-06 sales": b"4", b"2026-03-07 sales": b"1"}
        self._answers.append(granted if key.endswith("granted") else {})

    def smembers(self, _: str) -> None:
        self._answers.append(set())

    def zcard(self, _: str) -> None:
        self._answers.append(0)

    async def execute(self) -> list[Any]:
        return self._answers


class Reader:
    """Reads a prefix without partitions."""

    prefix = "p"

    async def look_at_routing(self, _: int | None) -> list[Any]:
        return []


def versions(zone: str, *, whole: bool = True) -> Definitions:
    definition = definition_of(
        {
            "version": 1,
            "segments": [
                {
                    "name": "fits",
                    "layer": "firmographic",
                    "hypothesis": "It fits.",
                    "when": {"employees": {"gte": 50}},
                    "play": "say",
                    "route": {"workflow": "outbound", "team": "sales"},
                }
            ],
            "fallback": {"name": "other", "play": "say"},
            "teams": {"sales": {"members": ["Ann"], "per_day": 5, "timezone": zone}},
            "plays": {
                "say": {
                    "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
                    "channels": {"primary": "email"},
                }
            },
        }
    )
    found = Definitions()
    chunks, version = to_records(definition, 1, at=0)
    for one in (*(chunks if whole else ()), version):
        found.take(encode_definition_record(one))
    return found


@pytest.mark.parametrize(("zone", "granted"), [("America/New_York", 4), ("UTC", 1), ("Asia/Tokyo", 1)])
async def test_grants_of_today_are_those_of_the_day_of_the_team(zone: str, granted: int) -> None:
    client, reader = cast("Redis", Owners()), cast("PrefixReader", Reader())
    look = await look_at_routing(client, reader, {}, LATE, find_teams(versions(zone)))
    assert look.teams == {"sales": TeamLook(0, granted)}


def test_without_a_version_that_can_be_read_there_are_no_teams() -> None:
    broken = versions("UTC", whole=False)
    assert broken.versions
    assert find_teams(broken) == find_teams(None) == find_teams(Definitions()) == {}
